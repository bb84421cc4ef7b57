//! What a worker does with units: lines 147 to 153 of the conformance list, and results.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use client::worker::{Outcome, Tally, Worker, WorkerOptions};
use model::{AttemptStatus, Datum, Page, UnitStatus};
use serde_json::json as value;
use tokio::time::sleep;

use crate::support::{
    Faulty, engine, json, lockstep, namespace, options, run, spec, spec_name, text_of, unit_name,
    units,
};

const FINISHED: Outcome = Outcome::Finish(None);

#[tokio::test(start_paused = true)]
async fn at_most_so_many_tasks_run_and_free_places_are_used_again() {
    let lockstep = lockstep();
    let names: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let spec = spec(&lockstep, value!({"name": "s"}), &names).await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let tally = run(&lockstep, WorkerOptions { concurrency: 3, ..options() }, move |_| {
        let (now, most) = (now.clone(), most.clone());
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(FINISHED)
        }
    })
    .await;
    assert_eq!(tally, Tally { finished: 20, ..Tally::default() });
    assert_eq!(seen.load(Ordering::SeqCst), 3);
    assert!(units(&spec).await.iter().all(|unit| unit.attempts == 1));
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_holds_nothing() {
    let lockstep = lockstep();
    spec(&lockstep, value!({"name": "s"}), &["a", "b", "c"]).await;
    run(&lockstep, options(), async |_| Ok(FINISHED)).await;
    let worker = lockstep.worker(options().name.unwrap());
    assert_eq!(worker.active_attempts(Page::default()).await.unwrap(), []);
    assert_eq!(worker.all_attempts(Page::default()).await.unwrap().len(), 3);
    assert!(!worker.get().await.unwrap().active);
}

#[tokio::test(start_paused = true)]
async fn without_work_nothing_is_done() {
    let lockstep = lockstep();
    assert_eq!(run(&lockstep, options(), async |_| Ok(FINISHED)).await, Tally::default());
    spec(&lockstep, value!({"name": "s"}), &[]).await;
    assert_eq!(run(&lockstep, options(), async |_| Ok(FINISHED)).await, Tally::default());
}

