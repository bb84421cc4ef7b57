//! Attempts: their life, their times, their limits, and what each call does in each state.

use std::{slice::from_ref, time::Duration};

use model::{Attempt, AttemptRef, AttemptStatus, Change, Claim, Data, Error, UnitStatus};
use serde_json::json;
use testkit::{World, absent, all, data, minutes, name, request, seconds, spec_name};

cases![
    attempt_lifetime,
    attempt_metadata,
    attempt_expiration,
    retry_delay,
    attempt_fractional_start,
    attempt_gone,
    max_retries,
    max_retries_multi,
    max_retries_multi_batch,
    finishing_first_gets_in,
    pending_until_its_expiration,
    data_is_replaced_only_if_given,
    failing_keeps_what_was_said,
    unknown_attempts_are_refused,
    attempts_of_a_unit_are_listed_oldest_first,
];

/// 40. From available through pending and finished back to available.
fn attempt_lifetime(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    assert_eq!(w.status("spec", "a"), UnitStatus::Available);
    assert_eq!(w.unit("spec", "a").active, None);

    let attempt = w.claim_one();
    assert_eq!(attempt.status, AttemptStatus::Pending);
    assert!(attempt.active);
    let unit = w.unit("spec", "a");
    assert_eq!((unit.status, unit.attempts), (UnitStatus::Pending, 1));
    assert_eq!(unit.active.as_ref(), Some(&attempt));
    assert_eq!(w.active_of("worker"), from_ref(&attempt));

    let new = json!({"outcome": "yes"});
    w.finish_with(&attempt, &new).unwrap();
    let attempt = w.attempt(&attempt);
    assert_eq!((attempt.status, attempt.active), (AttemptStatus::Finished, true));
    let unit = w.unit("spec", "a");
    assert_eq!((unit.status, &unit.data), (UnitStatus::Finished, &data(&new)));
    assert_eq!(unit.active.as_ref(), Some(&attempt));
    assert_eq!(w.active_of("worker"), []);
    assert_eq!(w.all_of("worker"), from_ref(&attempt));
    assert_eq!(w.history("spec", "a"), from_ref(&attempt));

    w.clear("spec", "a");
    let unit = w.unit("spec", "a");
    assert_eq!((unit.status, &unit.data), (UnitStatus::Available, &Data::default()));
    assert_eq!(unit.active, None);
    let past = Attempt { active: false, ..attempt };
    assert_eq!(w.all_of("worker"), from_ref(&past));
    assert_eq!(w.history("spec", "a"), [past]);
}

/// 41. Times and data of an attempt at its start, after a renewal, and at its end.
fn attempt_metadata(w: &World) {
    w.plain_spec("spec");
    let given = json!({"from": "unit"});
    w.add_data("spec", "a", &given);
    let (start, attempt) = (w.now(), w.claim_one());
    assert_eq!((attempt.start, attempt.end), (start, None));
    assert_eq!(attempt.data, data(&given));
    assert_eq!(attempt.expiration, start.plus(minutes(15)));

    w.advance(seconds(10));
    let renewed = json!({"from": "renewal"});
    w.change(&attempt, Change::Renew(minutes(5)), Some(data(&renewed))).unwrap();
    let now = w.attempt(&attempt);
    assert_eq!((now.start, now.end), (start, None));
    assert_eq!(now.expiration, start.plus(seconds(10)).plus(minutes(5)));
    assert_eq!(now.data, data(&renewed));
    assert_eq!(w.unit("spec", "a").data, data(&renewed));

    w.advance(seconds(10));
    let finished = json!({"from": "finish"});
    w.finish_with(&attempt, &finished).unwrap();
    let now = w.attempt(&attempt);
    assert_eq!((now.start, now.end), (start, Some(start.plus(seconds(20)))));
    assert_eq!(now.data, data(&finished));
}

/// 47. An attempt that nobody touches expires, and its unit is handed out again.
fn attempt_expiration(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let attempt = w.claim_one();
    w.no_work();
    w.advance(minutes(20));
    assert_eq!(w.ready_and_pending("spec"), (1, 0));
    assert_eq!(w.status("spec", "a"), UnitStatus::Available);
    let expired = w.attempt(&attempt);
    assert_eq!((expired.status, expired.active), (AttemptStatus::Expired, false));
    assert_eq!(w.active_of("worker"), []);
    assert_eq!(w.claim_one().unit, name("a"));
}

/// 48. A unit that is to be retried after a delay is handed out after it.
fn retry_delay(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let attempt = w.claim_one();
    w.retry(&attempt, seconds(90)).unwrap();
    assert_eq!(w.attempt(&attempt).status, AttemptStatus::Retryable);
    w.advance(seconds(60));
    assert_eq!(w.status("spec", "a"), UnitStatus::Delayed);
    w.no_work();
    w.advance(seconds(60));
    assert_eq!(w.status("spec", "a"), UnitStatus::Available);
    assert_eq!(w.claim_one().unit, name("a"));
}

/// 49. Times keep their fractions of a second, and such an attempt can be finished.
fn attempt_fractional_start(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    w.advance(Duration::from_nanos(123_456_789));
    let (start, attempt) = (w.now(), w.claim_one());
    assert_eq!(w.attempt(&attempt).start, start);
    assert_eq!(start.0 % 1_000_000_000, 123_456_789);
    w.finish(&attempt).unwrap();
    assert_eq!(w.status("spec", "a"), UnitStatus::Finished);
}

