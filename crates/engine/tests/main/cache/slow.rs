//! A backend whose answers can be counted, kept back and made to fail.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use model::{
    Backend, BoxFuture, Committed, Error, Event, Namespace, Query, Read, Result, Revision, Write,
};
use tokio::{sync::watch, task::yield_now};

/// A backend that does what tests say.
pub struct Slow {
    backend: Arc<dyn Backend>,
    loads: AtomicUsize,
    waiting: AtomicUsize,
    /// Answers to this question, and to writes if it is none, are kept back until told otherwise.
    held: watch::Sender<Option<Query>>,
    failure: Mutex<Option<Error>>,
}

impl Slow {
    pub fn new(backend: Arc<dyn Backend>) -> Arc<Self> {
        let held = watch::Sender::new(None);
        let (loads, waiting) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { backend, loads, waiting, held, failure: Mutex::default() })
    }

    /// Counts the questions by name that came through so far.
    pub fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// Keeps back answers to a question, which are made as before.
    pub fn hold(&self, query: Query) {
        self.held.send_replace(Some(query));
    }

    /// Lets all answers go.
    pub fn release(&self) {
        self.held.send_replace(None);
    }

    /// Waits until so many answers are made and kept back.
    pub async fn held(&self, count: usize) {
        while self.waiting.load(Ordering::SeqCst) < count {
            yield_now().await;
        }
    }

    /// Makes all reads fail, or none.
    pub fn fail(&self, error: Option<Error>) {
        *self.failure.lock().unwrap() = error;
    }
}

impl Backend for Slow {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        self.backend.write(write)
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        Box::pin(async move {
            if matches!(query, Query::Spec(..) | Query::Unit(..) | Query::Worker(..)) {
                self.loads.fetch_add(1, Ordering::SeqCst);
            }
            let failure = self.failure.lock().unwrap().clone();
            if let Some(error) = failure {
                return Err(error);
            }
            let read = self.backend.read(query.clone(), at_least).await;
            if self.held.borrow().as_ref() == Some(&query) {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                let mut held = self.held.subscribe();
                held.wait_for(Option::is_none).await.unwrap();
                self.waiting.fetch_sub(1, Ordering::SeqCst);
            }
            read
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
