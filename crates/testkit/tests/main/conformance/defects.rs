//! The ancestor's defects that concern the queue, by their number in the design's list. Those of
//! its wire formats are tested with the wire formats; 22 is in `concurrency`, 23 in `decisions`.

use std::time::Duration;

use model::{
    AttemptStatus, Change, Claim, Data, Datum, Error, EventBody, NewUnit, UnitChange, UnitFilter,
    UnitMeta, UnitStatus,
};
use serde_json::json;
use testkit::{
    World, all, data, dict_data, in_status, minutes, name, named, new_unit, request, seconds,
    spec_name, text, worker_name,
};

cases![
    defect_2_chained_units_can_be_finished,
    defect_3_output_for_a_missing_spec,
    defect_4_a_superseded_attempt_frees_nothing,
    defect_5_made_attempts_are_not_handed_out_twice,
    defect_6_ended_attempts_stay_ended,
    defect_6_timed_out_attempts_have_ended,
    defect_7_lifetime,
    defect_8_empty_lists_select_nothing,
    defect_8_names_and_statuses_both_hold,
    defect_9_control_sets_max_running,
    defect_13_units_are_listed_in_order,
    defect_14_a_parent_can_be_cleared,
    defect_15_two_attempts_in_one_second,
    defect_17_names_keep_their_bytes,
    defect_18_a_refused_spec_leaves_no_ghost,
    defect_18_the_empty_unit_name,
    defect_19_a_whole_number_is_a_priority,
    defect_25_a_parent_does_not_deactivate,
    delayed_units_are_not_counted_as_available,
    a_continuous_time_that_was_set_is_kept,
];

fn defect_2_chained_units_can_be_finished(w: &World) {
    w.set_spec(&json!({"name": "one", "then": "two"}));
    w.plain_spec("two");
    let id = w.add("two", ["z"])[0];
    let pending = w.claim_one();
    w.add_data("one", "a", &json!({"output": {"z": {"new": true}}}));
    let attempt = w.claim_one();
    w.finish(&attempt).unwrap();
    let unit = w.unit("two", "z");
    assert_eq!((unit.id, unit.status, unit.attempts), (id, UnitStatus::Pending, 1));
    w.finish(&pending).unwrap();
    assert_eq!(w.status("two", "z"), UnitStatus::Finished);
}

fn defect_3_output_for_a_missing_spec(w: &World) {
    w.set_spec(&json!({"name": "one", "then": "missing"}));
    w.add_data("one", "a", &json!({"output": ["x"]}));
    let attempt = w.claim_one();
    w.finish(&attempt).unwrap();
    assert_eq!(w.status("one", "a"), UnitStatus::Finished);
    assert_eq!(w.spec_names(), ["one"]);
}

fn defect_4_a_superseded_attempt_frees_nothing(w: &World) {
    w.plain_spec("spec");
    for change in [Change::Renew(minutes(1)), Change::Expire, Change::Retry(minutes(0))] {
        w.add("spec", ["a"]);
        let old = w.claim_one();
        let new = w.make("spec", "a");
        let _refused_or_closed = w.change(&old, change, None);
        assert_eq!(w.unit("spec", "a").active.map(|attempt| attempt.id), Some(new.id));
        w.no_work();
        w.finish(&new).unwrap();
    }
}

fn defect_5_made_attempts_are_not_handed_out_twice(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let attempt = w.make("spec", "a");
    assert_eq!(w.ready_and_pending("spec"), (0, 1));
    w.no_work();
    w.finish(&attempt).unwrap();
    w.no_work();
    let again = w.make("spec", "a");
    assert_eq!(w.status("spec", "a"), UnitStatus::Pending, "even a finished unit");
    w.finish(&again).unwrap();
    w.add_unit("spec", NewUnit { delay: Some(minutes(1)), ..new_unit("late") });
    w.make("spec", "late");
    w.advance(minutes(2));
    assert_eq!(w.status("spec", "late"), UnitStatus::Pending, "even a delayed unit");
    w.no_work();
}

