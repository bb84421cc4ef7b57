//! Work units: adding, asking, changing, deleting, and the order in which they are handed out.

use model::{
    Attempt, Change, Error, NewUnit, Time, UnitChange, UnitFilter, UnitMeta, UnitRef, UnitStatus,
};
use serde_json::json;
use testkit::{
    World, absent, all, data, in_status, minutes, name, named, new_unit, request, seconds,
    spec_name,
};

cases![
    trivial_work_unit_flow,
    work_unit_queries,
    delete_work_units,
    count_work_unit_status,
    work_unit_order,
    work_unit_priority_ctor,
    work_unit_priority_set,
    work_unit_data,
    add_work_unit_bleedover,
    recreate_work_units,
    not_before_delayed_status,
    not_before_attempt,
    not_before_priority,
    unit_deleted_gone,
    unit_spec_deleted_gone,
    again_runs_finished_and_failed_units,
    a_limit_counts_only_units_that_can_run_again,
    changing_meta_by_filter,
    only_idle_units_get_other_data,
    adding_with_a_delay,
    of_one_name_the_last_counts,
    priorities_must_be_finite,
    pages_go_on,
];

/// Makes one unit in each state; the name says which.
pub(super) fn seven_states(w: &World) {
    w.plain_spec("spec");
    let end = |unit: &str, end: &dyn Fn(&Attempt)| {
        w.add("spec", [unit]);
        let attempt = w.claim_one();
        assert_eq!(attempt.unit, name(unit));
        end(&attempt);
    };
    end("failed", &|attempt| w.fail(attempt).unwrap());
    end("finished", &|attempt| w.finish(attempt).unwrap());
    end("pending", &|_| ());
    // While these are made they would be handed out again, so each waits for the others.
    end("expired", &|attempt| w.expire(attempt).unwrap());
    w.set_units("spec", named(["expired"]), UnitChange::Priority(-1.0));
    end("retryable", &|attempt| w.retry(attempt, seconds(0)).unwrap());
    w.set_units("spec", named(["expired"]), UnitChange::Priority(0.0));
    w.add("spec", ["available"]);
    w.add_unit("spec", NewUnit { delay: Some(minutes(5)), ..new_unit("delayed") });
}

const STATES: [&str; 7] =
    ["available", "delayed", "expired", "failed", "finished", "pending", "retryable"];

/// 18. An added unit is listed; after deleting it is unknown.
fn trivial_work_unit_flow(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["unit"]);
    let units = w.units("spec", all());
    assert_eq!(testkit::names_of(&units), ["unit"]);
    assert_eq!(units[0].spec, spec_name("spec"));
    assert_eq!(w.delete("spec", all()), 1);
    let unit = UnitRef { spec: spec_name("spec"), name: name("unit"), id: None };
    assert_eq!(w.try_unit(unit).unwrap_err(), Error::NoSuchWorkUnit("unit".to_owned()));
    assert_eq!(w.names("spec", all()), [""; 0]);
}

/// 19. Queries by name, status, previous name and limit.
fn work_unit_queries(w: &World) {
    seven_states(w);
    let names = |filter| w.names("spec", filter);
    assert_eq!(names(all()), STATES);
    assert_eq!(names(UnitFilter { limit: 4, ..all() }), STATES[..4]);
    let after = |name: &str| UnitFilter { after: Some(testkit::name(name)), limit: 4, ..all() };
    assert_eq!(names(after("failed")), STATES[4..]);
    assert_eq!(names(after("retryable")), [""; 0]);
    let status = |status| names(in_status([status]));
    assert_eq!(status(UnitStatus::Available), ["available", "expired", "retryable"]);
    assert_eq!(status(UnitStatus::Pending), ["pending"]);
    assert_eq!(status(UnitStatus::Finished), ["finished"]);
    assert_eq!(status(UnitStatus::Failed), ["failed"]);
    assert_eq!(status(UnitStatus::Delayed), ["delayed"]);
    let two = in_status([UnitStatus::Failed, UnitStatus::Delayed]);
    assert_eq!(names(two), ["delayed", "failed"]);
    assert_eq!(names(named(["pending", "finished", "unknown"])), ["finished", "pending"]);
    let both = UnitFilter { statuses: Some(vec![UnitStatus::Failed]), ..named(STATES) };
    assert_eq!(names(both), ["failed"]);
    let limited = UnitFilter { limit: 2, ..in_status([UnitStatus::Available]) };
    assert_eq!(names(limited), ["available", "expired"]);
}

