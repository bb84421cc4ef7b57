//! The history of a namespace.

use model::{Committed, EventBody, QueueCommand, SetUnits, SpecRef, UnitChange, UnitName};
use serde_json::json;
use testkit::{World, all, minutes, name, named, request, spec_name, worker_name};

cases![
    revisions_have_no_gaps,
    a_write_tells_what_the_history_tells,
    looking_changes_nothing,
    what_happens_to_a_unit,
    what_falls_due_is_history_too,
    the_history_is_read_in_parts,
    namespaces_have_their_own_history,
];

fn units(names: &[&str]) -> Vec<UnitName> {
    names.iter().map(name).collect()
}

fn revisions_have_no_gaps(w: &World) {
    w.plain_spec("spec");
    for i in 0..10 {
        w.add("spec", [format!("u{i}")]);
        let attempt = w.claim_one();
        w.finish(&attempt).unwrap();
        w.advance(minutes(1));
    }
    let events = w.events_after(0);
    let revisions: Vec<_> = events.iter().map(|event| event.revision).collect();
    assert_eq!(revisions, (1..=events.len() as u64).collect::<Vec<_>>());
    assert_eq!(revisions.last(), Some(&w.revision()));
    assert!(events.is_sorted_by_key(|event| event.time));
    assert!(events.iter().all(|event| event.namespace == *w.namespace()));
    assert!(events.iter().all(|event| !event.bodies.is_empty()));
}

fn a_write_tells_what_the_history_tells(w: &World) {
    let same = |committed: Committed| {
        let event = w.events_after(committed.revision - 1).remove(0);
        assert_eq!((event.revision, event.bodies), (committed.revision, committed.events));
        assert_eq!(event.time, w.now());
    };
    let spec = SpecRef { name: spec_name("spec"), id: None };
    let set = QueueCommand::SetSpec { data: testkit::data(&json!({"name": "spec"})) };
    same(w.write([set.clone()]).unwrap());
    let add =
        model::AddUnits { spec: spec.clone(), units: ["a", "b"].map(testkit::new_unit).to_vec() };
    same(w.write([QueueCommand::AddUnits(add), QueueCommand::Claim(request())]).unwrap());
    same(w.write([set, QueueCommand::DestroySpec { spec }]).unwrap());
}

fn looking_changes_nothing(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    w.claim_one();
    let revision = w.revision();
    w.units("spec", all());
    w.summary(None);
    w.history("spec", "a");
    w.worker("worker");
    w.no_work();
    let nothing = SetUnits {
        spec: SpecRef { name: spec_name("spec"), id: None },
        filter: named(["unknown"]),
        change: UnitChange::Delete,
    };
    let committed = w.write([QueueCommand::SetUnits(nothing)]).unwrap();
    assert_eq!((committed.revision, committed.events), (revision, vec![]));
    assert_eq!(w.revision(), revision);
}

fn what_happens_to_a_unit(w: &World) {
    w.plain_spec("spec");
    w.create_worker("worker");
    let spec = || spec_name("spec");
    let mut seen = w.revision();
    let mut new = || {
        let bodies = w.happened_after(seen);
        seen = w.revision();
        bodies
    };
    w.add("spec", ["a", "b"]);
    assert_eq!(new(), [EventBody::UnitsAdded(spec(), units(&["a", "b"]))]);
    let attempts = w.claim_from(&[], 2);
    assert_eq!(new(), [EventBody::UnitsClaimed(spec(), units(&["a", "b"]))]);
    w.renew(&attempts[0], minutes(5)).unwrap();
    assert_eq!(new(), [EventBody::LeaseRenewed(spec(), name("a"))]);
    w.finish(&attempts[0]).unwrap();
    assert_eq!(new(), [EventBody::UnitFinished(spec(), name("a"), attempts[0].id)]);
    w.fail(&attempts[1]).unwrap();
    assert_eq!(new(), [EventBody::UnitFailed(spec(), name("b"), attempts[1].id)]);
    w.clear("spec", "a");
    assert_eq!(new(), [EventBody::UnitsChanged(spec(), units(&["a"]))]);
    let attempt = w.claim_one();
    new();
    w.retry(&attempt, minutes(0)).unwrap();
    assert_eq!(new(), [EventBody::UnitReleased(spec(), name("a"), attempt.id)]);
    w.set_units("spec", all(), UnitChange::Priority(1.0));
    assert_eq!(new(), [EventBody::UnitsChanged(spec(), units(&["a", "b"]))]);
    w.delete("spec", named(["b"]));
    assert_eq!(new(), [EventBody::UnitsDeleted(spec(), units(&["b"]))]);
    w.set_meta("spec", |meta| meta.priority = 1);
    assert_eq!(new(), [EventBody::SpecSet(spec())]);
    w.destroy_spec("spec").unwrap();
    assert_eq!(new(), [EventBody::SpecDestroyed(spec())]);
    w.set_parent("worker", None);
    w.deactivate("worker");
    let changed: Vec<_> = new();
    assert_eq!(changed.last(), Some(&EventBody::WorkerChanged(worker_name("worker"))));
}

fn what_falls_due_is_history_too(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let attempt = w.claim_one();
    let later = model::NewUnit { delay: Some(minutes(5)), ..testkit::new_unit("b") };
    w.add_unit("spec", later);
    let seen = w.revision();
    w.advance(minutes(20));
    w.counts("spec");
    let bodies = w.happened_after(seen);
    let released = EventBody::UnitReleased(spec_name("spec"), name("a"), attempt.id);
    let ready = EventBody::UnitsReady(spec_name("spec"), units(&["b"]));
    assert!(bodies.contains(&released) && bodies.contains(&ready), "{bodies:?}");
}

fn the_history_is_read_in_parts(w: &World) {
    (0..7).for_each(|i| {
        w.plain_spec(&format!("spec {i}"));
    });
    let events = w.events_after(0);
    let last = events.last().unwrap().revision;
    assert_eq!(w.events_after(3), events[3..]);
    assert_eq!(w.events_after(last), []);
    assert_eq!(w.events_after(last + 100), []);
}

fn namespaces_have_their_own_history(w: &World) {
    let other = w.in_namespace("another");
    w.plain_spec("spec");
    other.plain_spec("other");
    w.plain_spec("spec two");
    assert!(w.happened_after(0).contains(&EventBody::SpecSet(spec_name("spec two"))));
    assert!(!other.happened_after(0).contains(&EventBody::SpecSet(spec_name("spec two"))));
    assert_eq!(other.events_after(0).len() as u64, other.revision());
}
