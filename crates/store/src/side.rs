//! One side of a store, to write or to read: where jobs wait, and the threads that run them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use model::{Error, Result};

use crate::Job;
use crate::inbox::Inbox;

/// Where jobs wait, and who runs them.
pub(crate) struct Side {
    pub(crate) inbox: Arc<Inbox>,
    threads: Vec<JoinHandle<()>>,
}

impl Side {
    pub(crate) fn new(jobs_max: usize) -> Self {
        Self { inbox: Arc::new(Inbox::new(jobs_max)), threads: Vec::new() }
    }

    pub(crate) fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| {
            self.close();
            Error::Unavailable(format!("cannot start a thread: {error}"))
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Waits until everything queued is answered.
    pub(crate) fn close(&mut self) {
        self.inbox.close();
        for thread in self.threads.drain(..) {
            // The last owner may be a job, and then this is the thread that would have to end.
            if thread.thread().id() != thread::current().id() {
                // A panic of the thread was reported by the panic hook.
                let _ = thread.join();
            }
        }
    }
}

/// Answers a job, whatever it does with the answer.
pub(crate) fn answer(job: Box<dyn Job>, outcome: Result<()>) {
    // A panic was reported by the panic hook, and nobody else waits for this job.
    let _ = catch_unwind(AssertUnwindSafe(|| job.done(outcome)));
}