/// 20. Deleting by name, by status, and everything.
fn delete_work_units(w: &World) {
    seven_states(w);
    assert_eq!(w.delete("spec", named(["available"])), 1);
    assert_eq!(w.delete("spec", named(["available"])), 0);
    assert_eq!(w.names("spec", all()), STATES[1..]);
    assert_eq!(w.delete("spec", in_status([UnitStatus::Failed, UnitStatus::Delayed])), 2);
    assert_eq!(w.names("spec", all()), ["expired", "finished", "pending", "retryable"]);
    assert_eq!(w.delete("spec", all()), 4);
    assert_eq!(w.names("spec", all()), [""; 0]);
    assert_eq!(w.counts("spec").total(), 0);
}

/// 21. Units are counted by status.
fn count_work_unit_status(w: &World) {
    seven_states(w);
    let counts = w.counts("spec");
    let of = UnitStatus::ALL.map(|status| counts.of(status));
    assert_eq!(of, [3, 1, 1, 1, 1]);
}

/// 22. Units are handed out in name order whatever the order of adding.
fn work_unit_order(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["c", "a", "b"]);
    w.add("spec", ["A", "aa"]);
    let one_by_one: Vec<_> = (0..5).map(|_| w.claim_one().unit.to_string()).collect();
    assert_eq!(one_by_one, ["A", "a", "aa", "b", "c"]);
}

/// 23. A priority given on adding can be read and goes first.
fn work_unit_priority_ctor(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let meta = UnitMeta { priority: 10.0, not_before: None };
    w.add_unit("spec", NewUnit { meta, ..new_unit("b") });
    assert_eq!(w.unit("spec", "b").meta.priority, 10.0);
    assert_eq!(w.claim_names(2), ["b", "a"]);
}

/// 24. Priorities set and adjusted can be read at once, and the order follows.
fn work_unit_priority_set(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a", "b", "c"]);
    let priority = |unit| w.unit("spec", unit).meta.priority;
    assert_eq!(w.set_units("spec", named(["b"]), UnitChange::Priority(10.0)), 1);
    assert_eq!(priority("b"), 10.0);
    assert_eq!(w.set_units("spec", named(["c"]), UnitChange::Adjust(20.0)), 1);
    assert_eq!(w.set_units("spec", named(["c", "a"]), UnitChange::Adjust(-0.5)), 2);
    assert_eq!(["a", "b", "c"].map(priority), [-0.5, 10.0, 19.5]);
    assert_eq!(w.claim_names(3), ["c", "b", "a"]);
}

/// 25. Two units keep their own data.
fn work_unit_data(w: &World) {
    w.plain_spec("spec");
    w.add_data("spec", "a", &json!({"value": "one"}));
    w.add_data("spec", "b", &json!({"value": 2}));
    assert_eq!(w.unit("spec", "a").data, data(&json!({"value": "one"})));
    assert_eq!(w.unit("spec", "b").data, data(&json!({"value": 2})));
}

/// 26. A unit added again in one spec leaves its namesake in another alone.
fn add_work_unit_bleedover(w: &World) {
    for spec in ["one", "two"] {
        w.plain_spec(spec);
    }
    let id = w.add_data("one", "a", &json!({"x": 1}));
    w.add_data("two", "a", &json!({"x": 2}));
    assert_eq!(w.add_data("one", "a", &json!({"x": 3})), id, "it is the same unit");
    assert_eq!(w.unit("one", "a").data, data(&json!({"x": 3})));
    assert_eq!(w.unit("two", "a").data, data(&json!({"x": 2})));
}

