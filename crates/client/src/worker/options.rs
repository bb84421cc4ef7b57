//! How a worker behaves.

use std::time::Duration;

use model::{Error, Result, SpecName, WorkerName, limits};

/// How a worker behaves; start from [`WorkerOptions::standard`].
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The worker's name; absent is a random one.
    pub name: Option<WorkerName>,
    /// Only these specs; empty is all.
    pub specs: Vec<SpecName>,
    /// Only specs of these runtimes; empty is all.
    pub runtimes: Vec<String>,
    /// Memory that this worker has, in GB; absent is not checked.
    pub available_gb: Option<f64>,
    /// How many tasks run at one time, which is also the most units of one claim; at least 1.
    pub concurrency: usize,
    /// How long a lease is. When this worker dies, its units are offered again after this time.
    pub lifetime: Duration,
    /// How long a task may run before it is cancelled; absent is for ever.
    pub task_max: Option<Duration>,
    /// How long one claim waits for work.
    pub wait: Duration,
    /// How often the worker says that it is alive.
    pub heartbeat: Duration,
    /// How long tasks may go on after a shutdown was asked for.
    pub grace: Duration,
}

/// The shortest lease that leaves time to renew it.
const LIFETIME_MIN: Duration = Duration::from_secs(1);

/// More often would be noise.
const HEARTBEAT_MIN: Duration = Duration::from_secs(1);

impl WorkerOptions {
    /// Gives the usual options: all specs without a runtime or with runtime `rust`, one task for
    /// each processor, leases of 90 seconds, and 30 seconds of grace.
    pub fn standard() -> Self {
        Self {
            name: None,
            specs: Vec::new(),
            runtimes: vec![String::new(), "rust".to_owned()],
            available_gb: None,
            concurrency: std::thread::available_parallelism().map_or(1, usize::from),
            lifetime: Duration::from_secs(90),
            task_max: None,
            wait: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            grace: Duration::from_secs(30),
        }
    }

    /// Refuses a lease that cannot be kept, and brings all else within bounds.
    pub(crate) fn checked(mut self) -> Result<Self> {
        if self.lifetime < LIFETIME_MIN || self.lifetime > limits::LIFETIME_MAX {
            return Err(Error::bad_input(format!(
                "lease of {:?} is not within {LIFETIME_MIN:?} and {:?}: choose another lifetime",
                self.lifetime,
                limits::LIFETIME_MAX
            )));
        }
        self.concurrency = self.concurrency.max(1);
        self.task_max = self.task_max.map(|max| max.min(limits::LIFETIME_MAX));
        self.wait = self.wait.min(limits::WAIT_MAX);
        self.heartbeat = self.heartbeat.clamp(HEARTBEAT_MIN, limits::LIFETIME_DEFAULT / 3);
        self.grace = self.grace.min(limits::LIFETIME_MAX);
        Ok(self)
    }

    /// How long before the end of its lease a task is cancelled.
    pub(crate) fn margin(&self) -> Duration {
        (self.lifetime / 3).min(Duration::from_secs(30))
    }

    /// How long a cancelled task may take to end.
    pub(crate) fn patience(&self) -> Duration {
        self.margin() / 2
    }
}
