//! Many at once.

use std::{collections::BTreeSet, sync::Mutex, thread};

use model::{Claim, Error, QueueCommand, Reply, UnitStatus, Write, limits};
use testkit::{World, all, minutes, name, new_unit, request, seconds, worker_name};

cases![
    concurrent_execution,
    add_same_unit,
    one_unit_for_many_workers,
    heartbeats_with_one_parent,
    destroying_what_others_use,
    a_claim_waits_for_work,
    a_claim_waits_no_longer_than_asked,
    a_claim_does_not_wait_when_there_is_work,
];

/// 59. Eight workers empty a hundred units: every unit is done, none twice.
fn concurrent_execution(w: &World) {
    w.plain_spec("spec");
    w.add("spec", (0..100).map(|i| format!("u{i:03}")));
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for worker in 0..8 {
            let done = &done;
            scope.spawn(move || {
                let worker = worker_name(&format!("worker {worker}"));
                while let [attempt] = &w.claim(Claim { worker: worker.clone(), ..request() })[..] {
                    w.finish(attempt).unwrap();
                    done.lock().unwrap().push(attempt.unit.clone());
                }
            });
        }
    });
    let done = done.into_inner().unwrap();
    assert_eq!(done.len(), 100);
    assert_eq!(done.iter().collect::<BTreeSet<_>>().len(), 100);
    assert_eq!(w.counts("spec").finished, 100);
}

/// 60. Eight add the same thousand units at once.
fn add_same_unit(w: &World) {
    w.plain_spec("spec");
    let names: Vec<_> = (0..1_000).map(|i| format!("u{i:04}")).collect();
    let ids = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for part in names.chunks(50) {
                    ids.lock().unwrap().extend(w.add("spec", part));
                }
            });
        }
    });
    assert_eq!(w.counts("spec").available, 1_000);
    assert_eq!(ids.into_inner().unwrap().len(), 1_000, "each has one incarnation");
}

fn one_unit_for_many_workers(w: &World) {
    w.plain_spec("spec");
    for round in 0..20 {
        w.add("spec", [format!("u{round}")]);
        let claims: Vec<usize> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| w.claim(request()).len())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(claims.iter().sum::<usize>(), 1, "round {round}: {claims:?}");
    }
    assert_eq!(w.ready_and_pending("spec"), (0, 20));
}

/// Defect 22: the ancestor died when several workers named one parent at once.
fn heartbeats_with_one_parent(w: &World) {
    thread::scope(|scope| {
        for worker in 0..8 {
            scope.spawn(move || {
                let child = format!("child {worker}");
                for _ in 0..10 {
                    w.update_worker(&child, "run", model::Data::default());
                    w.set_parent(&child, Some("parent"));
                }
            });
        }
    });
    assert_eq!(w.children("parent").len(), 8);
}

/// Defect 22 again: destroying a namespace while four clients use it.
fn destroying_what_others_use(w: &World) {
    thread::scope(|scope| {
        let users: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _present_or_not =
                            w.try_set_spec(testkit::data(&serde_json::json!({"name": "spec"})));
                        let _present_or_not = w.try_add("spec", vec![new_unit("a")]);
                        if let Some(attempt) = w.claim(request()).first() {
                            let result = w.finish(attempt);
                            assert!(result.is_ok() || testkit::absent(&result), "{result:?}");
                        }
                    }
                })
            })
            .collect();
        while users.iter().any(|user| !user.is_finished()) {
            let result = w.destroy();
            assert!(result.is_ok() || testkit::absent(&result), "{result:?}");
        }
    });
    w.plain_spec("spec");
    w.delete("spec", all());
    assert_eq!(w.counts("spec").total(), 0);
}

fn waiting_claim(w: &World) -> Write {
    Write { wait: limits::WAIT_MAX, ..w.write_of([QueueCommand::Claim(request())]) }
}

fn claimed(reply: model::Result<model::Committed>) -> Vec<model::Attempt> {
    match reply.map(|committed| committed.replies).as_deref() {
        Ok([Reply::Attempts(attempts)]) => attempts.clone(),
        other => panic!("a claim answers {other:?}"),
    }
}

fn a_claim_waits_for_work(w: &World) {
    w.plain_spec("spec");
    thread::scope(|scope| {
        let claim = scope.spawn(|| claimed(w.send(waiting_claim(w))));
        w.add("spec", ["a"]);
        let attempts = claim.join().unwrap();
        assert_eq!(attempts[0].unit, name("a"));
        assert_eq!(w.status("spec", "a"), UnitStatus::Pending);
    });
}

fn a_claim_waits_no_longer_than_asked(w: &World) {
    w.plain_spec("spec");
    thread::scope(|scope| {
        let claim = scope.spawn(|| claimed(w.send(waiting_claim(w))));
        while !claim.is_finished() {
            w.advance(seconds(20));
            thread::yield_now();
        }
        assert_eq!(claim.join().unwrap(), []);
    });
}

fn a_claim_does_not_wait_when_there_is_work(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let start = w.now();
    assert_eq!(claimed(w.send(waiting_claim(w))).len(), 1);
    assert_eq!(w.now(), start);
    let too_long = Write { wait: limits::WAIT_MAX + minutes(1), ..waiting_claim(w) };
    w.add("spec", ["b"]);
    let result = w.send(too_long);
    assert!(matches!(&result, Ok(_) | Err(Error::TooLarge { .. } | Error::BadInput(_))));
}
