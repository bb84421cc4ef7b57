//! A bounded queue of jobs, taken many at a time.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Error;
use tokio::sync::Notify;

use crate::Job;

/// Where jobs wait for the thread, or threads, that run them.
pub(crate) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
    /// The same for a task that awaits jobs.
    arrived: Notify,
    jobs_max: usize,
}

struct State {
    jobs: VecDeque<Box<dyn Job>>,
    /// How many jobs have to be there before a sleeping thread is woken.
    wanted: usize,
    /// Whether it is a task that waits, and no thread that sleeps.
    is_awaited: bool,
    closed: bool,
}

impl Inbox {
    pub(crate) fn new(jobs_max: usize) -> Self {
        let (jobs, wanted) = (VecDeque::new(), 1);
        let state = Mutex::new(State { jobs, wanted, is_awaited: false, closed: false });
        Self { state, changed: Condvar::new(), arrived: Notify::new(), jobs_max }
    }

    /// Puts a job in, or answers it at once if that cannot be.
    pub(crate) fn put(&self, job: Box<dyn Job>) {
        let mut state = self.lock();
        let refusal = if state.closed {
            "the store is closing; use the one that replaces it"
        } else if state.jobs.len() >= self.jobs_max {
            "the store has too much to do; try again in a moment"
        } else {
            state.jobs.push_back(job);
            let is_enough = state.jobs.len() >= state.wanted;
            let is_awaited = state.is_awaited;
            drop(state);
            match (is_enough, is_awaited) {
                (true, true) => self.arrived.notify_one(),
                (true, false) => self.changed.notify_one(),
                (false, _) => {}
            }
            return;
        };
        drop(state);
        job.done(Err(Error::Unavailable(refusal.to_owned())));
    }

    /// Waits for jobs and takes up to `count`; none are left when it is closed and empty.
    pub(crate) fn take(&self, count: usize) -> VecDeque<Box<dyn Job>> {
        let state = self.wait(self.lock());
        Self::some(state, count)
    }

    /// Does the same, but first gives `expected` jobs some time to come.
    pub(crate) fn gather(
        &self,
        count: usize,
        expected: usize,
        patience: Duration,
    ) -> VecDeque<Box<dyn Job>> {
        let mut state = self.lock();
        (state.wanted, state.is_awaited) = (expected, false);
        let is_short = |state: &mut State| state.jobs.len() < state.wanted && !state.closed;
        let waited = self.changed.wait_timeout_while(state, patience, is_short);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.wanted = 1;
        let state = self.wait(state);
        Self::some(state, count)
    }

    /// Waits until so many jobs are there, or it is closed.
    pub(crate) async fn arrival(&self, expected: usize) {
        loop {
            let arrived = self.arrived.notified();
            {
                let mut state = self.lock();
                let is_there = state.jobs.len() >= expected || state.closed;
                (state.wanted, state.is_awaited) = (if is_there { 1 } else { expected }, !is_there);
                if is_there {
                    return;
                }
            }
            arrived.await;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().jobs.is_empty()
    }

    /// Takes up to `count` of the jobs that are there already.
    pub(crate) fn more(&self, count: usize) -> VecDeque<Box<dyn Job>> {
        Self::some(self.lock(), count)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let is_idle = |state: &mut State| state.jobs.is_empty() && !state.closed;
        self.changed.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner)
    }

    fn some(mut state: MutexGuard<'_, State>, count: usize) -> VecDeque<Box<dyn Job>> {
        let count = count.min(state.jobs.len());
        let rest = state.jobs.split_off(count);
        std::mem::replace(&mut state.jobs, rest)
    }

    /// Lets no more jobs in.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
