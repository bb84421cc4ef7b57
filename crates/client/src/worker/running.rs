//! A task under way: its lease, and what falls due when.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use model::AttemptRef;
use tokio::{sync::watch, task::AbortHandle, time::Instant};

use super::{Cancelled, WorkerOptions};

/// When a lease ends, by this worker's own clock. A task may renew it too, so it is shared.
pub(crate) struct Lease {
    lifetime: Duration,
    end: Mutex<Instant>,
}

impl Lease {
    pub(crate) fn new(lifetime: Duration, end: Instant) -> Self {
        Self { lifetime, end: Mutex::new(end) }
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    pub(crate) fn end(&self) -> Instant {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts from when the renewal was sent: the backend counts from later.
    pub(crate) fn renewed(&self, sent: Instant) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        *end = (*end).max(sent + self.lifetime);
    }

    /// A third of the lifetime has passed, so two thirds are left.
    pub(crate) fn renew_at(&self) -> Instant {
        let end = self.end();
        end.checked_sub(self.lifetime / 3 * 2).unwrap_or(end)
    }
}

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs.
    Going,
    /// It was asked to end and is dropped at this time.
    Ending(Cancelled, Instant),
    /// The fate of its unit is decided, whatever it answers.
    Decided,
}

/// What falls due for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is to be asked to end.
    Cancel(Cancelled),
    /// It did not end when it was asked to.
    Drop(Cancelled),
}

/// A task under way.
pub(crate) struct Running {
    pub(crate) attempt: AttemptRef,
    pub(crate) lease: Arc<Lease>,
    pub(crate) state: State,
    cancel: watch::Sender<Option<Cancelled>>,
    abort: AbortHandle,
    margin: Duration,
    patience: Duration,
    over_at: Option<Instant>,
}

impl Running {
    pub(crate) fn new(
        attempt: AttemptRef,
        lease: Arc<Lease>,
        cancel: watch::Sender<Option<Cancelled>>,
        abort: AbortHandle,
        options: &WorkerOptions,
    ) -> Self {
        let (margin, patience) = (options.margin(), options.patience());
        let over_at = options.task_max.map(|max| Instant::now() + max);
        Self { attempt, lease, state: State::Going, cancel, abort, margin, patience, over_at }
    }

    /// Tells whether the lease is still to be kept.
    pub(crate) fn holds_lease(&self) -> bool {
        !matches!(self.state, State::Decided | State::Ending(Cancelled::LeaseLost, _))
    }

    /// Says what falls due next, besides renewing, and when.
    pub(crate) fn next(&self) -> Option<(Instant, Due)> {
        match self.state {
            State::Going => {
                let end = self.lease.end();
                let ending = end.checked_sub(self.margin).unwrap_or(end);
                Some(match self.over_at {
                    Some(over) if over <= ending => (over, Due::Cancel(Cancelled::TimedOut)),
                    _ => (ending, Due::Cancel(Cancelled::LeaseEnding)),
                })
            }
            State::Ending(reason, at) => Some((at, Due::Drop(reason))),
            State::Decided => None,
        }
    }

    /// Asks the task to end; the first reason counts, but a lost lease counts more.
    pub(crate) fn cancel(&mut self, reason: Cancelled) {
        match self.state {
            State::Going => {
                self.state = State::Ending(reason, Instant::now() + self.patience);
                self.cancel.send_replace(Some(reason));
            }
            State::Ending(_, at) if reason == Cancelled::LeaseLost => {
                self.state = State::Ending(reason, at);
                self.cancel.send_replace(Some(reason));
            }
            State::Ending(..) | State::Decided => {}
        }
    }

    /// Drops the task at its next await.
    pub(crate) fn abort(&mut self) {
        self.state = State::Decided;
        self.abort.abort();
    }
}
