//! Which spec a claim is served from: who may work, and who how often.

use model::{
    Claim, Command, QueueCommand, Reply, SetUnits, SpecRef, UnitChange, UnitFilter, UnitStatus,
};
use serde_json::{Value, json};
use testkit::{World, all, in_status, minutes, name, request, seconds, spec_name};

cases![
    no_specs,
    one_spec,
    only_a_zero_weight,
    paused,
    no_available_units,
    max_running_is_full,
    equal_weights,
    one_to_ten,
    one_to_ten_with_pending,
    the_other_one_is_full,
    an_overfull_spec_waits,
    continuous_competes_by_weight,
    continuous_with_a_pending_unit,
    three_equal,
    higher_priority_wins,
    higher_priority_without_units,
    continuous,
    continuous_interval,
    continuous_unit_is_named_by_the_time,
    max_running,
    request_specific_spec,
    by_runtime,
    all_attempts_are_of_one_spec,
    max_getwork_caps_a_claim,
    each_claim_is_drawn_for_itself,
    a_made_up_unit_is_tried_too_often,
];

const TRIALS: u32 = 1_000;

/// A spec under test: its dictionary, and how many of its units are pending all the time.
struct Contender {
    name: &'static str,
    dict: Value,
    pending: u32,
}

fn contender(name: &'static str, weight: i64) -> Contender {
    Contender { name, dict: json!({"name": name, "weight": weight}), pending: 0 }
}

/// Sets the spec up, with units enough for every trial.
fn set_up(w: &World, contender: &Contender) {
    let spec = contender.name;
    w.set_spec(&contender.dict);
    w.add(spec, (0..contender.pending).map(|i| format!("0 held {i}")));
    if contender.pending > 0 {
        let held = w.claim_from(&[spec], contender.pending);
        assert_eq!(held.len(), contender.pending as usize);
    }
    if contender.dict.get("continuous").is_none() {
        w.add(spec, (0..TRIALS).map(|i| format!("unit {i}")));
    }
}