/// 50. The attempts of a deleted unit are gone, from their worker too.
fn attempt_gone(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let attempt = w.claim_one();
    w.delete("spec", all());
    assert!(absent(&w.try_attempt(attempt.as_ref())));
    let changes = [
        Change::Renew(minutes(1)),
        Change::Expire,
        Change::Finish,
        Change::Fail,
        Change::Retry(minutes(1)),
    ];
    for change in changes {
        assert!(absent(&w.change(&attempt, change, None)), "{change:?}");
    }
    assert_eq!(w.active_of("worker"), []);
    assert_eq!(w.all_of("worker"), []);
}

/// 51. With `max_retries` 2 a unit is handed out twice and then failed.
fn max_retries(w: &World) {
    w.set_spec(&json!({"name": "spec", "max_retries": 2}));
    w.add("spec", ["a"]);
    for _ in 0..2 {
        assert_eq!(w.claim_one().unit, name("a"));
        w.advance(minutes(20));
    }
    w.no_work();
    let unit = w.unit("spec", "a");
    assert_eq!(unit.status, UnitStatus::Failed);
    assert_eq!(unit.data, data(&json!({"traceback": "too many retries"})));
    assert_eq!(w.active_of("worker"), []);
}

/// 52. Of a batch of two, one may be over the limit; it is not replaced.
fn max_retries_multi(w: &World) {
    w.set_spec(&json!({"name": "spec", "max_getwork": 2, "max_retries": 1}));
    w.add("spec", ["a", "b", "c"]);
    let attempt = w.claim_one();
    w.expire(&attempt).unwrap();
    assert_eq!(w.claim_names(2), ["b"]);
    assert_eq!(w.status("spec", "a"), UnitStatus::Failed);
    assert_eq!(w.claim_names(2), ["c"]);
}

/// 53. If a whole batch is over the limit, the request goes on.
fn max_retries_multi_batch(w: &World) {
    w.set_spec(&json!({"name": "spec", "max_getwork": 2, "max_retries": 1}));
    w.add("spec", ["a", "b", "c", "d"]);
    let attempts = w.claim_from(&[], 2);
    attempts.iter().for_each(|attempt| w.expire(attempt).unwrap());
    assert_eq!(w.claim_names(2), ["c", "d"]);
    assert_eq!(w.status("spec", "a"), UnitStatus::Failed);
    assert_eq!(w.status("spec", "b"), UnitStatus::Failed);
}

/// An attempt that expired is no longer current, and its worker is told so.
fn finishing_first_gets_in(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let attempt = w.claim_one();
    w.advance(minutes(20));
    assert_eq!(w.finish(&attempt), Err(Error::NotPending));
    assert_eq!(w.renew(&attempt, minutes(5)), Err(Error::LostLease));
    assert_eq!(w.expire(&attempt), Ok(()), "it is expired already");
    assert_eq!(w.attempt(&attempt).end.map(|end| end > attempt.start), Some(true));
    assert_eq!(w.ready_and_pending("spec"), (1, 0));
}

/// A lease lasts up to and with its expiration.
fn pending_until_its_expiration(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let attempt = w.claim(Claim { lifetime: Some(seconds(10)), ..request() }).remove(0);
    w.advance(seconds(10));
    assert_eq!(w.attempt(&attempt).status, AttemptStatus::Pending);
    w.advance(Duration::from_nanos(1));
    assert_eq!(w.attempt(&attempt).status, AttemptStatus::Expired);
}

fn data_is_replaced_only_if_given(w: &World) {
    w.plain_spec("spec");
    w.add_data("spec", "a", &json!({"x": 1}));
    let attempt = w.claim_one();
    w.renew(&attempt, minutes(1)).unwrap();
    assert_eq!(w.attempt(&attempt).data, data(&json!({"x": 1})));
    w.change(&attempt, Change::Renew(minutes(1)), Some(Data::default())).unwrap();
    assert_eq!(w.attempt(&attempt).data, Data::default());
    w.finish(&attempt).unwrap();
    assert_eq!(w.unit("spec", "a").data, Data::default());
    w.clear("spec", "a");
    assert_eq!(w.unit("spec", "a").data, data(&json!({"x": 1})), "the unit's own data");
}

fn failing_keeps_what_was_said(w: &World) {
    w.plain_spec("spec");
    w.add_data("spec", "a", &json!({"x": 1}));
    let attempt = w.claim_one();
    let said = json!({"traceback": "it broke"});
    w.change(&attempt, Change::Fail, Some(data(&said))).unwrap();
    let unit = w.unit("spec", "a");
    assert_eq!((unit.status, unit.data), (UnitStatus::Failed, data(&said)));
    assert_eq!(w.active_of("worker"), []);
    w.no_work();
}

fn unknown_attempts_are_refused(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let unknown = AttemptRef { spec: spec_name("spec"), unit: name("a"), id: 999_999 };
    let result = w.try_attempt(unknown);
    assert!(matches!(&result, Err(Error::NoSuchAttempt(_) | Error::Gone)), "{result:?}");
    let attempt = Attempt { unit: name("b"), id: 1, ..w.claim_one() };
    assert!(absent(&w.finish(&attempt)));
    assert!(absent(&w.finish(&Attempt { spec: spec_name("other"), ..attempt })));
}

fn attempts_of_a_unit_are_listed_oldest_first(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let ids: Vec<_> = (0..4)
        .map(|_| {
            let attempt = w.claim_one();
            w.expire(&attempt).unwrap();
            attempt.id
        })
        .collect();
    assert!(ids.is_sorted());
    let listed: Vec<_> = w.history("spec", "a").iter().map(|attempt| attempt.id).collect();
    assert_eq!(listed, ids);
    assert_eq!(w.unit("spec", "a").attempts, 4);
    let of_worker: Vec<_> = w.all_of("worker").iter().map(|attempt| attempt.id).collect();
    assert_eq!(of_worker, ids);
}
