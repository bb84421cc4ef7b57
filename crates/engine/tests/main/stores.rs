//! Stores that watch or hold back what is submitted to them.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc::Sender,
};

use store::{Job, Memory, PRIMARY, Range, Store, Tx, tables};

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

    /// Counts the answers that are kept under idempotency keys.
    pub fn requests(&self) -> usize {
        let (sender, count) = std::sync::mpsc::channel();
        self.memory.read(Box::new(CountRequests(sender)));
        count.recv().unwrap()
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

struct CountRequests(Sender<usize>);

impl Job for CountRequests {
    fn run(&mut self, tx: &mut dyn Tx) -> model::Result<()> {
        let all = Range::prefix([]);
        let found = tx.scan(&tables::REQUEST, PRIMARY, &all, u32::MAX)?;
        self.0.send(found.len()).unwrap();
        Ok(())
    }

    fn done(self: Box<Self>, outcome: model::Result<()>) {
        outcome.unwrap();
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