/// Claims one unit [`TRIALS`] times, each time from the same state, in writes of a hundred claims;
/// gives the positions of the chosen specs.
fn draw(w: &World, specs: &[&'static str]) -> Vec<usize> {
    let held_before = Some(name("0z"));
    let drop_claimed = |spec: &&str| {
        let filter = UnitFilter { after: held_before.clone(), ..in_status([UnitStatus::Pending]) };
        let spec = SpecRef { name: spec_name(spec), id: None };
        QueueCommand::SetUnits(SetUnits { spec, filter, change: UnitChange::Delete })
    };
    let one_trial: Vec<Command> = std::iter::once(QueueCommand::Claim(request()))
        .chain(specs.iter().map(drop_claimed))
        .map(Command::from)
        .collect();
    let mut drawn = Vec::new();
    for _ in 0..TRIALS / 100 {
        let trials = std::iter::repeat_n(&one_trial, 100).flatten().cloned();
        let replies = w.write(trials).unwrap().replies;
        let attempts = replies.into_iter().filter_map(|reply| match reply {
            Reply::Attempts(attempts) => attempts.into_iter().next(),
            _ => None,
        });
        let position = |spec: &str| specs.iter().position(|name| *name == spec).unwrap();
        drawn.extend(attempts.map(|attempt| position(attempt.spec.as_str())));
    }
    drawn
}

/// Sees that each spec gets its share, in as many sigma as do not fail by chance in a lifetime.
fn shares(w: &World, contenders: &[Contender], expected: &[f64]) {
    contenders.iter().for_each(|contender| set_up(w, contender));
    let names: Vec<_> = contenders.iter().map(|contender| contender.name).collect();
    let drawn = draw(w, &names);
    assert_eq!(drawn.len(), TRIALS as usize);
    let count = |position| drawn.iter().filter(|chosen| **chosen == position).count() as u32;
    let counts: Vec<u32> = (0..names.len()).map(count).collect();
    for (count, share) in counts.iter().zip(expected) {
        let trials = f64::from(TRIALS);
        let sigma = (trials * share * (1.0 - share)).sqrt();
        let off = (f64::from(*count) - trials * share).abs();
        assert!(off <= 5.0 * sigma, "{counts:?} should be shares of {expected:?}");
    }
}

/// 71. No specs, no work.
fn no_specs(w: &World) {
    w.no_work();
    w.create();
    w.no_work();
}

/// 72. One spec is always chosen.
fn one_spec(w: &World) {
    shares(w, &[contender("only", 20)], &[1.0]);
}

/// 73. A spec without weight is never chosen.
fn only_a_zero_weight(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    w.set_meta("spec", |meta| meta.weight = 0);
    w.no_work();
    w.set_meta("spec", |meta| meta.weight = 1);
    w.claim_one();
}

/// 74. A paused spec is never chosen.
fn paused(w: &World) {
    w.set_spec(&json!({"name": "spec", "disabled": true}));
    w.add("spec", ["a"]);
    w.no_work();
    w.set_meta("spec", |meta| meta.paused = false);
    w.claim_one();
}

/// 75. A spec without available units is never chosen.
fn no_available_units(w: &World) {
    w.set_spec(&json!({"name": "empty", "weight": 1000}));
    shares(w, &[contender("full", 1)], &[1.0]);
}

/// 76. A spec with as many pending units as it may have is never chosen.
fn max_running_is_full(w: &World) {
    w.set_spec(&json!({"name": "spec", "max_running": 2}));
    w.add("spec", ["a", "b", "c"]);
    w.claim_one();
    let last = w.claim_one();
    w.no_work();
    w.fail(&last).unwrap();
    assert_eq!(w.claim_one().unit, name("c"));
}

/// 77. Equal weights share half and half.
fn equal_weights(w: &World) {
    shares(w, &[contender("one", 1), contender("two", 1)], &[0.5, 0.5]);
}

/// 78. Weights share in proportion.
fn one_to_ten(w: &World) {
    shares(w, &[contender("one", 1), contender("ten", 10)], &[1.0 / 11.0, 10.0 / 11.0]);
}

/// 79. What is pending already counts against a spec.
fn one_to_ten_with_pending(w: &World) {
    let ten = Contender { pending: 2, ..contender("ten", 10) };
    shares(w, &[contender("one", 1), ten], &[3.0 / 11.0, 8.0 / 11.0]);
}

/// 80. Where the other spec is full, the rest gets all.
fn the_other_one_is_full(w: &World) {
    let dict = json!({"name": "full", "weight": 10, "max_running": 2});
    let full = Contender { name: "full", dict, pending: 2 };
    shares(w, &[contender("one", 1), full], &[1.0, 0.0]);
}

/// 81. A spec far over its share is not chosen; the others share by weight.
fn an_overfull_spec_waits(w: &World) {
    let over = Contender { pending: 99, ..contender("over", 1) };
    let contenders = [contender("one", 1), contender("five", 5), over];
    shares(w, &contenders, &[1.0 / 6.0, 5.0 / 6.0, 0.0]);
}

/// 82. A continuous spec without units competes by weight.
fn continuous_competes_by_weight(w: &World) {
    let dict = json!({"name": "continuous", "weight": 1, "continuous": true});
    let continuous = Contender { name: "continuous", dict, pending: 0 };
    shares(w, &[continuous, contender("plain", 1)], &[0.5, 0.5]);
}

/// 83. A continuous spec with a pending unit is not chosen.
fn continuous_with_a_pending_unit(w: &World) {
    w.set_spec(&json!({"name": "spec", "continuous": true}));
    let attempt = w.claim_one();
    w.no_work();
    w.fail(&attempt).unwrap();
    w.advance(seconds(1));
    assert_ne!(w.claim_one().unit, attempt.unit);
}

/// 84. Three equal specs get a third each.
fn three_equal(w: &World) {
    shares(w, &["x", "y", "z"].map(|spec| contender(spec, 7)), &[1.0 / 3.0; 3]);
}

/// 85. A higher priority always wins.
fn higher_priority_wins(w: &World) {
    let dict = json!({"name": "high", "weight": 1, "priority": 1});
    let high = Contender { name: "high", dict, pending: 0 };
    shares(w, &[contender("low", 1000), high], &[0.0, 1.0]);
}

/// 86. A higher priority without units leaves all to the rest.
fn higher_priority_without_units(w: &World) {
    w.set_spec(&json!({"name": "high", "priority": 1}));
    shares(w, &[contender("one", 1), contender("two", 1)], &[0.5, 0.5]);
}

/// 28. A continuous spec gives an attempt without having units, unless that is switched off.
fn continuous(w: &World) {
    let w = w.in_namespace("");
    w.set_spec(&json!({"name": "spec", "continuous": true}));
    let attempt = w.claim_one();
    assert!(attempt.data.is_empty());
    w.finish(&attempt).unwrap();
    w.advance(seconds(1));
    w.set_meta("spec", |meta| meta.continuous = false);
    w.no_work();
    w.set_meta("spec", |meta| meta.continuous = true);
    w.claim_one();
}

/// 29. A continuous spec with an interval gives one attempt in each, and none to make up for it.
fn continuous_interval(w: &World) {
    w.set_spec(&json!({"name": "spec", "continuous": true, "interval": 60}));
    let start = w.now();
    w.finish(&w.claim_one()).unwrap();
    assert_eq!(w.meta("spec").next_continuous, Some(start.plus(minutes(1))));
    w.no_work();
    w.advance(seconds(30));
    w.no_work();
    w.advance(seconds(30));
    w.finish(&w.claim_one()).unwrap();
    w.advance(minutes(60));
    w.finish(&w.claim_one()).unwrap();
    w.no_work();
}

fn continuous_unit_is_named_by_the_time(w: &World) {
    w.set_spec(&json!({"name": "spec", "continuous": true}));
    w.advance(std::time::Duration::from_nanos(45_999_999));
    let attempt = w.claim_one();
    assert_eq!(attempt.unit, name("1767225600.045"));
    w.finish(&attempt).unwrap();
    assert_eq!(w.names("spec", all()), ["1767225600.045"]);
    assert_eq!(w.claim_from(&[], 5).len(), 1, "exactly one, whatever was asked for");
}

/// 30. No more than `max_running` units of a spec are pending, however many are asked for.
fn max_running(w: &World) {
    w.set_spec(&json!({"name": "spec", "max_running": 1}));
    w.add("spec", (0..50).map(|i| format!("u{i:02}")));
    let attempts = w.claim_from(&[], 20);
    assert_eq!(attempts.len(), 1);
    w.no_work();
    w.finish(&attempts[0]).unwrap();
    assert_eq!(w.claim_from(&[], 20).len(), 1);
    w.no_work();
}

/// 31. Claims may name specs; among them the highest priority wins.
fn request_specific_spec(w: &World) {
    for (spec, priority) in [("one", 1), ("two", 2), ("three", 3)] {
        w.set_spec(&json!({"name": spec, "priority": priority}));
        w.add(spec, (0..5).map(|i| format!("u{i}")));
    }
    let from = |specs: &[&str]| w.claim_one_from(specs).spec.to_string();
    assert_eq!(from(&[]), "three");
    assert_eq!(from(&["one"]), "one");
    assert_eq!(from(&["one", "two"]), "two");
    assert_eq!(from(&["unknown", "one"]), "one");
    assert_eq!(w.claim_from(&["unknown"], 1), []);
}

/// 32. Claims may name runtimes; the empty one is that of specs which say none.
fn by_runtime(w: &World) {
    w.set_spec(&json!({"name": "none"}));
    w.set_spec(&json!({"name": "go", "runtime": "go"}));
    w.set_spec(&json!({"name": "java", "runtime": "java"}));
    for spec in ["none", "go"] {
        w.add(spec, ["u"]);
    }
    let claim = |runtimes: &[&str]| {
        let runtimes = runtimes.iter().map(|runtime| (*runtime).to_owned()).collect();
        let attempts = w.claim(Claim { runtimes, ..request() });
        attempts.iter().for_each(|attempt| {
            w.finish(attempt).unwrap();
            w.clear(attempt.spec.as_str(), "u");
        });
        attempts.first().map(|attempt| attempt.spec.to_string())
    };
    assert!(["none", "go"].contains(&claim(&[]).unwrap().as_str()));
    assert_eq!(claim(&[""]).unwrap(), "none");
    assert_eq!(claim(&["", "java"]).unwrap(), "none");
    assert_eq!(claim(&["go"]).unwrap(), "go");
    assert_eq!(claim(&["java"]), None);
    assert_eq!(claim(&["Go"]), None);
}

fn all_attempts_are_of_one_spec(w: &World) {
    w.set_spec(&json!({"name": "high", "priority": 1}));
    w.plain_spec("low");
    w.add("high", ["a", "b"]);
    w.add("low", ["c", "d"]);
    assert_eq!(w.claim_names(4), ["a", "b"]);
    assert_eq!(w.claim_names(4), ["c", "d"]);
}

fn max_getwork_caps_a_claim(w: &World) {
    w.set_spec(&json!({"name": "spec", "max_getwork": 2}));
    w.add("spec", ["a", "b", "c"]);
    assert_eq!(w.claim_names(0), ["a"], "less than one is one");
    assert_eq!(w.claim_names(9), ["b", "c"]);
}

/// What one write draws says nothing of what another one draws.
fn each_claim_is_drawn_for_itself(w: &World) {
    ["x", "y"].iter().for_each(|name| set_up(w, &contender(name, 1)));
    let drawn = draw(w, &["x", "y"]);
    let writes: Vec<_> = drawn.chunks(100).collect();
    for shift in 0..50 {
        assert_ne!(writes[0][shift..], writes[1][..100 - shift], "shifted by {shift}");
    }
}

fn a_made_up_unit_is_tried_too_often(w: &World) {
    w.set_spec(&json!({"name": "spec", "continuous": true, "max_retries": 1}));
    w.finish(&w.claim_one()).unwrap();
    // A claim in the same millisecond can only make up the same unit again.
    w.no_work();
    let unit = w.units("spec", all()).remove(0);
    assert!(unit.attempts <= 2, "one claim tried it {} times", unit.attempts - 1);
    w.advance(seconds(1));
    w.claim_one();
}
