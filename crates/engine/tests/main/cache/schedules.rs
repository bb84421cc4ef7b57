//! The cache itself under thousands of schedules: readers, writers, strangers who commit, a
//! follower and evictions, switched between wherever they wait.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use engine::{CacheOptions, Cached};
use model::{
    Answer, Backend, BoxFuture, Committed, Data, Error, Event, EventBody, Namespace, Query,
    QueueCommand, Read, Reply, Result, Revision, Time, Unit, UnitMeta, UnitName, UnitStatus, Write,
};
use shuttle::future::{block_on, spawn, yield_now};
use testkit::{ManualClock, name, spec_name};

use super::{naive::Naive, unit_query};

const SCHEDULES: usize = 3_000;
const ROUNDS: u64 = 3;

/// A store of units whose number of attempts is how often they were changed.
#[derive(Default)]
struct Model(Mutex<Vec<EventBody>>);

impl Model {
    /// Changes a unit, and gives the revision and the number of changes.
    fn commit(&self, unit: &str) -> (Revision, u64) {
        let mut history = self.0.lock().unwrap();
        history.push(EventBody::UnitsChanged(spec_name("spec"), vec![name(unit)]));
        (history.len() as u64, changes(&history, &name(unit)))
    }

    fn show(&self, unit: &UnitName) -> Read {
        let history = self.0.lock().unwrap();
        let shown = Unit {
            spec: spec_name("spec"),
            name: unit.clone(),
            id: 1,
            data: Data::default(),
            meta: UnitMeta::default(),
            status: UnitStatus::Available,
            active: None,
            attempts: changes(&history, unit),
            created: Time(0),
        };
        Read { as_of: history.len() as u64, answer: Answer::Unit(shown) }
    }

    fn since(&self, after: Revision) -> Vec<Event> {
        let history = self.0.lock().unwrap();
        let event = |(position, body): (usize, &EventBody)| Event {
            namespace: Namespace::empty(),
            revision: position as u64 + 1,
            time: Time(0),
            bodies: vec![body.clone()],
        };
        history.iter().enumerate().skip(after as usize).map(event).collect()
    }
}

fn changes(history: &[EventBody], unit: &UnitName) -> u64 {
    let changed =
        |body: &&EventBody| matches!(body, EventBody::UnitsChanged(_, units) if units[0] == *unit);
    history.iter().filter(changed).count() as u64
}

impl Backend for Model {
    fn write(&self, _: Write) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(async move {
            yield_now().await;
            let (revision, changes) = self.commit("a");
            let events = self.since(revision - 1).remove(0).bodies;
            yield_now().await;
            Ok(Committed { revision, replies: vec![Reply::Id(changes)], events })
        })
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        Box::pin(async move {
            yield_now().await;
            let read = match &query {
                Query::Unit(_, unit) => self.show(&unit.name),
                Query::Since(positions) => {
                    Read { as_of: 0, answer: Answer::Events(self.since(positions[0].1)) }
                }
                other => return Err(Error::Internal(format!("{other:?}"))),
            };
            assert!(read.as_of >= at_least || matches!(query, Query::Since(_)));
            yield_now().await;
            Ok(read)
        })
    }

    fn events(&self, _: &Namespace, after: Revision, _: u16) -> BoxFuture<'_, Result<Vec<Event>>> {
        Box::pin(async move { Ok(self.since(after)) })
    }
}

/// Reads a unit; gives the revision and how often it was changed.
async fn look(backend: &dyn Backend, unit: &str, at_least: Revision) -> (Revision, u64) {
    match backend.read(unit_query(unit, None), at_least).await.unwrap() {
        Read { as_of, answer: Answer::Unit(unit) } => (as_of, unit.attempts),
        other => panic!("a unit, not {other:?}"),
    }
}

/// Lets everything happen at once, and sees that nobody reads what is older than it may be.
fn everything_at_once(model: &Arc<Model>, backend: &Arc<dyn Backend>, cached: Option<Arc<Cached>>) {
    let acked = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    // A writer of this node: whatever it was told, everybody here sees.
    let (node, told) = (backend.clone(), acked.clone());
    tasks.push(spawn(async move {
        for _ in 0..ROUNDS {
            let write = Write::one(&Namespace::empty(), QueueCommand::CreateNamespace);
            let committed = node.write(write).await.unwrap();
            let Some(Reply::Id(changes)) = committed.replies.first() else { panic!("no reply") };
            told.fetch_max(*changes, Ordering::SeqCst);
        }
    }));
    // Strangers change both units, and the follower brings it.
    let (strangers, follower) = (model.clone(), cached);
    let told = acked.clone();
    tasks.push(spawn(async move {
        for _ in 0..ROUNDS {
            strangers.commit("b");
            let (_, changes) = strangers.commit("a");
            yield_now().await;
            if let Some(cached) = &follower {
                cached.catch_up().await.unwrap();
            }
            told.fetch_max(changes, Ordering::SeqCst);
        }
    }));
    // Readers: what was told before they ask, and what they have seen themselves, they see.
    for reader in 0..3 {
        let (node, told) = (backend.clone(), acked.clone());
        tasks.push(spawn(async move {
            let mut seen = (0, 0);
            for _ in 0..ROUNDS {
                let least = told.load(Ordering::SeqCst);
                let found = look(&*node, "a", 0).await;
                assert!(found.1 >= least, "{found:?} is older than change {least}");
                let found = look(&*node, "a", seen.0).await;
                assert!(found.1 >= seen.1 && found.0 >= seen.0, "{found:?} after {seen:?}");
                seen = found;
                if reader == 0 {
                    // There is room for one entry only, so this evicts the other.
                    look(&*node, "b", 0).await;
                }
            }
        }));
    }
    block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn ours() {
    let model = Arc::new(Model::default());
    model.commit("a");
    let options = CacheOptions { entries: 1, ..CacheOptions::default() };
    let cached = Cached::with(model.clone(), options, Arc::new(ManualClock::new()));
    let backend: Arc<dyn Backend> = cached.clone();
    // From here on the namespace is followed.
    block_on(look(&*backend, "b", 0));
    everything_at_once(&model, &backend, Some(cached));
}

fn naive() {
    let model = Arc::new(Model::default());
    model.commit("a");
    let backend: Arc<dyn Backend> = Arc::new(Naive::new(model.clone()));
    everything_at_once(&model, &backend, None);
}

#[test]
fn nobody_reads_anything_old_in_random_schedules() {
    shuttle::check_random(ours, SCHEDULES);
}

#[test]
fn nobody_reads_anything_old_in_schedules_of_few_switches() {
    shuttle::check_pct(ours, SCHEDULES, 3);
}

/// The test can fail: the naive cache does.
#[test]
fn the_naive_cache_is_found_out() {
    let found = catch_unwind(AssertUnwindSafe(|| shuttle::check_random(naive, SCHEDULES)));
    assert!(found.is_err());
}