#[tokio::test(start_paused = true)]
async fn the_spec_names_the_task() {
    let lockstep = lockstep();
    let by_key = spec(&lockstep, value!({"name": "one", "task": "greet"}), &["a"]).await;
    let by_name = spec(&lockstep, value!({"name": "greet", "task": 7}), &["b"]).await;
    let unknown = spec(&lockstep, value!({"name": "x\"y"}), &["c"]).await;
    let worker = Worker::new(lockstep.clone(), options()).task("greet", async |task| {
        let hello = format!("hello, {}", task.unit());
        Ok(Outcome::Finish(Some(json(value!({"says": hello})))))
    });
    let tally = worker.run_until_empty(std::future::pending::<()>()).await.unwrap();
    assert_eq!(tally, Tally { finished: 2, failed: 1, ..Tally::default() });
    assert_eq!(text_of(&units(&by_key).await[0].data, "says"), "hello, a");
    assert_eq!(text_of(&units(&by_name).await[0].data, "says"), "hello, b");
    let failed = &units(&unknown).await[0];
    assert_eq!(failed.status, UnitStatus::Failed);
    assert_eq!(text_of(&failed.data, "traceback"), r#"No such task function "x\"y""#);
}

#[tokio::test(start_paused = true)]
async fn only_known_runtimes_are_claimed() {
    let lockstep = lockstep();
    spec(&lockstep, value!({"name": "s", "runtime": "go"}), &["a"]).await;
    assert_eq!(run(&lockstep, options(), async |_| Ok(FINISHED)).await, Tally::default());
    let go = WorkerOptions { runtimes: vec!["go".to_owned()], ..options() };
    assert_eq!(run(&lockstep, go, async |_| Ok(FINISHED)).await.finished, 1);
}

#[tokio::test(start_paused = true)]
async fn only_named_specs_are_claimed() {
    let lockstep = lockstep();
    let other = spec(&lockstep, value!({"name": "a"}), &["a"]).await;
    spec(&lockstep, value!({"name": "b"}), &["b"]).await;
    let specs = WorkerOptions { specs: vec![spec_name("b")], ..options() };
    assert_eq!(run(&lockstep, specs, async |_| Ok(FINISHED)).await.finished, 1);
    assert_eq!(units(&other).await[0].status, UnitStatus::Available);
}

#[tokio::test(start_paused = true)]
async fn a_worker_describes_itself_and_stays_alive() {
    let lockstep = lockstep();
    spec(&lockstep, value!({"name": "s"}), &["a"]).await;
    let worker = lockstep.worker(options().name.unwrap());
    let seen = worker.clone();
    run(&lockstep, options(), move |_| {
        let seen = seen.clone();
        async move {
            let first = seen.get().await?;
            sleep(Duration::from_secs(60)).await;
            let later = seen.get().await?;
            assert!(later.active && first.active);
            assert!(later.last_update > first.last_update, "no heartbeat in a minute");
            Ok(FINISHED)
        }
    })
    .await;
    let shown = worker.get().await.unwrap();
    assert_eq!(shown.mode, "RUN");
    let data = shown.data.dict().unwrap();
    assert_eq!(data["pid"], Datum::Int(std::process::id().into()));
    assert_eq!(data["language"], Datum::Text("rust".to_owned()));
    for key in ["cpus", "hostname", "ipaddrs", "version"] {
        assert!(data.contains_key(key), "{key} is missing in {data:?}");
    }
    assert_eq!(data["tasks"], Datum::Int(1));
}

#[tokio::test(start_paused = true)]
async fn leases_of_long_tasks_are_renewed() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["a", "b"]).await;
    let tally = run(&lockstep, options(), async |task| {
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(task.is_cancelled(), None);
        Ok(FINISHED)
    })
    .await;
    assert_eq!(tally, Tally { finished: 2, ..Tally::default() });
    assert!(units(&spec).await.iter().all(|unit| unit.attempts == 1));
}

#[tokio::test(start_paused = true)]
async fn a_task_may_renew_its_lease_and_keep_data() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["a"]).await;
    run(&lockstep, options(), async |task| {
        let before = task.lockstep().attempt(task.attempt()).get().await?.expiration;
        sleep(Duration::from_secs(10)).await;
        task.renew(Some(json(value!({"so": "far"})))).await?;
        let after = task.lockstep().attempt(task.attempt()).get().await?;
        assert_eq!(after.expiration.since(before), Duration::from_secs(10));
        assert_eq!(text_of(&after.data, "so"), "far");
        Ok(FINISHED)
    })
    .await;
    assert_eq!(text_of(&units(&spec).await[0].data, "so"), "far");
}

#[tokio::test(start_paused = true)]
async fn errors_and_panics_fail_their_own_unit_only() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["error", "fail", "fine", "panic"]).await;
    let tally = run(&lockstep, options(), async |task| match task.unit().as_bytes() {
        b"error" => {
            let cause = std::io::Error::other("the cause");
            Err(Box::new(Chained(cause)) as client::worker::TaskError)
        }
        b"fail" => Ok(Outcome::Fail(json(value!({"traceback": "as it said"})))),
        b"panic" => panic!("oh {}", task.unit()),
        _ => Ok(FINISHED),
    })
    .await;
    assert_eq!(tally, Tally { finished: 1, failed: 3, ..Tally::default() });
    let units = units(&spec).await;
    let says: Vec<_> = [0, 1, 3].map(|n| text_of(&units[n].data, "traceback")).into();
    assert_eq!(says, ["the task: the cause", "as it said", "the task panicked: oh panic"]);
    assert_eq!(units[2].status, UnitStatus::Finished);
}

#[derive(Debug)]
struct Chained(std::io::Error);

impl std::fmt::Display for Chained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the task")
    }
}