/// What each call answers for an attempt that has ended, in the order of [`CALLS`].
fn defect_6_ended_attempts_stay_ended(w: &World) {
    const CALLS: [Change; 5] = [
        Change::Renew(Duration::from_secs(300)),
        Change::Expire,
        Change::Finish,
        Change::Fail,
        Change::Retry(Duration::from_secs(300)),
    ];
    let (fine, lost, ended) = (Ok(()), Err(Error::LostLease), Err(Error::NotPending));
    let table = [
        (Change::Expire, [&lost, &fine, &ended, &ended, &ended], AttemptStatus::Expired),
        (Change::Finish, [&ended, &ended, &ended, &ended, &ended], AttemptStatus::Finished),
        (
            Change::Retry(seconds(0)),
            [&ended, &ended, &ended, &ended, &ended],
            AttemptStatus::Retryable,
        ),
        // Success wins over an earlier failure, so that is tried last.
        (Change::Fail, [&ended, &ended, &fine, &ended, &ended], AttemptStatus::Finished),
    ];
    w.plain_spec("spec");
    for (end, outcomes, status) in table {
        w.add("spec", ["a"]);
        let attempt = w.claim_one();
        w.change(&attempt, end, None).unwrap();
        for (call, outcome) in CALLS.into_iter().zip(outcomes) {
            let said = (call != Change::Finish).then(|| data(&json!({"said": "late"})));
            assert_eq!(w.change(&attempt, call, said), *outcome, "{call:?} after {end:?}");
        }
        let now = w.attempt(&attempt);
        assert_eq!((now.status, now.data), (status, Data::default()), "after {end:?}");
        w.delete("spec", all());
    }
}

fn defect_6_timed_out_attempts_have_ended(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let attempt = w.claim_one();
    w.advance(minutes(20));
    assert_eq!(w.active_of("worker"), []);
    let timed_out = w.attempt(&attempt);
    assert_eq!(timed_out.status, AttemptStatus::Expired);
    assert_eq!(timed_out.expiration, attempt.expiration, "it says when its time ran out");
    assert!(timed_out.end.is_some());
}

fn defect_7_lifetime(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let attempt = w.claim(Claim { lifetime: Some(seconds(7)), ..request() }).remove(0);
    assert_eq!(attempt.expiration, w.now().plus(seconds(7)));
}

fn defect_8_empty_lists_select_nothing(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a", "b"]);
    let no_names = || named([]);
    let no_statuses = || in_status([]);
    assert_eq!(w.delete("spec", no_names()), 0);
    assert_eq!(w.delete("spec", no_statuses()), 0);
    assert_eq!(w.names("spec", no_names()), [""; 0]);
    assert_eq!(w.names("spec", no_statuses()), [""; 0]);
    assert_eq!(w.names("spec", all()), ["a", "b"]);
}

fn defect_8_names_and_statuses_both_hold(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a", "b", "c"]);
    w.fail(&w.claim_one()).unwrap();
    w.fail(&w.claim_one()).unwrap();
    let both = UnitFilter { statuses: Some(vec![UnitStatus::Failed]), ..named(["b", "c"]) };
    assert_eq!(w.delete("spec", both), 1);
    assert_eq!(w.names("spec", all()), ["a", "c"]);
}

fn defect_9_control_sets_max_running(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a", "b"]);
    let control = model::Control { max_running: Some(1), ..model::Control::default() };
    w.control("spec", control).unwrap();
    assert_eq!(w.claim_from(&[], 2).len(), 1);
    w.no_work();
}

fn defect_13_units_are_listed_in_order(w: &World) {
    w.plain_spec("spec");
    let mut names: Vec<String> = (0..100).map(|i| format!("{}", (i * 37) % 100)).collect();
    w.add("spec", &names);
    names.sort();
    assert_eq!(w.names("spec", all()), names);
    assert_eq!(w.names("spec", UnitFilter { limit: 7, ..all() }), names[..7]);
}

