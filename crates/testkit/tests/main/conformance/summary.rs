//! Summaries at three levels.

use model::UnitStatus;
use testkit::{World, absent};

use super::units::seven_states;

cases![summarize, a_summary_is_of_what_was_asked];

/// 39. Nothing at first, one line for one unit, and a line for each status.
fn summarize(w: &World) {
    w.plain_spec("spec");
    let levels = || [w.global_summary(), w.summary(None), w.summary(Some("spec"))];
    assert_eq!(levels(), [const { Vec::new() }; 3]);
    w.add("spec", ["unit"]);
    let row = |status, count| ("spec".to_owned(), status, count);
    let one = vec![row(UnitStatus::Available, 1)];
    assert_eq!(levels(), [one.clone(), one.clone(), one]);
    w.destroy_spec("spec").unwrap();
    seven_states(w);
    w.add("spec", ["unit"]);
    let seven = vec![
        row(UnitStatus::Available, 4),
        row(UnitStatus::Pending, 1),
        row(UnitStatus::Finished, 1),
        row(UnitStatus::Failed, 1),
        row(UnitStatus::Delayed, 1),
    ];
    assert_eq!(levels(), [seven.clone(), seven.clone(), seven]);
}

fn a_summary_is_of_what_was_asked(w: &World) {
    for spec in ["one", "two"] {
        w.plain_spec(spec);
    }
    let other = w.in_namespace("another");
    other.plain_spec("three");
    w.add("one", ["a", "b"]);
    w.add("two", ["a"]);
    other.add("three", ["a"]);
    let row = |spec: &str, count| (spec.to_owned(), UnitStatus::Available, count);
    assert_eq!(w.summary(None), [row("one", 2), row("two", 1)]);
    assert_eq!(w.summary(Some("two")), [row("two", 1)]);
    assert_eq!(other.global_summary(), [row("three", 1)]);
    let unknown =
        model::Query::Summary(Some(w.namespace().clone()), Some(testkit::spec_name("unknown")));
    assert!(absent(&w.ask(unknown)));
}
