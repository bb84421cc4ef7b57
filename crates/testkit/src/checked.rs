//! A cache whose every answer is held against what the backend below it says.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use engine::{CacheOptions, Cached, Engine};
use model::{
    Answer, Backend, BoxFuture, Committed, Event, Namespace, Query, Read, RecordKey, Result,
    Revision, SpecRef, UnitRef, Write,
};

/// Names that are asked for again and again, at most.
const NAMES_MAX: usize = 32;

/// A [`Cached`] over an engine that compares the two after each write and before it, for every
/// name that it has heard of, and before each answer for the name that is asked for.
pub(crate) struct Checked {
    cached: Arc<Cached>,
    engine: Arc<Engine>,
    known: Mutex<HashSet<Query>>,
    started: AtomicU64,
    ended: AtomicU64,
}

/// Counts the end of a write, also of one that nobody waits for any more.
struct Writing<'a>(&'a AtomicU64);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Checked {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let cached = Cached::over(engine.clone(), CacheOptions::default());
        let (started, ended) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { cached, engine, known: Mutex::default(), started, ended }
    }

    fn learn(&self, keys: impl IntoIterator<Item = Query>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if known.len() >= NAMES_MAX {
                known.clear();
            }
            known.insert(key);
        }
    }

    fn known(&self) -> Vec<Query> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Asks both for some names, which also puts these into the cache for the next time.
    async fn check(&self, keys: Vec<Query>) {
        for key in keys {
            let ended = self.ended.load(Ordering::SeqCst);
            let before = self.engine.read(key.clone(), 0).await;
            let found = self.cached.read(key.clone(), 0).await;
            let after = self.engine.read(key.clone(), 0).await;
            // Where others write at the same time, the three may differ, and absence has no
            // revision that would tell.
            let is_quiet = ended == self.started.load(Ordering::SeqCst);
            if before == after && is_quiet {
                let (found, fresh) = (answer(&found), answer(&after));
                assert_eq!(found, fresh, "the cache is wrong about {key:?}");
            }
        }
    }
}

fn answer(read: &Result<Read>) -> Result<&Answer, &model::Error> {
    read.as_ref().map(|read| &read.answer)
}

impl Backend for Checked {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(async move {
            let namespace = write.namespace.clone();
            self.check(self.known()).await;
            self.started.fetch_add(1, Ordering::SeqCst);
            let writing = Writing(&self.ended);
            let outcome = self.cached.write(write).await;
            drop(writing);
            if let Ok(committed) = &outcome {
                let mut keys = Vec::new();
                for body in &committed.events {
                    body.touched(|record| keys.extend(question(&namespace, record)));
                }
                self.learn(keys);
            }
            self.check(self.known()).await;
            outcome
        })
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        Box::pin(async move {
            if matches!(query, Query::Spec(..) | Query::Unit(..) | Query::Worker(..)) {
                self.learn([query.clone()]);
                self.check(vec![query.clone()]).await;
            }
            self.cached.read(query, at_least).await
        })
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        self.cached.events(namespace, after, limit)
    }
}

fn question(namespace: &Namespace, record: RecordKey) -> Option<Query> {
    let namespace = namespace.clone();
    match record {
        RecordKey::SpecAll(name) | RecordKey::Spec(name) => {
            Some(Query::Spec(namespace, SpecRef { name, id: None }))
        }
        RecordKey::Unit(spec, name) => {
            Some(Query::Unit(namespace, UnitRef { spec, name, id: None }))
        }
        RecordKey::Worker(name) => Some(Query::Worker(namespace, name)),
        RecordKey::Namespace
        | RecordKey::Locks
        | RecordKey::Token(_)
        | RecordKey::Definition(_)
        | RecordKey::Instance(_) => None,
    }
}
