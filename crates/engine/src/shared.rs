//! What the engine shares with its jobs in the store.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use flow::{instance::FlowDue, run};
use model::{EventBody, Id, Namespace, Result, Revision, Time, Tracer};
use queue::{Due, Ready};
use store::{Store, Tx};
use tokio::{sync::Notify, time::Instant};

use crate::{
    Clock, expr,
    node::{Lease, Myself},
    peer::{Others, Peers},
    pulse::Follower,
    secret::{self, Keys},
    waiters::Waiters,
    workflow::{Stages, driver::Drivers},
};

/// What the engine shares with its jobs in the store.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) waiters: Waiters,
    /// Wakes the loop that does what falls due.
    pub(crate) bell: Notify,
    /// When something falls due next, in nanoseconds since 1970.
    next_due: AtomicI64,
    /// When something that another node has written falls due next.
    pub(crate) others: Others,
    /// From when on there is something to sweep away, as of the last look.
    next_sweep: AtomicI64,
    /// Whether something was destroyed here and not all of it is swept away yet.
    pub(crate) is_destroyed: AtomicBool,
    /// The last look at what falls due that was noted.
    noted: Mutex<u64>,
    looks: AtomicU64,
    seed: AtomicU64,
    /// The pipeline that publishes.
    pub(crate) stages: Stages,
    /// Wakes whoever waits for other nodes, when one of them has told of a commit.
    pub(crate) hinted: Notify,
    /// The lease of this node, as it knows of it.
    pub(crate) lease: Lease,
    /// The epoch of the catalog up to which nothing older is given out by this node.
    pub(crate) applied: AtomicU64,
    /// Whether another node has told of a commit since the last look.
    pub(crate) is_hinted: AtomicBool,
    /// Who else looks when another node has told of a commit.
    pub(crate) follower: OnceLock<Follower>,
    /// This node, once it has joined the others.
    pub(crate) myself: OnceLock<Myself>,
    /// The others that take writes, and whether this node does.
    pub(crate) peers: Peers,
    /// Who hears of each commit before its caller does.
    pub(crate) listener: OnceLock<Listener>,
    /// What this node has to take up for workflows.
    pub(crate) drivers: Drivers,
    /// Who computes expressions.
    pub(crate) expressions: OnceLock<expr::Pool>,
    /// Where secrets are that the store does not have.
    pub(crate) secrets: OnceLock<SecretOf>,
    /// The keys of those that it has.
    pub(crate) keys: OnceLock<Arc<Keys>>,
    /// How long instances are kept once they have ended, if not for the usual time.
    pub(crate) instances_kept: OnceLock<Duration>,
    /// Who takes spans.
    pub(crate) tracer: OnceLock<Arc<dyn Tracer>>,
}

/// Gives a secret that is elsewhere than in the store, by its name.
pub type SecretOf = Box<dyn Fn(&str) -> Option<serde_json::Value> + Send + Sync>;

/// Hears of a commit: where it was, its revision, and what it changed.
pub(crate) type Listener = Box<dyn Fn(&Namespace, Revision, &[EventBody]) + Send + Sync>;

/// When something falls due next, as one job saw it.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    order: u64,
    next: i64,
}

