//! The worker: claims units, runs a task for each, and looks after their leases.
//!
//! A task is an async function of a [`Task`] that says how its unit ends. The worker renews the
//! lease of each running task at a third of its lifetime. A task is cancelled when its lease is
//! lost, 30 seconds before its lease ends because renewing has failed, when it has run for
//! [`WorkerOptions::task_max`], and at the end of a shutdown's grace. One that does not end within
//! 15 seconds of that is dropped. Leases shorter than 90 seconds have these times in proportion.

mod calls;
mod environment;
mod options;
mod run;
mod running;
mod specs;
mod tally;
mod task;
mod trace;

use std::{collections::HashMap, future::Future, sync::Arc};

use model::{Result, Tracer};

use crate::Lockstep;

pub use options::WorkerOptions;
pub use tally::Tally;
pub use task::{Cancelled, Outcome, Task, TaskError, TaskResult};

use run::{Run, Until};
use task::Handler;

/// A worker and its tasks.
pub struct Worker {
    lockstep: Lockstep,
    options: WorkerOptions,
    tasks: Tasks,
}

/// The functions that run units, by task name.
#[derive(Default)]
pub(crate) struct Tasks {
    pub(crate) named: HashMap<String, Handler>,
    pub(crate) other: Option<Handler>,
    pub(crate) tracer: Option<Arc<dyn Tracer>>,
}

impl Worker {
    /// Makes a worker without tasks.
    pub fn new(lockstep: Lockstep, options: WorkerOptions) -> Self {
        Self { lockstep, options, tasks: Tasks::default() }
    }

    /// Adds a task. It runs the units of specs whose dictionary has this name as text under `task`,
    /// or whose own name it is.
    #[must_use]
    pub fn task<F, R>(mut self, name: &str, run: F) -> Self
    where
        F: Fn(Task) -> R + Send + Sync + 'static,
        R: Future<Output = TaskResult> + Send + 'static,
    {
        self.tasks.named.insert(name.to_owned(), task::boxed(run));
        self
    }

    /// Runs units that have no task of their own; without this they are failed.
    #[must_use]
    pub fn other<F, R>(mut self, run: F) -> Self
    where
        F: Fn(Task) -> R + Send + Sync + 'static,
        R: Future<Output = TaskResult> + Send + 'static,
    {
        self.tasks.other = Some(task::boxed(run));
        self
    }

    /// Sets who takes the spans of tasks; without this they have none.
    #[must_use]
    pub fn trace_to(mut self, tracer: Option<Arc<dyn Tracer>>) -> Self {
        self.tasks.tracer = tracer;
        self
    }

    /// Works until a future ends, such as a signal, and then shuts down: claims no more, lets tasks
    /// end within the grace, gives the units of the others back, and says that it is inactive.
    ///
    /// A backend that cannot be reached is tried again and again, however long it takes.
    ///
    /// # Errors
    /// What a claim or registration was refused for, and [`model::Error::Unavailable`] if results
    /// could not be delivered before the end of a shutdown.
    pub async fn run(self, until: impl Future) -> Result<Tally> {
        Run::new(self.lockstep, self.options, self.tasks, Until::Stopped)?.run(until).await
    }

    /// Works until there is no unit to claim and all tasks have ended, or a future ends.
    ///
    /// # Errors
    /// As [`Worker::run`].
    pub async fn run_until_empty(self, until: impl Future) -> Result<Tally> {
        Run::new(self.lockstep, self.options, self.tasks, Until::Empty)?.run(until).await
    }
}

impl Tasks {
    /// Finds what runs a task name.
    pub(crate) fn find(&self, name: &str) -> Option<&Handler> {
        self.named.get(name).or(self.other.as_ref())
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("lockstep", &self.lockstep)
            .field("options", &self.options)
            .field("tasks", &self.tasks.named.keys())
            .finish_non_exhaustive()
    }
}
