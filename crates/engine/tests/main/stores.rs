//! Stores that watch or hold back what is submitted to them.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use store::{Job, Memory, Store};

/// A memory store that counts writes, and keeps them back while told to.
#[derive(Default)]
pub struct Watched {
    memory: Memory,
    writes: AtomicUsize,
    held: Mutex<Option<Vec<Box<dyn Job>>>>,
}

impl Watched {
    /// Gives how many writes were submitted.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// Keeps writes back from now on.
    pub fn hold(&self) {
        *self.held.lock().unwrap() = Some(Vec::new());
    }

    /// Runs what was kept back.
    pub fn release(&self) {
        let held = self.held.lock().unwrap().take().unwrap_or_default();
        held.into_iter().for_each(|job| self.memory.write(job));
    }
}

impl Store for Watched {
    fn write(&self, job: Box<dyn Job>) {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let mut held = self.held.lock().unwrap();
        match &mut *held {
            Some(held) => held.push(job),
            None => {
                drop(held);
                self.memory.write(job);
            }
        }
    }

    fn read(&self, job: Box<dyn Job>) {
        self.memory.read(job);
    }
}
