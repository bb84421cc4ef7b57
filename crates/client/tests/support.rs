//! What the tests share: an engine in this process, with a clock that follows tokio's, and a
//! backend that fails on demand.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use client::{
    Lockstep, SpecHandle,
    worker::{Tally, Task, TaskResult, Worker, WorkerOptions},
};
use engine::{Clock, Engine};
use model::{
    Backend, BoxFuture, Change, Command, Committed, Data, Datum, Error, Event, Namespace, NewUnit,
    Query, QueueCommand, Read, Result, Revision, SpecName, Time, Unit, UnitFilter, UnitMeta,
    UnitName, Write,
};
use store::Memory;
use tokio::time::{Instant, sleep, sleep_until};

/// A clock that follows tokio's, which a test can pause.
struct TokioClock {
    start: Instant,
}

const EPOCH: Time = Time(1_767_225_600_000_000_000);

impl Clock for TokioClock {
    fn now(&self) -> Time {
        EPOCH.plus(self.start.elapsed())
    }

    fn sleep_until(&self, time: Time) -> BoxFuture<'static, ()> {
        Box::pin(sleep_until(self.start + time.since(EPOCH)))
    }
}

/// Starts an engine over a memory store.
pub(crate) fn engine() -> Arc<Engine> {
    let clock = Arc::new(TokioClock { start: Instant::now() });
    let engine = Engine::new(Arc::new(Memory::new()), clock);
    tokio::spawn(engine.clone().run_due());
    engine
}

/// Starts an engine and names a namespace of it.
pub(crate) fn lockstep() -> Lockstep {
    Lockstep::new(engine(), namespace("test"))
}

pub(crate) fn namespace(name: &str) -> Namespace {
    Namespace::new(name).unwrap()
}

pub(crate) fn spec_name(name: &str) -> SpecName {
    SpecName::new(name).unwrap()
}

pub(crate) fn unit_name(name: impl AsRef<[u8]>) -> UnitName {
    UnitName::new(name.as_ref()).unwrap()
}

pub(crate) fn json(value: serde_json::Value) -> Data {
    model::data_from_json(&value).unwrap()
}

pub(crate) fn text_of(data: &Data, key: &str) -> String {
    match data.dict().unwrap().remove(key) {
        Some(Datum::Text(text)) => text,
        other => panic!("{key} is {other:?} in {data:?}"),
    }
}

pub(crate) fn new_unit(name: impl AsRef<[u8]>, data: Data) -> NewUnit {
    NewUnit { name: unit_name(name), data, meta: UnitMeta::default(), delay: None }
}

/// Creates a spec with units that have empty data.
pub(crate) async fn spec(
    lockstep: &Lockstep,
    data: serde_json::Value,
    units: &[&str],
) -> SpecHandle {
    let spec = lockstep.set_spec(json(data)).await.unwrap();
    let units = units.iter().map(|name| new_unit(name, Data::default())).collect();
    spec.add(units).await.unwrap();
    spec
}

/// Options of tests: two tasks at one time, and a name.
pub(crate) fn options() -> WorkerOptions {
    WorkerOptions {
        name: Some(model::WorkerName::new("worker").unwrap()),
        concurrency: 2,
        ..WorkerOptions::standard()
    }
}

/// Runs all units by one task until none is left.
pub(crate) async fn run<F, R>(lockstep: &Lockstep, options: WorkerOptions, task: F) -> Tally
where
    F: Fn(Task) -> R + Send + Sync + 'static,
    R: Future<Output = TaskResult> + Send + 'static,
{
    let worker = Worker::new(lockstep.clone(), options).other(task);
    worker.run_until_empty(std::future::pending::<()>()).await.unwrap()
}

pub(crate) async fn units(spec: &SpecHandle) -> Vec<Unit> {
    spec.units(UnitFilter::default()).await.unwrap().0
}

/// Waits for a condition, in a test whose clock runs; gives up after a minute.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        ticks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
    }
}

/// How a backend fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not at all.
    None,
    /// It does not hear.
    Away,
    /// It does what it is asked, and its answer is lost.
    AnswerLost,
    /// It hears all but renewals.
    NoRenewals,
    /// It refuses results that come together with a claim.
    Together,
    /// Its answers to claims that come alone are 10 seconds late.
    SlowClaims,
    /// It refuses results of this many and more in one write.
    Batches(usize),
}

/// A backend that fails on demand, and counts writes.
pub(crate) struct Faulty {
    backend: Arc<dyn Backend>,
    fault: Mutex<Fault>,
    pub(crate) writes: AtomicU32,
}

impl Faulty {
    pub(crate) fn over(backend: Arc<dyn Backend>) -> Arc<Self> {
        let (fault, writes) = (Mutex::new(Fault::None), AtomicU32::new(0));
        Arc::new(Self { backend, fault, writes })
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }
}

fn away() -> Error {
    Error::Unavailable("gone fishing".to_owned())
}

fn changes(write: &Write) -> impl Iterator<Item = Change> {
    write
        .commands
        .iter()
        .flat_map(|command| match command {
            Command::Queue(QueueCommand::ChangeAttempts(all)) => all.changes.as_slice(),
            _ => &[],
        })
        .map(|change| change.change)
}

impl Backend for Faulty {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            match self.fault() {
                Fault::Away => return Err(away()),
                Fault::NoRenewals if changes(&write).any(|c| matches!(c, Change::Renew(_))) => {
                    return Err(away());
                }
                Fault::Batches(max) if changes(&write).count() >= max => {
                    return Err(Error::too_large("request body", 2, 1));
                }
                Fault::Together if write.commands.len() > 1 => {
                    return Err(Error::too_large("request body", 2, 1));
                }
                _ => {}
            }
            let only_claims =
                matches!(write.commands[..], [Command::Queue(QueueCommand::Claim(_))]);
            let committed = self.backend.write(write).await;
            if self.fault() == Fault::SlowClaims && only_claims {
                // Sleeps because the fault that it plays is a slow answer.
                sleep(Duration::from_secs(10)).await;
            }
            match self.fault() {
                Fault::AnswerLost | Fault::Away => Err(away()),
                _ => committed,
            }
        })
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        Box::pin(async move {
            match self.fault() {
                Fault::Away => Err(away()),
                _ => self.backend.read(query, at_least).await,
            }
        })
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        self.backend.events(namespace, after, limit)
    }
}