impl Shared {
    /// Begins with nothing known of what falls due.
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, stages: Stages) -> Self {
        let seed = AtomicU64::new(clock.now().0.unsigned_abs());
        Self {
            store,
            clock,
            waiters: Waiters::default(),
            bell: Notify::new(),
            // Unknown until the first job has looked, so the first call looks.
            next_due: AtomicI64::new(i64::MIN),
            others: Others::new(),
            next_sweep: AtomicI64::new(i64::MAX),
            is_destroyed: AtomicBool::new(false),
            noted: Mutex::new(0),
            looks: AtomicU64::new(0),
            seed,
            stages,
            hinted: Notify::new(),
            lease: Lease::new(),
            applied: AtomicU64::new(0),
            is_hinted: AtomicBool::new(false),
            follower: OnceLock::new(),
            myself: OnceLock::new(),
            peers: Peers::default(),
            listener: OnceLock::new(),
            drivers: Drivers::default(),
            expressions: OnceLock::new(),
            secrets: OnceLock::new(),
            keys: OnceLock::new(),
            instances_kept: OnceLock::new(),
            tracer: OnceLock::new(),
        }
    }

    /// Hears that another node has committed something.
    pub(crate) fn hear_hint(&self) {
        self.is_hinted.store(true, Ordering::Release);
        self.bell.notify_one();
        self.hinted.notify_waiters();
        self.wake_follower();
    }

    /// Looks, in a transaction, when something falls due next.
    pub(crate) fn look(&self, tx: &mut dyn Tx) -> Result<Look> {
        let queue = queue::next_due(tx)?.map_or(i64::MAX, |time| time.0);
        let flow = flow::instance::next_due(tx)?.map_or(i64::MAX, |time| time.0);
        let next = queue.min(flow);
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

    /// Does what follows a commit: whoever waits for it hears of it.
    pub(crate) fn committed(
        &self,
        namespace: &Namespace,
        (revision, events): (Revision, &[EventBody]),
        ready: &[Ready],
        look: Look,
    ) {
        self.tell(namespace, revision, events);
        if events.iter().any(is_destruction) {
            self.is_destroyed.store(true, Ordering::Release);
            self.bell.notify_one();
        }
        self.note(look);
        self.waiters.wake(namespace, ready, &self.bell);
        self.drivers.hear(namespace, events);
    }

    /// Gives the keys for secrets, if there are any.
    pub(crate) fn keys(&self) -> Option<&Keys> {
        self.keys.get().map(Arc::as_ref)
    }

    /// Gives what expressions of an instance see of those of these secrets that there are: of each
    /// the one of the store, or else the one that is elsewhere.
    ///
    /// # Errors
    /// Those of opening one.
    pub(crate) async fn secrets_of(
        &self,
        (namespace, live): (&Namespace, Id),
        names: &[String],
        seal: u64,
    ) -> Result<serde_json::Value> {
        let mut found = serde_json::Map::new();
        for name in names {
            let value = match secret::open(self, namespace, Some(live), name).await? {
                Some(value) => Some(value.to_json()),
                None => self.secrets.get().and_then(|secrets| secrets(name)),
            };
            if let Some(mut value) = value {
                found.insert(name.clone(), run::sealed(name, &value, seal));
                run::wipe(&mut value);
            }
        }
        Ok(found.into())
    }

    /// Computes expressions, one answer each.
    pub(crate) async fn evaluate(&self, asks: Vec<run::Ask>) -> Vec<run::Answer> {
        if asks.is_empty() {
            return Vec::new();
        }
        self.expressions.get_or_init(expr::Pool::default).evaluate(asks).await
    }

    /// Notes that nothing is given out any more that is older than an epoch of the catalog, so that
    /// the other nodes can be told.
    pub(crate) fn note_applied(&self, epoch: u64) {
        if self.applied.fetch_max(epoch, Ordering::AcqRel) < epoch {
            self.bell.notify_one();
        }
    }

    /// Gives the epoch of the catalog that this node has applied; none if it keeps nothing.
    pub(crate) fn applied_epoch(&self) -> Option<u64> {
        self.listener.get().map(|_| self.applied.load(Ordering::Acquire))
    }

    /// Notes that the lease of this node was renewed; if it was over, whoever keeps something
    /// looks at once.
    pub(crate) fn renewed(&self, asked: Instant) {
        if self.lease.renewed(asked) {
            self.wake_follower();
        }
    }

    fn wake_follower(&self) {
        self.follower.get().into_iter().for_each(|follower| follower.hint.notify_one());
    }

    /// Notes from when on something may be swept away that any node has written.
    pub(crate) fn note_sweep(&self, next: i64) {
        self.next_sweep.store(next, Ordering::Release);
    }

    /// Tells whether there may be something to sweep away.
    pub(crate) fn has_rubble(&self, now: Time) -> bool {
        !self.store.is_shared()
            || self.next_sweep.load(Ordering::Acquire) <= now.0
            || self.is_destroyed.load(Ordering::Acquire)
    }

    pub(crate) fn next_due(&self) -> Time {
        Time(self.next_due.load(Ordering::Acquire).min(self.others.next()))
    }

    /// Gives the seed of a write. What is drawn from it steps far and is mixed well, so neighbours
    /// share no stretch of it.
    pub(crate) fn next_seed(&self) -> u64 {
        self.seed.fetch_add(1, Ordering::Relaxed)
    }
}

/// Tells whether an event leaves rows that are to be swept away.
fn is_destruction(event: &EventBody) -> bool {
    matches!(event, EventBody::NamespaceDestroyed | EventBody::SpecDestroyed(_))
}

/// Tells waiting claims and the metrics what due work has done.
pub(crate) fn after_due(shared: &Shared, due: &Due) {
    metrics::counter!("lockstep_lease_expiries_total").increment(due.expired);
    for (namespace, closed) in &due.closed {
        shared.tell(namespace, closed.revision, &closed.events);
        shared.waiters.wake(namespace, &closed.ready, &shared.bell);
    }
}

/// Tells everybody what due work of workflows has done, and takes up what it found left.
pub(crate) fn after_flow_due(shared: &Shared, due: &FlowDue) {
    for (namespace, closed) in &due.closed {
        shared.tell(namespace, closed.revision, &closed.events);
        shared.waiters.wake(namespace, &closed.ready, &shared.bell);
        shared.drivers.hear(namespace, &closed.events);
    }
    due.left.iter().for_each(|(namespace, left)| shared.drivers.push(namespace, *left));
}
