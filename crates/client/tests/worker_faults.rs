//! A backend that comes and goes: nothing is lost, and nothing is done twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use client::{
    Lockstep,
    worker::{Outcome, Tally, Worker, WorkerOptions},
};
use model::{Data, Error, UnitStatus};
use serde_json::json as value;
use tokio::time::{Instant, sleep};

use crate::support::{Fault, Faulty, engine, json, namespace, new_unit, options, run, spec, units};

fn faulty() -> (Arc<Faulty>, Lockstep) {
    let faulty = Faulty::over(engine());
    (faulty.clone(), Lockstep::new(faulty, namespace("test")))
}

/// Lets a backend fail for a second, time and again, while something goes on.
async fn flickering<T>(faulty: &Faulty, fault: Fault, work: impl Future<Output = T>) -> T {
    let flicker = async {
        loop {
            faulty.set(fault);
            sleep(Duration::from_millis(1300)).await;
            faulty.set(Fault::None);
            sleep(Duration::from_millis(700)).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = flicker => unreachable!(),
    }
}

/// Runs 100 units on a backend that fails time and again; each must run once and be finished.
async fn all_once(fault: Fault) {
    let (faulty, lockstep) = faulty();
    let names: Vec<String> = (0..100).map(|n| format!("{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let spec = spec(&lockstep, value!({"name": "s"}), &names).await;
    let ran = Arc::new(Mutex::new(HashMap::new()));
    let runs = ran.clone();
    let options = WorkerOptions { concurrency: 5, ..options() };
    let work = run(&lockstep, options, move |task| {
        *runs.lock().unwrap().entry(task.unit().clone()).or_insert(0) += 1;
        async {
            sleep(Duration::from_millis(100)).await;
            Ok(Outcome::Finish(None))
        }
    });
    let tally = flickering(&faulty, fault, work).await;
    faulty.set(Fault::None);
    assert_eq!(tally, Tally { finished: 100, ..Tally::default() });
    assert!(units(&spec).await.iter().all(|u| (u.status, u.attempts) == (UnitStatus::Finished, 1)));
    assert_eq!(ran.lock().unwrap().len(), 100);
    assert!(ran.lock().unwrap().values().all(|count| *count == 1));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_comes_and_goes_loses_nothing() {
    all_once(Fault::Away).await;
}

#[tokio::test(start_paused = true)]
async fn lost_answers_double_nothing() {
    all_once(Fault::AnswerLost).await;
}

#[tokio::test(start_paused = true)]
async fn results_wait_for_the_backend() {
    let (faulty, lockstep) = faulty();
    let spec = spec(&lockstep, value!({"name": "s"}), &["a"]).await;
    let gone = faulty.clone();
    let work = run(&lockstep, options(), move |_| {
        gone.set(Fault::Away);
        async { Ok(Outcome::Finish(None)) }
    });
    let back = async {
        sleep(Duration::from_secs(70)).await;
        faulty.set(Fault::None);
    };
    let (tally, ()) = tokio::join!(work, back);
    assert_eq!(tally.finished, 1);
    assert_eq!(units(&spec).await[0].attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn attempts_of_a_waiting_claim_survive_a_lost_answer() {
    let (faulty, lockstep) = faulty();
    let spec = spec(&lockstep, value!({"name": "s"}), &[]).await;
    let worker =
        Worker::new(lockstep.clone(), options()).other(async |_| Ok(Outcome::Finish(None)));
    let trouble = async {
        sleep(Duration::from_secs(10)).await;
        faulty.set(Fault::AnswerLost);
        let added = spec.add(vec![new_unit("a", Data::default())]).await;
        assert!(matches!(added, Err(Error::Unavailable(_))));
        sleep(Duration::from_secs(1)).await;
        faulty.set(Fault::None);
        sleep(Duration::from_secs(20)).await;
    };
    let tally = worker.run(trouble).await.unwrap();
    assert_eq!(tally.finished, 1);
    assert_eq!(units(&spec).await[0].attempts, 1, "it was claimed again after its lease");
}

#[tokio::test(start_paused = true)]
async fn attempts_of_a_claim_that_a_shutdown_calls_off_are_given_back() {
    let (faulty, lockstep) = faulty();
    let spec = spec(&lockstep, value!({"name": "s"}), &[]).await;
    let worker =
        Worker::new(lockstep.clone(), options()).other(async |_| Ok(Outcome::Finish(None)));
    let trouble = async {
        sleep(Duration::from_secs(10)).await;
        // The claim is answered, but the worker does not hear of it before it is told to stop.
        faulty.set(Fault::AnswerLost);
        let added = spec.add(vec![new_unit("a", Data::default())]).await;
        assert!(matches!(added, Err(Error::Unavailable(_))));
        faulty.set(Fault::Away);
        sleep(Duration::from_millis(1)).await;
        faulty.set(Fault::None);
    };
    worker.run(trouble).await.unwrap();
    assert_eq!(units(&spec).await[0].status, UnitStatus::Available);
}

#[tokio::test(start_paused = true)]
async fn results_that_cannot_be_delivered_are_named_at_a_shutdown() {
    let (faulty, lockstep) = faulty();
    spec(&lockstep, value!({"name": "s"}), &["a"]).await;
    let gone = faulty.clone();
    let worker = Worker::new(lockstep.clone(), options()).other(move |_| {
        gone.set(Fault::Away);
        async { Ok(Outcome::Finish(None)) }
    });
    let start = Instant::now();
    let error = worker.run(sleep(Duration::from_secs(5))).await.unwrap_err();
    assert!(error.to_string().starts_with("1 results could not be delivered"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(80), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn results_that_are_refused_together_are_reported_alone() {
    let (faulty, lockstep) = faulty();
    let spec = spec(&lockstep, value!({"name": "s"}), &["a", "b", "c", "d"]).await;
    faulty.set(Fault::Batches(2));
    let options = WorkerOptions { concurrency: 3, ..options() };
    let tally = run(&lockstep, options, async |_| Ok(Outcome::Finish(None))).await;
    assert_eq!(tally.finished, 4);
    faulty.set(Fault::Batches(1));
    spec.sweep(model::UnitFilter::default(), model::UnitChange::Again).await.unwrap();
    let options = WorkerOptions { concurrency: 1, ..crate::support::options() };
    let worker = Worker::new(lockstep.clone(), options).other(async |_| Ok(Outcome::Finish(None)));
    let tally = worker.run(sleep(Duration::from_secs(5))).await.unwrap();
    assert_eq!(tally.lost, 4, "no result is ever taken, and the worker goes on");
}

#[tokio::test(start_paused = true)]
async fn a_refused_claim_does_not_say_that_nothing_is_left() {
    let (faulty, lockstep) = faulty();
    spec(&lockstep, value!({"name": "s"}), &["a", "b", "c"]).await;
    faulty.set(Fault::Together);
    let options = WorkerOptions { concurrency: 1, ..options() };
    let tally = run(&lockstep, options, async |_| Ok(Outcome::Finish(None))).await;
    assert_eq!(tally, Tally { finished: 3, ..Tally::default() });
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_looked_too_early_does_not_say_that_nothing_is_left() {
    let (faulty, lockstep) = faulty();
    spec(&lockstep, value!({"name": "last"}), &[]).await;
    spec(&lockstep, value!({"name": "first", "then": "last"}), &["a"]).await;
    faulty.set(Fault::SlowClaims);
    let tally = run(&lockstep, options(), async |task| {
        sleep(Duration::from_secs(5)).await;
        let output = (task.spec().as_str() == "first").then(|| json(value!({"output": ["b"]})));
        Ok(Outcome::Finish(output))
    })
    .await;
    assert_eq!(tally, Tally { finished: 2, ..Tally::default() });
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_may_not_claim_says_so() {
    struct Denied(Arc<dyn model::Backend>);
    impl model::Backend for Denied {
        fn write(
            &self,
            write: model::Write,
        ) -> model::BoxFuture<'_, model::Result<model::Committed>> {
            let claims = format!("{:?}", write.commands).contains("Claim");
            match claims {
                true => Box::pin(async { Err(Error::Denied("no".to_owned())) }),
                false => self.0.write(write),
            }
        }
        fn read(
            &self,
            query: model::Query,
            at_least: u64,
        ) -> model::BoxFuture<'_, model::Result<model::Read>> {
            self.0.read(query, at_least)
        }
        fn events(
            &self,
            namespace: &model::Namespace,
            after: u64,
            limit: u16,
        ) -> model::BoxFuture<'_, model::Result<Vec<model::Event>>> {
            self.0.events(namespace, after, limit)
        }
    }
    let lockstep = Lockstep::new(Arc::new(Denied(engine())), namespace("test"));
    let worker = Worker::new(lockstep, options()).other(async |_| Ok(Outcome::Finish(None)));
    let error = worker.run(std::future::pending::<()>()).await.unwrap_err();
    assert_eq!(error, Error::Denied("no".to_owned()));
}