/// 27. Units added again become available, except a pending one.
fn recreate_work_units(w: &World) {
    seven_states(w);
    w.add("spec", STATES);
    for state in STATES {
        let status = if state == "pending" { UnitStatus::Pending } else { UnitStatus::Available };
        assert_eq!(w.status("spec", state), status, "{state}");
    }
    assert_eq!(w.ready_and_pending("spec"), (6, 1));
}

fn delayed(w: &World, unit: &str, priority: f64) {
    let not_before = Some(w.now().plus(minutes(1)));
    w.add_unit("spec", NewUnit { meta: UnitMeta { priority, not_before }, ..new_unit(unit) });
}

/// 33. A unit is delayed until its time, and then available.
fn not_before_delayed_status(w: &World) {
    w.plain_spec("spec");
    delayed(w, "a", 0.0);
    assert_eq!(w.status("spec", "a"), UnitStatus::Delayed);
    w.advance(minutes(2));
    assert_eq!(w.status("spec", "a"), UnitStatus::Available);
    assert_eq!(w.names("spec", in_status([UnitStatus::Available])), ["a"]);
    assert_eq!(w.counts("spec").delayed, 0);
}

/// 34. A unit is not handed out before its time, and is from then on.
fn not_before_attempt(w: &World) {
    w.plain_spec("spec");
    delayed(w, "a", 0.0);
    w.no_work();
    w.advance(seconds(59));
    w.no_work();
    w.advance(seconds(1));
    assert_eq!(w.claim_one().unit, name("a"));
}

/// 35. A delayed unit does not stand in the way of a ready one of lower priority.
fn not_before_priority(w: &World) {
    w.plain_spec("spec");
    delayed(w, "a", 10.0);
    w.add("spec", ["b"]);
    assert_eq!(w.claim_names(5), ["b"]);
    w.advance(minutes(2));
    assert_eq!(w.claim_names(5), ["a"]);
}

/// 37. A deleted unit has no status.
fn unit_deleted_gone(w: &World) {
    w.plain_spec("spec");
    let ids = w.add("spec", ["a"]);
    w.delete("spec", all());
    let unit = |id| UnitRef { spec: spec_name("spec"), name: name("a"), id };
    assert_eq!(w.try_unit(unit(None)).unwrap_err(), Error::NoSuchWorkUnit("a".to_owned()));
    assert!(absent(&w.try_unit(unit(Some(ids[0])))));
    assert!(absent(&w.try_clear(unit(None))));
}

/// 38. Nor has a unit of a destroyed spec.
fn unit_spec_deleted_gone(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    w.destroy_spec("spec").unwrap();
    let unit = UnitRef { spec: spec_name("spec"), name: name("a"), id: None };
    assert!(absent(&w.try_unit(unit)));
}

fn again_runs_finished_and_failed_units(w: &World) {
    seven_states(w);
    let before = w.unit("spec", "pending");
    w.set_units("spec", all(), UnitChange::Again);
    assert_eq!(w.unit("spec", "pending"), before);
    assert_eq!(w.status("spec", "delayed"), UnitStatus::Delayed);
    assert_eq!(w.status("spec", "finished"), UnitStatus::Available);
    assert_eq!(w.status("spec", "failed"), UnitStatus::Available);
    assert_eq!(w.history("spec", "finished").len(), 1, "past attempts are kept");
}

fn a_limit_counts_only_units_that_can_run_again(w: &World) {
    seven_states(w);
    let first = UnitFilter { limit: 1, ..all() };
    w.set_units("spec", first.clone(), UnitChange::Again);
    let (failed, finished) = (w.status("spec", "failed"), w.status("spec", "finished"));
    assert_eq!((failed, finished), (UnitStatus::Available, UnitStatus::Finished));
    w.set_units("spec", first, UnitChange::Again);
    assert_eq!(w.status("spec", "finished"), UnitStatus::Available);
}

