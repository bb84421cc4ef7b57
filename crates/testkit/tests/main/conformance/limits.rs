//! Limits: what is too large is refused, and nothing of it is stored.

use std::time::Duration;

use model::{
    AttemptChange, Change, Claim, Error, QueueCommand, UnitFilter, Write,
    limits::{BATCH_MAX, COMMANDS_MAX, LIFETIME_MAX, REQUEST_ID_BYTES_MAX},
};
use testkit::{World, all, data, new_unit, request};

cases![
    a_batch_of_units,
    a_batch_of_changes,
    a_write_of_commands,
    a_claim_of_many,
    a_page_of_units,
    a_lifetime,
    an_idempotency_key,
    a_write_of_nothing,
];

#[track_caller]
fn too_large<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(&result, Err(Error::TooLarge { .. })), "{result:?}");
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("u{i:05}")).collect()
}

fn a_batch_of_units(w: &World) {
    w.plain_spec("spec");
    too_large(w.try_add("spec", numbered(BATCH_MAX + 1).iter().map(new_unit).collect()));
    assert_eq!(w.counts("spec").total(), 0);
    assert_eq!(w.add("spec", numbered(BATCH_MAX)).len(), BATCH_MAX);
    assert_eq!(w.counts("spec").available, BATCH_MAX as u64);
}

fn a_batch_of_changes(w: &World) {
    w.plain_spec("spec");
    w.add("spec", numbered(BATCH_MAX));
    let attempts = w.claim_from(&[], BATCH_MAX as u32);
    assert_eq!(attempts.len(), BATCH_MAX);
    let finish = |attempt: &model::Attempt| AttemptChange {
        attempt: attempt.as_ref(),
        token: Some(attempt.id),
        data: None,
        change: Change::Finish,
    };
    let mut changes: Vec<_> = attempts.iter().map(finish).collect();
    changes.push(finish(&attempts[0]));
    too_large(w.change_all(changes.clone()));
    assert_eq!(w.counts("spec").finished, 0);
    changes.pop();
    assert_eq!(w.change_all(changes).unwrap(), vec![Ok(()); BATCH_MAX]);
    assert_eq!(w.counts("spec").finished, BATCH_MAX as u64);
}

fn a_write_of_commands(w: &World) {
    w.create();
    let command = QueueCommand::SetSpec { data: data(&serde_json::json!({"name": "spec"})) };
    too_large(w.write(vec![command.clone(); COMMANDS_MAX + 1]));
    assert_eq!(w.spec_names(), [""; 0]);
    assert_eq!(w.write(vec![command; COMMANDS_MAX]).unwrap().replies.len(), COMMANDS_MAX);
}

fn a_claim_of_many(w: &World) {
    w.plain_spec("spec");
    w.add("spec", numbered(BATCH_MAX));
    w.add("spec", ["one more"]);
    match w.try_claim(Claim { count: u32::MAX, ..request() }) {
        Ok(attempts) => assert_eq!(attempts.len(), BATCH_MAX),
        refused => too_large(refused),
    }
}

fn a_page_of_units(w: &World) {
    w.plain_spec("spec");
    w.add("spec", numbered(BATCH_MAX));
    w.add("spec", ["one more"]);
    let (units, next) = w.page("spec", UnitFilter { limit: 5_000, ..all() });
    assert_eq!(units.len(), 1_000);
    assert_eq!(next.as_ref(), units.last().map(|unit| &unit.name));
    let (units, next) = w.page("spec", UnitFilter { after: next, ..all() });
    assert_eq!((units.len(), next), (1, None));
}

fn a_lifetime(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let over = LIFETIME_MAX + Duration::from_secs(1);
    too_large(w.try_claim(Claim { lifetime: Some(over), ..request() }));
    let attempt = w.claim(Claim { lifetime: Some(LIFETIME_MAX), ..request() }).remove(0);
    too_large(w.renew(&attempt, over));
    too_large(w.retry(&attempt, Duration::MAX));
    assert_eq!(w.attempt(&attempt), attempt);
}

fn an_idempotency_key(w: &World) {
    let keyed = |length: usize| Write {
        request_id: Some("k".repeat(length)),
        ..w.write_of([QueueCommand::CreateNamespace])
    };
    assert!(w.send(keyed(REQUEST_ID_BYTES_MAX + 1)).is_err());
    assert!(w.send(keyed(0)).is_err());
    w.send(keyed(REQUEST_ID_BYTES_MAX)).unwrap();
}

fn a_write_of_nothing(w: &World) {
    w.create();
    let committed = w.write(Vec::<QueueCommand>::new());
    assert!(matches!(&committed, Ok(c) if c.revision == w.revision()), "{committed:?}");
}
