//! Lockstep's own decisions, which win over what the ancestor did.

use model::{
    AddUnits, AttemptChange, AttemptStatus, Change, ChangeAttempts, Claim, Command, Data, Error,
    QueueCommand, Reply, SpecRef, UnitRef, UnitStatus, UpdateWorker, Write,
};
use serde_json::json;
use testkit::{
    World, absent, all, data, minutes, name, new_unit, request, seconds, spec_name, worker_name,
};

cases![
    ids_are_never_reused,
    stale_incarnations_answer_gone,
    a_lost_lease_changes_nothing,
    a_lost_token_changes_nothing_at_all,
    a_superseded_lease_runs_out_by_itself,
    attempts_are_counted_when_claimed,
    lifetimes_are_honoured,
    memory_is_honoured,
    a_workers_expiration_is_acted_on,
    changes_in_one_command_stand_alone,
    finish_and_claim_in_one_write,
    a_write_is_all_or_nothing,
    the_same_key_has_one_effect,
    another_body_under_a_key_is_refused,
    a_refusal_is_the_answer_to_its_key,
    keys_of_a_namespace_that_is_not_there,
    the_same_key_of_a_claim_that_waited,
];

/// Decision 1.
fn ids_are_never_reused(w: &World) {
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(w.plain_spec("spec"));
        ids.extend(w.add("spec", ["a", "b"]));
        ids.push(w.claim_one().id);
        ids.push(w.claim_one().id);
        w.delete("spec", all());
        ids.extend(w.add("spec", ["a"]));
        w.destroy_spec("spec").unwrap();
    }
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(ids, unique, "ids only grow");
}

/// Decision 1.
fn stale_incarnations_answer_gone(w: &World) {
    let old_spec = w.plain_spec("spec");
    let old_unit = w.add("spec", ["a"])[0];
    w.delete("spec", all());
    let new_unit_id = w.add("spec", ["a"])[0];
    let unit = |id| UnitRef { spec: spec_name("spec"), name: name("a"), id: Some(id) };
    assert_eq!(w.try_unit(unit(old_unit)), Err(Error::Gone));
    assert_eq!(w.try_clear(unit(old_unit)), Err(Error::Gone));
    assert_eq!(w.try_make("worker", unit(old_unit), None), Err(Error::Gone));
    assert_eq!(w.try_unit(unit(new_unit_id)).unwrap().id, new_unit_id);

    w.destroy_spec("spec").unwrap();
    w.plain_spec("spec");
    let spec = SpecRef { name: spec_name("spec"), id: Some(old_spec) };
    assert_eq!(w.try_spec(spec.clone()).unwrap_err(), Error::Gone);
    let add = AddUnits { spec: spec.clone(), units: vec![new_unit("a")] };
    assert_eq!(w.try_add_units(add), Err(Error::Gone));
    assert_eq!(w.done(QueueCommand::DestroySpec { spec }), Err(Error::Gone));
    assert_eq!(w.counts("spec").total(), 0);
}

/// Every kind of change, with and without new data.
fn changes() -> Vec<(Change, Option<Data>)> {
    let kinds = [
        Change::Renew(minutes(5)),
        Change::Expire,
        Change::Finish,
        Change::Fail,
        Change::Retry(minutes(5)),
    ];
    let said = data(&json!({"said": "late", "output": ["chained"]}));
    kinds.into_iter().flat_map(|kind| [(kind, None), (kind, Some(said.clone()))]).collect()
}

/// Decision 2: an attempt that is no longer current may close its own record and no more.
fn a_lost_lease_changes_nothing(w: &World) {
    w.set_spec(&json!({"name": "spec", "then": "next"}));
    w.plain_spec("next");
    for (change, said) in changes() {
        w.add_data("spec", "a", &json!({"x": 1}));
        let lost = w.make("spec", "a");
        let current = w.make("spec", "a");
        let before = w.unit("spec", "a");
        let result = w.change(&lost, change, said.clone());
        assert_eq!(w.unit("spec", "a"), before, "{change:?} answers {result:?}");
        assert_eq!(before.active.as_ref(), Some(&current));
        let status = match change {
            Change::Renew(_) | Change::Expire => AttemptStatus::Expired,
            Change::Finish => AttemptStatus::Finished,
            Change::Fail => AttemptStatus::Failed,
            Change::Retry(_) => AttemptStatus::Retryable,
        };
        assert_eq!(w.attempt(&lost).status, status);
        let renewal = matches!(change, Change::Renew(_));
        assert_eq!(result, if renewal { Err(Error::LostLease) } else { Ok(()) });
        assert_eq!(w.active_of("worker"), [current]);
        w.delete("spec", all());
    }
    assert_eq!(w.counts("next").total(), 0);
}