fn only_idle_units_get_other_data(w: &World) {
    seven_states(w);
    let before = STATES.map(|state| w.unit("spec", state));
    let other = data(&json!({ "other": 1 }));
    assert_eq!(w.set_units("spec", all(), UnitChange::Data(other.clone())), 4);
    for (state, mut unit) in STATES.into_iter().zip(before) {
        if matches!(unit.status, UnitStatus::Available | UnitStatus::Delayed) {
            unit.data = other.clone();
        }
        assert_eq!(w.unit("spec", state), unit, "nothing else is changed");
    }
    assert_eq!(w.set_units("spec", named(["absent"]), UnitChange::Data(other)), 0);
}

fn changing_meta_by_filter(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a", "b"]);
    let later = UnitMeta { priority: 2.0, not_before: Some(w.now().plus(minutes(1))) };
    w.set_units("spec", named(["b"]), UnitChange::Meta(later));
    assert_eq!(w.unit("spec", "b").meta, later);
    assert_eq!(w.status("spec", "b"), UnitStatus::Delayed);
    let past = UnitMeta { priority: 2.0, not_before: Some(Time(0)) };
    w.set_units("spec", named(["b"]), UnitChange::Meta(past));
    assert_eq!(w.status("spec", "b"), UnitStatus::Available);
    assert_eq!(w.claim_names(2), ["b", "a"]);
}

fn adding_with_a_delay(w: &World) {
    w.plain_spec("spec");
    let meta = UnitMeta { priority: 1.0, not_before: Some(w.now().plus(minutes(9))) };
    w.add_unit("spec", NewUnit { meta, delay: Some(seconds(90)), ..new_unit("a") });
    let meta = w.unit("spec", "a").meta;
    assert_eq!(meta, UnitMeta { priority: 1.0, not_before: Some(w.now().plus(seconds(90))) });
}

fn of_one_name_the_last_counts(w: &World) {
    w.plain_spec("spec");
    let with = |x: u32| NewUnit { data: data(&json!({ "x": x })), ..new_unit("a") };
    let ids = w.try_add("spec", vec![with(1), new_unit("b"), with(2)]).unwrap();
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(w.unit("spec", "a").data, data(&json!({"x": 2})));
    assert_eq!(w.counts("spec").available, 2);
}

fn priorities_must_be_finite(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    for priority in [f64::NAN, f64::INFINITY] {
        let meta = UnitMeta { priority, not_before: None };
        // JSON cannot even say such a number, so over the wire it is refused in other words.
        assert!(w.try_add("spec", vec![NewUnit { meta, ..new_unit("b") }]).is_err());
    }
    w.set_units("spec", all(), UnitChange::Priority(f64::MAX));
    // Whether this is refused or stops at the largest number, it must not become infinite.
    let _either = w.try_set_units("spec", all(), UnitChange::Adjust(f64::MAX));
    assert_eq!(w.unit("spec", "a").meta.priority, f64::MAX);
    assert_eq!(w.names("spec", all()), ["a"]);
}

fn pages_go_on(w: &World) {
    w.plain_spec("spec");
    let names: Vec<String> = (0..1_500).map(|i| format!("u{i:04}")).collect();
    w.add("spec", &names[..1_000]);
    w.add("spec", &names[1_000..]);
    let (first, next) = w.page("spec", all());
    assert!(first.len() <= 1_000);
    let mut seen = testkit::names_of(&first);
    let mut after = next;
    while let Some(name) = after {
        let (units, next) = w.page("spec", UnitFilter { after: Some(name), ..all() });
        seen.extend(testkit::names_of(&units));
        after = next;
    }
    assert_eq!(seen, names);
    let attempts = w.claim(model::Claim { count: 2, ..request() });
    attempts.iter().for_each(|a| w.change(a, Change::Finish, None).unwrap());
    assert_eq!(w.names("spec", in_status([UnitStatus::Finished])), names[..2]);
}
