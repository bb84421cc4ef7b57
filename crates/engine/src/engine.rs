//! The engine: a [`Backend`] over a store.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use model::{
    Backend, BoxFuture, Command, Committed, Error, Event, EventBody, Namespace, Query,
    QueueCommand, Read, Reply, Result, Revision, Time, Write, limits,
};
use queue::Due;
use store::{Store, Tx};
use tokio::sync::Notify;

use crate::{
    Clock, due,
    node::{Applied, Myself},
    read::{Ask, ask},
    request,
    waiters::{Waiter, Waiters},
    workflow,
    write::{WriteJob, WriteOutcome},
};

/// Applies writes, answers reads, does what falls due, and lets claims wait for work.
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

/// What the engine shares with its jobs in the store.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) waiters: Waiters,
    /// Wakes the loop that does what falls due.
    pub(crate) bell: Notify,
    /// When something falls due next, in nanoseconds since 1970.
    next_due: AtomicI64,
    /// When something that another node has written falls due next, as of the last look.
    others_due: AtomicI64,
    /// The last look at what falls due that was noted.
    noted: Mutex<u64>,
    looks: AtomicU64,
    seed: AtomicU64,
    /// Whether another node has told of a commit since the last look.
    pub(crate) is_hinted: AtomicBool,
    /// Who else looks when another node has told of a commit.
    on_hint: OnceLock<Arc<Notify>>,
    /// This node, once it has joined the others.
    pub(crate) myself: OnceLock<Myself>,
    /// Who hears of each commit before its caller does.
    listener: OnceLock<Listener>,
}

/// Hears of a commit: where it was, its revision, and what it changed.
pub(crate) type Listener = Box<dyn Fn(&Namespace, Revision, &[EventBody]) + Send + Sync>;

/// When something falls due next, as one job saw it.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    order: u64,
    next: i64,
}

impl Shared {
    /// Looks, in a transaction, when something falls due next.
    pub(crate) fn look(&self, tx: &mut dyn Tx) -> Result<Look> {
        let next = queue::next_due(tx)?.map_or(i64::MAX, |time| time.0);
        Ok(Look { order: self.looks.fetch_add(1, Ordering::AcqRel) + 1, next })
    }

    /// Notes what a committed job saw; jobs may be done in another order than they ran in.
    pub(crate) fn note(&self, look: Look) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if look.order < *noted {
            return;
        }
        *noted = look.order;
        if look.next < self.next_due.swap(look.next, Ordering::AcqRel) {
            self.bell.notify_one();
        }
    }

    /// Tells the listener of a commit.
    pub(crate) fn tell(&self, namespace: &Namespace, revision: Revision, events: &[EventBody]) {
        if let Some(listener) = self.listener.get()
            && !events.is_empty()
        {
            listener(namespace, revision, events);
        }
    }

    /// Notes when something falls due next that was written by any node.
    pub(crate) fn note_others(&self, next: i64) {
        self.others_due.store(next, Ordering::Release);
    }

    pub(crate) fn next_due(&self) -> Time {
        let others = self.others_due.load(Ordering::Acquire);
        Time(self.next_due.load(Ordering::Acquire).min(others))
    }

    /// Gives the seed of a write. What is drawn from it steps far and is mixed well, so neighbours
    /// share no stretch of it.
    fn next_seed(&self) -> u64 {
        self.seed.fetch_add(1, Ordering::Relaxed)
    }
}

