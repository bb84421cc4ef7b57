//! Cancelling, timing out and shutting down, with a clock that the test moves: lines 154 and 155 of
//! the conformance list.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use client::{
    Lockstep,
    worker::{Cancelled, Outcome, Tally, Worker, WorkerOptions},
};
use model::{AttemptStatus, Page, UnitRef, UnitStatus, WorkerName};
use serde_json::json as value;
use tokio::time::{Instant, sleep};

use crate::support::{
    Fault, Faulty, engine, json, lockstep, namespace, options, run, spec, spec_name, text_of,
    unit_name, units,
};

const MINUTE: Duration = Duration::from_secs(60);

fn lease(lifetime: Duration) -> WorkerOptions {
    WorkerOptions { lifetime, ..options() }
}

/// A namespace whose backend does not hear renewals.
fn no_renewals() -> Lockstep {
    let faulty = Faulty::over(engine());
    faulty.set(Fault::NoRenewals);
    Lockstep::new(faulty, namespace("test"))
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_lease_ends_is_cancelled_30_seconds_before() {
    let lockstep = no_renewals();
    let spec = spec(&lockstep, value!({"name": "s"}), &["a"]).await;
    let start = Instant::now();
    let tally = run(&lockstep, lease(15 * MINUTE), move |task| async move {
        assert_eq!(task.cancelled().await, Cancelled::LeaseEnding);
        let after = start.elapsed();
        assert_eq!(after.as_secs(), 15 * 60 - 30);
        Ok(Outcome::Fail(json(value!({"traceback": "it was time"}))))
    })
    .await;
    assert_eq!(tally, Tally { failed: 1, ..Tally::default() });
    let unit = &units(&spec).await[0];
    assert_eq!((unit.status, unit.attempts), (UnitStatus::Failed, 1));
    assert_eq!(text_of(&unit.data, "traceback"), "it was time");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ignores_it_is_failed_15_seconds_before() {
    let lockstep = no_renewals();
    let spec = spec(&lockstep, value!({"name": "s"}), &["a"]).await;
    let start = Instant::now();
    let tally = run(&lockstep, lease(15 * MINUTE), async |_| {
        std::future::pending::<()>().await;
        Ok(Outcome::Finish(None))
    })
    .await;
    assert_eq!(start.elapsed().as_secs(), 15 * 60 - 15);
    assert_eq!(tally, Tally { failed: 1, ..Tally::default() });
    let unit = &units(&spec).await[0];
    assert_eq!((unit.status, unit.attempts), (UnitStatus::Failed, 1));
    assert_eq!(text_of(&unit.data, "traceback"), "timed out");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_gives_up_because_its_lease_ends_gives_the_unit_back() {
    let lockstep = no_renewals();
    let spec = spec(&lockstep, value!({"name": "s"}), &["a"]).await;
    let first = Arc::new(AtomicBool::new(true));
    let tally =
        run(&lockstep, lease(15 * MINUTE), move |task| {
            let first = first.swap(false, Ordering::SeqCst);
            async move {
                if first { Err(task.cancelled().await.into()) } else { Ok(Outcome::Finish(None)) }
            }
        })
        .await;
    assert_eq!(tally, Tally { finished: 1, given_back: 1, ..Tally::default() });
    assert_eq!(units(&spec).await[0].attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_task_runs_no_longer_than_it_may() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["ends", "ignores"]).await;
    let start = Instant::now();
    let options = WorkerOptions { task_max: Some(60 * MINUTE), ..lease(15 * MINUTE) };
    let tally = run(&lockstep, options, move |task| async move {
        assert_eq!(task.cancelled().await, Cancelled::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 3600);
        if task.unit().as_bytes() == b"ignores" {
            std::future::pending::<()>().await;
        }
        Err(Cancelled::TimedOut.into())
    })
    .await;
    assert_eq!(start.elapsed().as_secs(), 3600 + 15);
    assert_eq!(tally, Tally { failed: 2, ..Tally::default() });
    for unit in units(&spec).await {
        assert_eq!((unit.status, unit.attempts), (UnitStatus::Failed, 1));
        assert_eq!(text_of(&unit.data, "traceback"), "timed out");
    }
}

#[tokio::test(start_paused = true)]
async fn times_of_short_leases_are_in_proportion() {
    let lockstep = no_renewals();
    spec(&lockstep, value!({"name": "s"}), &["a"]).await;
    let start = Instant::now();
    run(&lockstep, lease(Duration::from_secs(12)), move |task| async move {
        task.cancelled().await;
        assert_eq!(start.elapsed().as_secs(), 8);
        std::future::pending().await
    })
    .await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_cancels_the_task_and_changes_nothing() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["a"]).await;
    let unit = UnitRef { spec: spec_name("s"), name: unit_name("a"), id: None };
    let thief = lockstep.worker(WorkerName::new("thief").unwrap());
    let theirs = Arc::new(Mutex::new(None));
    let stolen = theirs.clone();
    let start = Instant::now();
    let tally = run(&lockstep, lease(15 * MINUTE), move |task| {
        let (thief, unit, stolen) = (thief.clone(), unit.clone(), stolen.clone());
        async move {
            let attempt = thief.make_attempt(unit, Some(60 * MINUTE)).await?;
            *stolen.lock().unwrap() = Some(attempt);
            assert_eq!(task.cancelled().await, Cancelled::LeaseLost);
            assert_eq!(start.elapsed().as_secs(), 5 * 60, "at the first renewal");
            Ok(Outcome::Finish(Some(json(value!({"late": "result"})))))
        }
    })
    .await;
    assert_eq!(tally, Tally { lost: 1, ..Tally::default() });
    let theirs = theirs.lock().unwrap().take().unwrap();
    let unit = &units(&spec).await[0];
    assert_eq!((unit.status, &unit.active), (UnitStatus::Pending, &Some(theirs.clone())));
    lockstep.attempt(&theirs).finish(None).await.unwrap();
    assert!(units(&spec).await[0].data.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_tasks_end_and_gives_the_others_back() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["deaf", "ends", "long", "waits"]).await;
    let options = WorkerOptions { concurrency: 3, ..options() };
    let worker = Worker::new(lockstep.clone(), options).other(async |task| {
        match task.unit().as_bytes() {
            b"deaf" => std::future::pending::<()>().await,
            b"ends" => sleep(Duration::from_secs(20)).await,
            _ => {
                assert_eq!(task.cancelled().await, Cancelled::Shutdown);
                return Err(Cancelled::Shutdown.into());
            }
        }
        Ok(Outcome::Finish(None))
    });
    let start = Instant::now();
    let tally = worker.run(sleep(Duration::from_secs(10))).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 10 + 30 + 15);
    assert_eq!(tally, Tally { finished: 1, given_back: 2, ..Tally::default() });
    let units = units(&spec).await;
    let statuses: Vec<_> = units.iter().map(|unit| (unit.status, unit.attempts)).collect();
    let (back, fresh) = ((UnitStatus::Available, 1), (UnitStatus::Available, 0));
    assert_eq!(statuses, [back, (UnitStatus::Finished, 1), back, fresh]);
    let attempts = spec.unit(unit_name("deaf")).attempts(Page::default()).await.unwrap();
    assert_eq!(attempts[0].status, AttemptStatus::Expired);
    let name = crate::support::options().name.unwrap();
    assert!(!lockstep.worker(name).get().await.unwrap().active);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_work() {
    let lockstep = lockstep();
    spec(&lockstep, value!({"name": "s"}), &[]).await;
    let worker =
        Worker::new(lockstep.clone(), options()).other(async |_| Ok(Outcome::Finish(None)));
    let start = Instant::now();
    let tally = worker.run(sleep(Duration::from_secs(7))).await.unwrap();
    assert_eq!((start.elapsed().as_secs(), tally), (7, Tally::default()));
}
