use model::{
    Attempt, AttemptStatus, Data, Namespace, SpecName, Time, UnitMeta, UnitName, WorkerName,
};

use super::*;

fn spec() -> SpecName {
    SpecName::new("crash").unwrap()
}

fn unit_name(name: &str) -> UnitName {
    UnitName::new(name.as_bytes()).unwrap()
}

fn data(name: &str, attempt: u64) -> Data {
    model::data_from_json(&serde_json::json!({"name": name, "attempt": attempt})).unwrap()
}

fn unit(name: &str, attempt: u64) -> Unit {
    let active = Attempt {
        spec: spec(),
        unit: unit_name(name),
        id: attempt,
        worker: WorkerName::new("worker-1").unwrap(),
        status: AttemptStatus::Finished,
        data: data(name, attempt),
        start: Time(0),
        end: Some(Time(1)),
        expiration: Time(2),
        active: true,
    };
    Unit {
        spec: spec(),
        name: unit_name(name),
        id: 1,
        data: data(name, attempt),
        meta: UnitMeta::default(),
        status: UnitStatus::Finished,
        active: Some(active),
        attempts: 1,
        created: Time(0),
    }
}

fn event(revision: u64, bodies: Vec<EventBody>) -> Event {
    Event { namespace: Namespace::new("rig").unwrap(), revision, time: Time(0), bodies }
}

/// A run in which one call added two units, and two attempts finished them.
struct Run {
    entries: Vec<Entry>,
    seen: Seen,
}

fn good() -> Run {
    let units = vec!["a".to_owned(), "b".to_owned()];
    let mut entries = vec![
        Entry::AddAsked { call: "add".to_owned(), units },
        Entry::AddAcked { call: "add".to_owned() },
    ];
    let mut history =
        vec![event(1, vec![EventBody::UnitsAdded(spec(), vec![unit_name("a"), unit_name("b")])])];
    for (name, attempt) in [("a", 11), ("b", 12)] {
        let unit = name.to_owned();
        entries.extend([
            Entry::Claimed { unit: unit.clone(), attempt, worker: "worker-1".to_owned() },
            Entry::FinishAsked { unit: unit.clone(), attempt },
            Entry::FinishAcked { unit, attempt },
        ]);
        let name = unit_name(name);
        history.push(event(
            history.len() as u64 + 1,
            vec![
                EventBody::UnitsClaimed(spec(), vec![name.clone()]),
                EventBody::UnitFinished(spec(), name, attempt),
            ],
        ));
    }
    let units = vec![unit("a", 11), unit("b", 12)];
    let counts = Counts { finished: 2, ..Counts::default() };
    let seen = Seen { units, counts, kept: history.clone(), followed: history };
    Run { entries, seen }
}

/// Breaks a good run and checks that the auditor says so.
#[track_caller]
fn finds(says: &str, spoil: impl FnOnce(&mut Run)) {
    let mut run = good();
    spoil(&mut run);
    let audit = audit(&run.entries, &run.seen);
    assert!(audit.violations.iter().any(|found| found.contains(says)), "{says}: {audit}");
}

#[test]
fn a_good_run_passes() {
    let run = good();
    let audit = audit(&run.entries, &run.seen);
    assert_eq!(audit.violations, Vec::<String>::new());
    assert_eq!((audit.adds, audit.units, audit.finishes, audit.commits), (1, 2, 2, 3));
}

#[test]
fn an_unknown_add_may_be_there_or_not() {
    let mut run = good();
    run.entries.remove(1);
    assert!(audit(&run.entries, &run.seen).violations.is_empty());
    let asked = run.entries.swap_remove(0);
    let nothing = Seen::default();
    assert!(audit(&[asked], &nothing).violations.is_empty());
}

#[test]
fn lost_and_invented_units_are_found() {
    finds("add was acknowledged: 1 of 2 lost", |run| drop(run.seen.units.pop()));
    finds("there in part", |run| {
        run.entries.remove(1);
        run.seen.units.pop();
    });
    finds("nobody added it", |run| run.seen.units.push(unit("c", 13)));
    finds("the spec counts", |run| run.seen.counts.finished = 1);
}

#[test]
fn effects_that_came_twice_are_found() {
    finds("b was added 2 times", |run| {
        run.seen.followed[2].bodies.push(EventBody::UnitsAdded(spec(), vec![unit_name("b")]));
    });
    finds("acknowledged: {11, 14}", |run| {
        run.entries.push(Entry::FinishAcked { unit: "a".to_owned(), attempt: 14 });
    });
    finds("finished by [12, 14]", |run| {
        let again = EventBody::UnitFinished(spec(), unit_name("b"), 14);
        run.seen.followed[2].bodies.push(again);
    });
    finds("attempt 11 is", |run| {
        let (unit, worker) = ("b".to_owned(), "worker-2".to_owned());
        run.entries.push(Entry::Claimed { unit, attempt: 11, worker });
    });
    finds("1 attempts and 2 claims", |run| {
        run.seen.followed[0].bodies.push(EventBody::UnitsClaimed(spec(), vec![unit_name("b")]));
    });
}

#[test]
fn ends_that_do_not_agree_are_found() {
    finds("b is stuck: it is pending", |run| run.seen.units[1].status = UnitStatus::Pending);
    finds("which never asked", |run| {
        run.entries
            .retain(|entry| !matches!(entry, Entry::FinishAsked { unit, .. } if unit == "b"));
    });
    finds("which was refused", |run| {
        let (unit, code) = ("b".to_owned(), "lost_lease".to_owned());
        run.entries.push(Entry::FinishRefused { unit, attempt: 12, code });
    });
    finds("refused for not_pending", |run| {
        let (unit, code) = ("b".to_owned(), "not_pending".to_owned());
        run.entries.push(Entry::FinishRefused { unit, attempt: 13, code });
    });
    finds("has the data", |run| run.seen.units[0].data = Data::default());
    finds("but shows None", |run| run.seen.units[0].active = None);
    finds("odd", |run| run.entries.push(Entry::Surprise { what: "odd".to_owned() }));
}

#[test]
fn a_history_that_changes_is_found() {
    finds("revision 3 in place of 2", |run| drop(run.seen.followed.remove(1)));
    finds("not what it was", |run| run.seen.kept[2].bodies.clear());
    finds("not what it was", |run| drop(run.seen.kept.pop()));
}
