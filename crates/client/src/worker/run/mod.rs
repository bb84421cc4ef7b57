//! The loop of a worker. One place owns all state; tasks and calls run beside it and come back.

mod leases;
mod tasks;

use std::{collections::HashMap, future::Future, pin::pin, sync::Arc, time::Duration};

use model::{AttemptChange, Claim, Error, Id, Result, UpdateWorker, WorkerName, Write, limits};
use tokio::{
    task::{self, AbortHandle, JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Tally, TaskResult, Tasks, WorkerOptions,
    calls::{self, Exchanged},
    environment,
    running::{Running, State},
    specs::Specs,
};
use crate::{
    Lockstep,
    random::{self, Backoff},
};

/// When a worker ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Not before it is told to.
    Stopped,
    /// When there is nothing to claim and nothing under way.
    Empty,
}

/// The pause after a claim that should have waited and did not.
const PAUSE: Duration = Duration::from_secs(1);
/// The wait of a claim that asks only for what an earlier try may have got while it waited.
const BRIEFLY: Duration = Duration::from_millis(1);
/// How long the last words of a shutdown may take.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// The same for each of a worker that holds nothing: whoever waits for its end gains nothing by
/// words that nobody hears, and a lease covers what it may have claimed without knowing.
const IDLE_WORDS: Duration = Duration::from_millis(800);

/// What a call that ran beside the loop brings back.
enum Done {
    Exchanged(Exchanged),
    Renewed { sent: Instant, ids: Vec<Id>, outcome: Result<Vec<Result<()>>> },
    Beat(Result<()>),
}

/// A claim under way.
struct Claiming {
    write: Write,
    abort: AbortHandle,
    /// Whether it waits for work.
    waits: bool,
    /// Whether it may have looked before the last report made new units.
    stale: bool,
}

/// A shutdown under way.
struct Stop {
    /// When tasks are cancelled, until they are.
    grace_end: Option<Instant>,
    end: Instant,
    /// How long the last words may take.
    words: Duration,
}

/// A worker at work.
pub(crate) struct Run {
    lockstep: Lockstep,
    worker: WorkerName,
    options: WorkerOptions,
    until: Until,
    tasks: Arc<Tasks>,
    specs: Arc<Specs>,
    running: HashMap<Id, Running>,
    ids: HashMap<task::Id, Id>,
    handles: JoinSet<TaskResult>,
    calls: JoinSet<Done>,
    outbox: Vec<AttemptChange>,
    /// Changes that were sent and are not yet answered.
    sent: usize,
    claiming: Option<Claiming>,
    reporting: bool,
    renewing: bool,
    beating: bool,
    /// Whether the last claim found nothing.
    empty: bool,
    claim_at: Instant,
    renew_at: Instant,
    beat_at: Instant,
    claim_backoff: Backoff,
    renew_backoff: Backoff,
    stop: Option<Stop>,
    error: Option<Error>,
    tally: Tally,
}

impl Run {
    pub(crate) fn new(
        lockstep: Lockstep,
        options: WorkerOptions,
        tasks: Tasks,
        until: Until,
    ) -> Result<Self> {
        let options = options.checked()?;
        let worker = match options.name.clone() {
            Some(name) => name,
            None => WorkerName::new(random::id()?)?,
        };
        let now = Instant::now();
        let beat_at = now + options.heartbeat;
        Ok(Self {
            lockstep,
            worker,
            options,
            until,
            tasks: Arc::new(tasks),
            specs: Arc::default(),
            running: HashMap::new(),
            ids: HashMap::new(),
            handles: JoinSet::new(),
            calls: JoinSet::new(),
            outbox: Vec::new(),
            sent: 0,
            claiming: None,
            reporting: false,
            renewing: false,
            beating: false,
            empty: false,
            claim_at: now,
            renew_at: now,
            beat_at,
            claim_backoff: calls::BACKOFF,
            renew_backoff: calls::BACKOFF,
            stop: None,
            error: None,
            tally: Tally::default(),
        })
    }

    /// Registers, works, and says good-bye.
    pub(crate) async fn run(mut self, until: impl Future) -> Result<Tally> {
        let mut until = pin!(until);
        tokio::select! {
            registered = calls::until_answered(|| self.beat()) => registered?,
            _ = &mut until => return Ok(self.tally),
        }
        loop {
            self.send()?;
            if self.is_done() {
                return self.close().await;
            }
            let due = self.next_due();
            tokio::select! {
                _ = &mut until, if self.stop.is_none() => self.stop()?,
                Some(ended) = self.handles.join_next_with_id() => self.ended(ended),
                Some(done) = self.calls.join_next() => self.called(done)?,
                () = sleep_until(due) => self.fall_due(),
            }
        }
    }

    /// Starts reporting and claiming, where there is something to report or a free place.
    fn send(&mut self) -> Result<()> {
        if self.wants_work().is_some_and(|at| at <= Instant::now()) {
            let changes = self.take_outbox();
            // A report must not wait for work, so only a claim that carries none does.
            let waits = changes.is_empty() && self.until == Until::Stopped;
            let wait = if waits { self.options.wait } else { Duration::ZERO };
            let free = self.options.concurrency.saturating_sub(self.running.len());
            let claim = self.claim(free.min(limits::BATCH_MAX));
            let write = calls::keyed(&self.lockstep, changes, Some(claim), wait)?;
            let abort = self.exchange(write.clone());
            self.claiming = Some(Claiming { write, abort, waits, stale: false });
        } else if !self.outbox.is_empty() && !self.reporting {
            let changes = self.take_outbox();
            let write = calls::keyed(&self.lockstep, changes, None, Duration::ZERO)?;
            self.exchange(write);
            self.reporting = true;
        }
        Ok(())
    }