impl std::error::Error for Chained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_unit_is_tried_again_after_its_delay() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["a"]).await;
    let delay = Duration::from_secs(90);
    let tally =
        run(&lockstep, options(), move |_| async move { Ok(Outcome::Retry(delay, None)) }).await;
    assert_eq!(tally, Tally { retried: 1, ..Tally::default() });
    let unit = &units(&spec).await[0];
    assert_eq!(unit.status, UnitStatus::Delayed);
    let attempts = spec.unit(unit_name("a")).attempts(Page::default()).await.unwrap();
    assert_eq!(attempts[0].status, AttemptStatus::Retryable);
    assert_eq!(unit.meta.not_before, Some(attempts[0].end.unwrap().plus(delay)));
}

#[tokio::test(start_paused = true)]
async fn output_becomes_work_that_is_done_too() {
    let lockstep = lockstep();
    let last = spec(&lockstep, value!({"name": "last"}), &[]).await;
    spec(&lockstep, value!({"name": "first", "then": "last"}), &["a", "b"]).await;
    let tally = run(&lockstep, options(), async |task| match task.spec().as_str() {
        "first" => {
            // The last claim that finds nothing must not end the worker before this is chained.
            sleep(Duration::from_secs(1)).await;
            let name = format!("from {}", task.unit());
            Ok(Outcome::Finish(Some(json(value!({"output": {name: {"n": 1}}})))))
        }
        _ => Ok(FINISHED),
    })
    .await;
    assert_eq!(tally.finished, 4);
    assert_eq!(units(&last).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn finishing_and_claiming_the_next_is_one_write() {
    let faulty = Faulty::over(engine());
    let lockstep = client::Lockstep::new(faulty.clone(), namespace("test"));
    let names: Vec<String> = (0..50).map(|n| format!("{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    spec(&lockstep, value!({"name": "s"}), &names).await;
    let one = WorkerOptions { concurrency: 1, ..options() };
    let before = faulty.writes.load(Ordering::Relaxed);
    run(&lockstep, one, async |_| Ok(FINISHED)).await;
    // Registering, the first claim, one for each unit, and being deactivated.
    assert_eq!(faulty.writes.load(Ordering::Relaxed) - before, 53);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_worker_takes_new_units_at_once() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &[]).await;
    let worker = Worker::new(lockstep.clone(), options()).other(async |_| Ok(FINISHED));
    let add = async {
        sleep(Duration::from_secs(100)).await;
        spec.add(vec![crate::support::new_unit("a", model::Data::default())]).await.unwrap();
        sleep(Duration::from_secs(10)).await;
    };
    let tally = worker.run(add).await.unwrap();
    assert_eq!(tally.finished, 1);
    let unit = &units(&spec).await[0];
    let start = unit.active.as_ref().unwrap().start;
    assert!(
        start.since(unit.created) < Duration::from_millis(10),
        "{:?}",
        start.since(unit.created)
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_asks_rarely_and_bounds_hold() {
    let faulty = Faulty::over(engine());
    let lockstep = client::Lockstep::new(faulty.clone(), namespace("test"));
    let worker = Worker::new(
        lockstep,
        WorkerOptions {
            concurrency: 0,
            task_max: Some(Duration::MAX),
            wait: Duration::ZERO,
            heartbeat: Duration::MAX,
            grace: Duration::MAX,
            ..options()
        },
    );
    let worker = worker.other(async |_| Ok(FINISHED));
    worker.run(sleep(Duration::from_secs(100))).await.unwrap();
    let writes = faulty.writes.load(Ordering::Relaxed);
    assert!((90..=110).contains(&writes), "{writes} writes in 100 seconds");
}

#[tokio::test(start_paused = true)]
async fn leases_that_cannot_be_kept_are_refused() {
    let lockstep = lockstep();
    for lifetime in [Duration::ZERO, Duration::from_millis(999), Duration::MAX] {
        let options = WorkerOptions { lifetime, ..options() };
        let worker = Worker::new(lockstep.clone(), options).other(async |_| Ok(FINISHED));
        let error = worker.run(std::future::pending::<()>()).await.unwrap_err();
        assert!(matches!(error, model::Error::BadInput(_)), "{error}");
    }
}