impl Engine {
    /// Puts an engine over a store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let seed = AtomicU64::new(clock.now().0.unsigned_abs());
        let shared = Shared {
            store,
            clock,
            waiters: Waiters::default(),
            bell: Notify::new(),
            // Unknown until the first job has looked, so the first call looks.
            next_due: AtomicI64::new(i64::MIN),
            others_due: AtomicI64::new(i64::MAX),
            noted: Mutex::new(0),
            looks: AtomicU64::new(0),
            seed,
            is_hinted: AtomicBool::new(false),
            on_hint: OnceLock::new(),
            myself: OnceLock::new(),
            listener: OnceLock::new(),
        };
        let shared = Arc::new(shared);
        let told = Arc::downgrade(&shared);
        shared.store.on_hint(Box::new(move || {
            if let Some(shared) = told.upgrade() {
                shared.is_hinted.store(true, Ordering::Release);
                shared.bell.notify_one();
                shared.on_hint.get().into_iter().for_each(|hint| hint.notify_one());
            }
        }));
        Arc::new(Self { shared })
    }

    /// Sets who else looks when another node has told of a commit; there can be only one.
    pub(crate) fn ring_on_hint(&self, hint: Arc<Notify>) {
        let _first = self.shared.on_hint.set(hint);
    }

    /// Joins the nodes of a shared store under a name that no other has: [`Engine::run_due`] then
    /// renews this node's lease. Elsewhere it does nothing.
    pub fn join(&self, name: String, applied: Applied) {
        if self.shared.store.is_shared() {
            let started = self.shared.clock.now();
            // Who has joined stays under the first name.
            let _joined = self.shared.myself.set(Myself { name, started, applied });
        }
    }

    /// Leaves the other nodes in good order.
    pub async fn leave(&self) -> Result<()> {
        if self.shared.myself.get().is_none() {
            return Ok(());
        }
        due::leave(&self.shared).await
    }

    /// Does what falls due, for ever.
    pub async fn run_due(self: Arc<Self>) {
        due::run(&self.shared).await;
    }

    /// Sets who hears of each commit before its caller does; there can be only one.
    pub(crate) fn listen(&self, listener: Listener) {
        if self.shared.listener.set(listener).is_err() {
            tracing::error!("an engine has two caches over it, and tells only one of its commits");
        }
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.shared.clock)
    }

    /// Tells when something falls due next, as of the last commit that was answered.
    pub(crate) fn next_due(&self) -> Time {
        self.shared.next_due()
    }

    /// Does everything that is due by now, so that what follows sees it done.
    async fn settle(&self) -> Result<()> {
        while self.shared.next_due() <= self.shared.clock.now() {
            due::once(&self.shared).await?;
        }
        Ok(())
    }

    async fn write_now(&self, write: Arc<Write>) -> Result<WriteOutcome> {
        self.settle().await?;
        let seed = self.shared.next_seed();
        let (job, reply) = WriteJob::new(Arc::clone(&self.shared), write, seed);
        self.shared.store.write(Box::new(job));
        reply.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn write_and_wait(&self, write: Write) -> Result<Committed> {
        check(&write)?;
        if let Some(outcome) = workflow::intercept(&self.shared, &write).await {
            return outcome;
        }
        let deadline = self.shared.clock.now().plus(write.wait.min(limits::WAIT_MAX));
        let waits = !write.wait.is_zero();
        let write = Arc::new(write);
        if !waits {
            return Ok(self.write_now(write).await?.committed);
        }
        // Registered before the first look, so that work added in between is not missed.
        let mut waiter = self.shared.waiters.register(&write);
        let outcome = self.write_now(Arc::clone(&write)).await?;
        if !found_nothing(&write, &outcome.committed) {
            return Ok(outcome.committed);
        }
        let mut committed = outcome.committed;
        let claims = Arc::new(claims_of(&write));
        self.shared.waiters.expect(&write.namespace, outcome.later, &self.shared.bell);
        // A recalled answer says what was found then, so the claims look again at once.
        let mut look = outcome.recalled;
        loop {
            if !look && !self.wait(&mut waiter, deadline).await {
                return Ok(committed);
            }
            look = false;
            waiter = self.shared.waiters.register(&write);
            let outcome = self.write_now(Arc::clone(&claims)).await?;
            if !found_nothing(&claims, &outcome.committed) {
                merge(&write, &mut committed, outcome.committed);
                return Ok(committed);
            }
            self.shared.waiters.expect(&write.namespace, outcome.later, &self.shared.bell);
        }
    }

    /// Waits for work; tells whether there may be some.
    async fn wait(&self, waiter: &mut Waiter<'_>, deadline: Time) -> bool {
        tokio::select! {
            biased;
            () = waiter.woken() => true,
            () = self.shared.clock.sleep_until(deadline) => false,
        }
    }
}

pub(crate) fn stopped() -> Error {
    Error::Unavailable("the store has stopped".to_owned())
}

fn check(write: &Write) -> Result<()> {
    if write.commands.len() > limits::COMMANDS_MAX {
        let count = write.commands.len();
        return Err(Error::too_large("commands in one write", count, limits::COMMANDS_MAX));
    }
    match &write.request_id {
        Some(id) if id.is_empty() || id.len() > limits::REQUEST_ID_BYTES_MAX => {
            Err(Error::bad_input("an idempotency key has 1 to 255 bytes"))
        }
        _ => Ok(()),
    }
}

/// Tells whether a write does nothing but claim.
pub(crate) fn only_claims(write: &Write) -> bool {
    write.commands.iter().all(is_claim)
}

fn is_claim(command: &Command) -> bool {
    matches!(command, Command::Queue(QueueCommand::Claim(_)))
}

/// Tells whether a write has claims and none of them got anything.
fn found_nothing(write: &Write, committed: &Committed) -> bool {
    let mut claims = write.commands.iter().zip(&committed.replies).filter(|(c, _)| is_claim(c));
    let empty = |reply: &Reply| matches!(reply, Reply::Attempts(list) if list.is_empty());
    claims.clone().next().is_some() && claims.all(|(_, reply)| empty(reply))
}

/// Gives the claims of a write as a write of their own, with an idempotency key of its own.
pub(crate) fn claims_of(write: &Write) -> Write {
    Write {
        namespace: write.namespace.clone(),
        request_id: write.request_id.as_ref().map(|id| request::waiting(id)),
        commands: write.commands.iter().filter(|command| is_claim(command)).cloned().collect(),
        wait: Duration::ZERO,
    }
}

/// Puts the replies to the claims in their places.
pub(crate) fn merge(write: &Write, committed: &mut Committed, claimed: Committed) {
    let places = write.commands.iter().zip(&mut committed.replies);
    let places = places.filter(|(command, _)| is_claim(command)).map(|(_, reply)| reply);
    for (place, reply) in places.zip(claimed.replies) {
        *place = reply;
    }
    committed.revision = claimed.revision;
    committed.events.extend(claimed.events);
}

impl Backend for Engine {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(self.write_and_wait(write))
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        Box::pin(async move {
            self.settle().await?;
            ask(&self.shared, Ask::Query { query, at_least }).await?.into_read()
        })
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        let namespace = namespace.clone();
        let limit = limit.min(u16::try_from(limits::PAGE_MAX).unwrap_or(u16::MAX));
        Box::pin(async move {
            self.settle().await?;
            ask(&self.shared, Ask::Events { namespace, after, limit }).await?.into_events()
        })
    }
}

/// Tells waiting claims and the metrics what due work has done.
pub(crate) fn after_due(shared: &Shared, due: &Due) {
    metrics::counter!("lockstep_lease_expiries_total").increment(due.expired);
    for (namespace, closed) in &due.closed {
        shared.tell(namespace, closed.revision, &closed.events);
        shared.waiters.wake(namespace, &closed.ready, &shared.bell);
    }
}