    /// Says from when on more work is wanted, if it is.
    fn wants_work(&self) -> Option<Instant> {
        let more = self.until == Until::Stopped || !self.empty || !self.outbox.is_empty();
        let free = self.running.len() < self.options.concurrency;
        let wants = self.claiming.is_none() && self.stop.is_none() && more && free;
        wants.then_some(self.claim_at)
    }

    fn take_outbox(&mut self) -> Vec<AttemptChange> {
        let count = self.outbox.len().min(limits::BATCH_MAX);
        self.sent += count;
        self.outbox.drain(..count).collect()
    }

    fn claim(&self, count: usize) -> Claim {
        Claim {
            worker: self.worker.clone(),
            specs: self.options.specs.clone(),
            runtimes: self.options.runtimes.clone(),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            lifetime: Some(self.options.lifetime),
            available_gb: self.options.available_gb,
        }
    }

    fn exchange(&mut self, write: Write) -> AbortHandle {
        let lockstep = self.lockstep.clone();
        self.calls.spawn(async move { Done::Exchanged(calls::exchange(lockstep, write).await) })
    }

    fn beat(&self) -> impl Future<Output = Result<()>> + Send + use<> {
        let handle = self.lockstep.worker(self.worker.clone());
        let update = UpdateWorker {
            worker: self.worker.clone(),
            mode: "RUN".to_owned(),
            data: environment::describe(self.running.len()),
            expiration: None,
            last_update: None,
        };
        async move { handle.update(update).await }
    }

    /// Tells whether nothing is left to do or to wait for.
    fn is_done(&self) -> bool {
        let quiet = self.outbox.is_empty() && self.sent == 0 && self.claiming.is_none();
        match &self.stop {
            None => self.until == Until::Empty && self.empty && self.running.is_empty() && quiet,
            Some(stop) => {
                let decided = self.running.values().all(|task| task.state == State::Decided);
                (decided && quiet) || stop.end <= Instant::now()
            }
        }
    }

    /// Stops claiming. A claim that waits is called off by asking again with the same key and
    /// hardly any wait: what it may have got meanwhile is not lost.
    fn stop(&mut self) -> Result<()> {
        if self.stop.is_some() {
            return Ok(());
        }
        let now = Instant::now();
        let holds = self.sent > 0 || !self.running.is_empty() || !self.outbox.is_empty();
        let grace_end = holds.then_some(now + self.options.grace);
        let words = if holds { LAST_WORDS } else { IDLE_WORDS };
        let end = grace_end.map_or(now, |at| at + self.options.patience()) + words;
        self.stop = Some(Stop { grace_end, end, words });
        if let Some(claiming) = self.claiming.take_if(|claiming| claiming.waits) {
            claiming.abort.abort();
            let write = Write { wait: BRIEFLY, ..claiming.write };
            let abort = self.exchange(write.clone());
            self.claiming = Some(Claiming { write, abort, waits: false, stale: false });
        }
        Ok(())
    }

    fn called(&mut self, done: Result<Done, JoinError>) -> Result<()> {
        match done {
            Ok(Done::Exchanged(exchanged)) => self.exchanged(exchanged)?,
            Ok(Done::Renewed { sent, ids, outcome }) => self.renewed(sent, &ids, outcome),
            Ok(Done::Beat(result)) => {
                self.beating = false;
                if let Err(error) = result {
                    tracing::warn!(%error, "a heartbeat was not taken");
                }
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => return Err(Error::Internal(format!("a call panicked: {error}"))),
        }
        Ok(())
    }

    fn exchanged(&mut self, exchanged: Exchanged) -> Result<()> {
        self.sent -= exchanged.results.len().min(self.sent);
        for (change, result) in exchanged.results {
            self.tally.count(&change, result);
        }
        let Some(claim) = exchanged.claim else {
            self.reporting = false;
            // What was finished may have made new units, which a claim under way may not see.
            self.empty = false;
            if let Some(claiming) = &mut self.claiming {
                claiming.stale = true;
            }
            return Ok(());
        };
        let claiming = self.claiming.take();
        match claim {
            Ok(claimed) => {
                self.claim_backoff = calls::BACKOFF;
                let (waits, stale) = claiming.map_or((false, false), |c| (c.waits, c.stale));
                self.empty = claimed.looked && claimed.attempts.is_empty() && !stale;
                if self.empty && waits && claimed.took < self.options.wait.max(PAUSE) / 2 {
                    self.claim_at = Instant::now() + PAUSE;
                }
                self.start_all(claimed);
                Ok(())
            }
            Err(error @ Error::Internal(_)) => {
                tracing::warn!(%error, "a claim failed; trying again");
                self.claim_at = Instant::now() + self.claim_backoff.delay();
                Ok(())
            }
            Err(error) => {
                self.error = Some(error);
                self.stop()
            }
        }
    }

    /// Says that the worker is inactive, and what became of its work.
    async fn close(mut self) -> Result<Tally> {
        // A task that never awaits cannot be dropped, and is not waited for.
        let _dropped = timeout(LAST_WORDS, self.handles.shutdown()).await;
        let deactivated = self.lockstep.worker(self.worker.clone());
        let words = self.stop.as_ref().map_or(LAST_WORDS, |stop| stop.words);
        match timeout(words, deactivated.deactivate()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the worker could not say that it stops"),
            Err(_) => tracing::warn!("the worker could not say in time that it stops"),
        }
        match (self.error, self.outbox.len() + self.sent) {
            (Some(error), _) => Err(error),
            (None, 0) => Ok(self.tally),
            (None, left) => Err(Error::Unavailable(format!(
                "{left} results could not be delivered; their units are offered again when their \
                 leases end"
            ))),
        }
    }
}