/// Decision 2: an attempt that comes with its token and lost it changes nothing at all.
fn a_lost_token_changes_nothing_at_all(w: &World) {
    w.set_spec(&json!({"name": "spec", "then": "next"}));
    w.plain_spec("next");
    w.add_data("spec", "a", &json!({"x": 1}));
    let superseded = w.make("spec", "a");
    let expired = w.make("spec", "a");
    w.expire(&expired).unwrap();
    let cleared = w.claim_one();
    w.finish(&cleared).unwrap();
    w.clear("spec", "a");
    let current = w.claim_one();
    let (before, revision) = (w.unit("spec", "a"), w.revision());
    for lost in [&superseded, &expired, &cleared] {
        let own = w.attempt(lost);
        for (change, said) in changes() {
            let result = w.change_fenced(lost, change, said);
            assert_eq!(result, Err(Error::LostLease), "{change:?}");
        }
        assert_eq!(w.attempt(lost), own);
    }
    let attempt = current.as_ref();
    let token = Some(superseded.id);
    let wrong = AttemptChange { attempt, token, data: None, change: Change::Finish };
    assert_eq!(w.change_one(wrong), Err(Error::LostLease), "the token is another one's");
    assert_eq!(w.unit("spec", "a"), before);
    assert_eq!(w.revision(), revision);
    w.change_fenced(&current, Change::Finish, None).unwrap();
    assert_eq!(w.change_fenced(&current, Change::Fail, None), Err(Error::NotPending));
}

/// Decision 2: the unit stays with its new owner when the lease of the old one ends.
fn a_superseded_lease_runs_out_by_itself(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let old = w.claim_one();
    w.advance(minutes(10));
    let new = w.make("spec", "a");
    w.advance(minutes(10));
    assert_eq!(w.attempt(&old).status, AttemptStatus::Expired);
    assert_eq!(w.unit("spec", "a").active, Some(new));
    w.no_work();
}

/// Decision 3: a worker that dies is counted too.
fn attempts_are_counted_when_claimed(w: &World) {
    w.set_spec(&json!({"name": "spec", "max_retries": 3}));
    w.add("spec", ["poison"]);
    for count in 1..=3 {
        w.claim_one();
        assert_eq!(w.unit("spec", "poison").attempts, count);
        w.advance(minutes(16));
    }
    w.no_work();
    assert_eq!(w.status("spec", "poison"), UnitStatus::Failed);
    w.advance(minutes(60));
    w.no_work();
}

/// Decision 4.
fn lifetimes_are_honoured(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a", "b"]);
    let claim = |span| w.claim(Claim { lifetime: span, ..request() }).remove(0);
    let (short, default) = (claim(Some(seconds(30))), claim(None));
    assert_eq!(short.expiration, w.now().plus(seconds(30)));
    assert_eq!(default.expiration, w.now().plus(minutes(15)));
    w.advance(seconds(31));
    assert_eq!(w.attempt(&short).status, AttemptStatus::Expired);
    assert_eq!(w.attempt(&default).status, AttemptStatus::Pending);
    let unit = UnitRef { spec: spec_name("spec"), name: name("a"), id: None };
    let made = w.try_make("worker", unit.clone(), Some(minutes(90))).unwrap();
    assert_eq!(made.expiration, w.now().plus(minutes(90)));
    let made = w.try_make("worker", unit, None).unwrap();
    assert_eq!(made.expiration, w.now().plus(minutes(15)));
}

/// Decision 4: a worker gets only what fits into its memory, if it says how much it has.
fn memory_is_honoured(w: &World) {
    w.set_spec(&json!({"name": "big", "min_gb": 8, "priority": 1}));
    w.set_spec(&json!({"name": "small", "min_gb": 0.5}));
    for spec in ["big", "small"] {
        w.add(spec, ["a", "b", "c"]);
    }
    let claim = |available_gb| {
        let attempts = w.claim(Claim { available_gb, ..request() });
        attempts.first().map(|attempt| attempt.spec.to_string())
    };
    assert_eq!(claim(Some(8.0)).unwrap(), "big");
    assert_eq!(claim(Some(7.9)).unwrap(), "small");
    assert_eq!(claim(Some(0.4)), None);
    assert_eq!(claim(None).unwrap(), "big");
}

