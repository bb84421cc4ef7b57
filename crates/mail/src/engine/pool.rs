//! A bounded number of workers of one side.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use model::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::worker::Worker;
use crate::{Side, driver::Connect};

/// The workers of one side, each with a connection of its own.
pub(super) struct Pool {
    side: Side,
    connect: Arc<dyn Connect>,
    idle: Arc<Mutex<Vec<Worker>>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    /// Makes a pool of at most so many workers; none connects before it is used.
    pub(super) fn new(side: Side, connect: &Arc<dyn Connect>, workers: usize) -> Self {
        let workers = workers.max(1);
        let make = || Worker::start(side, Arc::clone(connect));
        let idle = std::iter::repeat_with(make).take(workers).collect();
        let idle = Arc::new(Mutex::new(idle));
        let permits = Arc::new(Semaphore::new(workers));
        Self { side, connect: Arc::clone(connect), idle, permits }
    }

    /// Waits for a worker; the one that was used last comes first, since it is connected.
    pub(super) async fn take(&self) -> Result<Taken> {
        let ended = || Error::Internal("a pool of workers has ended".to_owned());
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| ended())?;
        let mut worker = lock(&self.idle).pop().ok_or_else(ended)?;
        if worker.has_ended() {
            // Its task failed; the others and the next round must not suffer for it.
            worker = Worker::start(self.side, Arc::clone(&self.connect));
        }
        Ok(Taken { worker: Some(worker), idle: Arc::clone(&self.idle), _permit: permit })
    }
}

/// A worker that goes back to its pool when this is dropped.
pub(super) struct Taken {
    worker: Option<Worker>,
    idle: Arc<Mutex<Vec<Worker>>>,
    _permit: OwnedSemaphorePermit,
}

impl Deref for Taken {
    type Target = Worker;

    #[expect(clippy::expect_used, reason = "it is only taken out when this is dropped")]
    fn deref(&self) -> &Worker {
        self.worker.as_ref().expect("a worker is there until the end")
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // The worker must be back before the permit is, which fields see to by their order.
        lock(&self.idle).extend(self.worker.take());
    }
}

fn lock(idle: &Mutex<Vec<Worker>>) -> std::sync::MutexGuard<'_, Vec<Worker>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