fn defect_14_a_parent_can_be_cleared(w: &World) {
    w.set_parent("child", Some("parent"));
    w.set_parent("child", None);
    assert_eq!(w.worker("child").parent, None);
    assert_eq!(w.children("parent"), [""; 0]);
    w.update_worker("child", "run", Data::default());
    assert!(w.try_worker("").is_err(), "no parent is not the parent named \"\"");
}

fn defect_15_two_attempts_in_one_second(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let first = w.claim_one();
    w.expire(&first).unwrap();
    let second = w.claim_one();
    assert_eq!(first.start, second.start);
    assert!(second.id > first.id);
    assert_eq!(w.finish(&first), Err(Error::NotPending));
    assert_eq!(w.attempt(&second).status, AttemptStatus::Pending);
    w.finish(&second).unwrap();
    assert_eq!(w.attempt(&first).status, AttemptStatus::Expired);
    assert_eq!(w.all_of("worker").len(), 2);
}

fn defect_17_names_keep_their_bytes(w: &World) {
    w.plain_spec("spec");
    w.add("spec", [b"\xf0\x0f\xff"]);
    assert_eq!(w.claim_one().unit.as_bytes(), b"\xf0\x0f\xff");
    let claimed = EventBody::UnitsClaimed(spec_name("spec"), vec![name(b"\xf0\x0f\xff")]);
    assert!(w.happened_after(0).contains(&claimed));
}

fn defect_18_a_refused_spec_leaves_no_ghost(w: &World) {
    w.create();
    let refused = dict_data([("name", text("ghost")), ("priority", Datum::Bool(true))]);
    assert!(matches!(w.try_set_spec(refused), Err(Error::BadWorkSpecKey { .. })));
    assert_eq!(w.spec_names(), [""; 0]);
    assert!(w.try_add("ghost", vec![new_unit("a")]).is_err());
}

fn defect_18_the_empty_unit_name(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["", "a"]);
    assert_eq!(w.names("spec", all()), ["", "a"]);
    assert_eq!(w.names("spec", named([""])), [""]);
    assert_eq!(w.set_units("spec", named([""]), UnitChange::Priority(-1.0)), 1);
    assert_eq!(w.claim_names(2), ["a", ""]);
    assert_eq!(w.delete("spec", all()), 2);
}

fn defect_19_a_whole_number_is_a_priority(w: &World) {
    w.set_spec(&json!({"name": "one", "then": "two"}));
    w.plain_spec("two");
    w.add_data("one", "a", &json!({"output": [["x", {}, {}, 7], ["y", {}, null, -7]]}));
    let attempt = w.claim_one_from(&["one"]);
    w.finish(&attempt).unwrap();
    let priorities = ["x", "y"].map(|unit| w.unit("two", unit).meta.priority);
    assert_eq!(priorities, [7.0, -7.0]);
}

fn defect_25_a_parent_does_not_deactivate(w: &World) {
    w.update_worker("child", "run", data(&json!({"x": 1})));
    let before = w.worker("child");
    w.set_parent("child", Some("parent"));
    let after = w.worker("child");
    let parent = Some(worker_name("parent"));
    assert_eq!(after, model::Worker { parent, ..before });
    assert!(after.active);
}

fn delayed_units_are_not_counted_as_available(w: &World) {
    w.plain_spec("spec");
    let meta = UnitMeta { priority: 0.0, not_before: Some(w.now().plus(minutes(1))) };
    w.add_unit("spec", NewUnit { meta, ..new_unit("a") });
    assert_eq!((w.counts("spec").available, w.counts("spec").delayed), (0, 1));
    assert_eq!(w.unit("spec", "a").name, name("a"));
}

fn a_continuous_time_that_was_set_is_kept(w: &World) {
    w.set_spec(&json!({"name": "spec", "continuous": true}));
    let later = Some(w.now().plus(minutes(10)));
    w.set_meta("spec", |meta| meta.next_continuous = later);
    assert_eq!(w.meta("spec").next_continuous, later);
    w.no_work();
    w.advance(minutes(10));
    w.claim_one();
}