/// Decision 4: a worker that does not update itself in time is no longer active.
fn a_workers_expiration_is_acted_on(w: &World) {
    let update = |expiration| UpdateWorker {
        worker: worker_name("worker"),
        mode: "run".to_owned(),
        data: Data::default(),
        expiration,
        last_update: None,
    };
    w.try_update_worker(update(Some(w.now().plus(minutes(5))))).unwrap();
    w.advance(minutes(4));
    assert!(w.worker("worker").active);
    w.advance(minutes(2));
    let worker = w.worker("worker");
    assert!(!worker.active);
    assert_eq!(worker.mode, "run");
    w.try_update_worker(update(None)).unwrap();
    assert!(w.worker("worker").active);
    w.advance(minutes(16));
    assert!(!w.worker("worker").active);
}

/// Decision 5.
fn changes_in_one_command_stand_alone(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a", "b", "c"]);
    let attempts = w.claim_from(&[], 3);
    w.expire(&attempts[1]).unwrap();
    let change = |attempt: &model::Attempt, change| AttemptChange {
        attempt: attempt.as_ref(),
        token: None,
        data: None,
        change,
    };
    let outcomes = w.change_all(vec![
        change(&attempts[0], Change::Finish),
        change(&attempts[1], Change::Finish),
        change(&attempts[2], Change::Fail),
        change(&attempts[0], Change::Fail),
    ]);
    let ended = || Err(Error::NotPending);
    assert_eq!(outcomes.unwrap(), [Ok(()), ended(), Ok(()), ended()]);
    let statuses = ["a", "b", "c"].map(|unit| w.status("spec", unit));
    let expected = [UnitStatus::Finished, UnitStatus::Available, UnitStatus::Failed];
    assert_eq!(statuses, expected);
}

/// Decision 5: a worker's whole loop in one write.
fn finish_and_claim_in_one_write(w: &World) {
    w.set_spec(&json!({"name": "spec", "max_running": 1}));
    w.add("spec", ["a", "b"]);
    let first = w.claim_one();
    let finish = AttemptChange {
        attempt: first.as_ref(),
        token: Some(first.id),
        data: None,
        change: Change::Finish,
    };
    let commands = [
        QueueCommand::ChangeAttempts(ChangeAttempts { changes: vec![finish] }),
        QueueCommand::Claim(request()),
    ];
    let replies = w.write(commands).unwrap().replies;
    let [Reply::Changed(outcomes), Reply::Attempts(attempts)] = &replies[..] else {
        panic!("finishing and claiming answers {replies:?}");
    };
    assert_eq!(outcomes[..], [Ok(())]);
    assert_eq!(attempts[0].unit, name("b"));
    assert_eq!(w.ready_and_pending("spec"), (0, 1));
}

fn adding(names: &[&str]) -> Command {
    let spec = SpecRef { name: spec_name("spec"), id: None };
    let units = names.iter().map(new_unit).collect();
    QueueCommand::AddUnits(AddUnits { spec, units }).into()
}

fn a_write_is_all_or_nothing(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let attempt = w.claim_one();
    let (revision, unit) = (w.revision(), w.unit("spec", "a"));
    let unknown = SpecRef { name: spec_name("unknown"), id: None };
    let update = UpdateWorker {
        worker: worker_name("new"),
        mode: String::new(),
        data: Data::default(),
        expiration: None,
        last_update: None,
    };
    let finish = AttemptChange {
        attempt: attempt.as_ref(),
        token: None,
        data: None,
        change: Change::Finish,
    };
    let result = w.write([
        adding(&["b", "c"]),
        QueueCommand::ChangeAttempts(ChangeAttempts { changes: vec![finish] }).into(),
        QueueCommand::SetSpec { data: data(&json!({"name": "other"})) }.into(),
        QueueCommand::UpdateWorker(update).into(),
        QueueCommand::DestroySpec { spec: unknown }.into(),
    ]);
    assert_eq!(result, Err(Error::NoSuchWorkSpec("unknown".to_owned())));
    assert_eq!(w.names("spec", all()), ["a"]);
    assert_eq!(w.unit("spec", "a"), unit);
    assert_eq!(w.spec_names(), ["spec"]);
    assert!(absent(&w.try_worker("new")));
    assert_eq!((w.revision(), w.events_after(revision)), (revision, vec![]));
}

fn keyed(w: &World, key: &str, commands: Vec<Command>) -> Write {
    Write { request_id: Some(key.to_owned()), ..w.write_of(commands) }
}

/// Decision 8.
fn the_same_key_has_one_effect(w: &World) {
    w.plain_spec("spec");
    let write = keyed(w, "key", vec![adding(&["a", "b"]), QueueCommand::Claim(request()).into()]);
    let first = w.send(write.clone()).unwrap();
    let revision = w.revision();
    w.delete("spec", testkit::named(["b"]));
    w.advance(minutes(60));
    let again = w.send(write.clone()).unwrap();
    assert_eq!(again.replies, first.replies);
    assert_eq!(again.revision, first.revision);
    assert_eq!(w.names("spec", all()), ["a"], "the units were not added again");
    assert_eq!(w.unit("spec", "a").attempts, 1, "nothing was claimed again");
    assert!(w.revision() > revision);
    let elsewhere = w.in_namespace("elsewhere");
    elsewhere.plain_spec("spec");
    let write = Write { namespace: elsewhere.namespace().clone(), ..write };
    elsewhere.send(write).unwrap();
    assert_eq!(elsewhere.names("spec", all()), ["a", "b"], "keys are of one namespace");
}

/// Decision 8.
fn another_body_under_a_key_is_refused(w: &World) {
    w.plain_spec("spec");
    w.send(keyed(w, "key", vec![adding(&["a"])])).unwrap();
    let result = w.send(keyed(w, "key", vec![adding(&["b"])]));
    assert_eq!(result, Err(Error::KeyReused("key".to_owned())));
    assert_eq!(w.names("spec", all()), ["a"]);
    w.send(keyed(w, "other", vec![adding(&["b"])])).unwrap();
    assert_eq!(w.names("spec", all()), ["a", "b"]);
}

fn a_refusal_is_the_answer_to_its_key(w: &World) {
    w.create();
    let refused = w.send(keyed(w, "key", vec![adding(&["a"])]));
    assert!(absent(&refused));
    w.plain_spec("spec");
    assert_eq!(w.send(keyed(w, "key", vec![adding(&["a"])])), refused);
    let other = w.send(keyed(w, "key", vec![adding(&["b"])]));
    assert_eq!(other, Err(Error::KeyReused("key".to_owned())));
    assert!(w.names("spec", all()).is_empty());
    w.send(keyed(w, "another", vec![adding(&["a"])])).unwrap();
    assert_eq!(w.names("spec", all()), ["a"]);
}

fn keys_of_a_namespace_that_is_not_there(w: &World) {
    let unknown = model::AttemptRef { spec: spec_name("spec"), unit: name("a"), id: 1 };
    let change =
        AttemptChange { attempt: unknown, token: None, data: None, change: Change::Finish };
    let changing = QueueCommand::ChangeAttempts(ChangeAttempts { changes: vec![change] });
    let ghost = w.in_namespace("ghost");
    let _nothing_to_change = ghost.send(keyed(&ghost, "key", vec![changing.into()]));
    w.create();
    w.plain_spec("spec");
    let fresh = w.send(keyed(w, "key", vec![adding(&["a"])]));
    assert!(fresh.is_ok(), "the key belongs to another namespace: {fresh:?}");
}

/// A claimer that lost the answer asks again with the same key and gets the same attempts.
fn the_same_key_of_a_claim_that_waited(w: &World) {
    w.plain_spec("spec");
    let write = keyed(w, "key", vec![QueueCommand::Claim(request()).into()]);
    let write = Write { wait: seconds(30), ..write };
    let claim = || {
        std::thread::scope(|scope| {
            let claim = scope.spawn(|| w.send(write.clone()).unwrap().replies);
            while !claim.is_finished() {
                w.advance(seconds(1));
                w.add("spec", ["a"]);
                std::thread::yield_now();
            }
            claim.join().unwrap()
        })
    };
    let first = claim();
    assert!(matches!(&first[..], [Reply::Attempts(attempts)] if attempts.len() == 1));
    assert_eq!(claim(), first);
}
