//! The backend around the cache: it loads what is missing, outside of any lock, and hears of
//! commits.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use model::{
    Answer, Backend, BoxFuture, Committed, Error, Event, Id, Namespace, Query, Read, Result,
    Revision, Time, Write,
};
use tokio::sync::Notify;

use super::{
    core::{Asked, CacheCounts, Core, Kept, Loaded, Look, Ticket},
    follow::Freshness,
    kinds::{self, Holds},
    lru::Bounds,
    meters::Meters,
};
use crate::{Clock, Engine, SystemClock, pulse::Follower};

/// How much a [`Cached`] keeps, and for how long it may do so unheard.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// Namespaces of which something is kept.
    pub namespaces: usize,
    /// Specs, units and workers that are kept, of all namespaces together.
    pub entries: usize,
    /// Bytes that they take, about.
    pub bytes: usize,
    /// Time between two looks at what others have committed.
    pub follow_every: Duration,
    /// How long what is kept counts as fresh after the last look that succeeded. It matters only
    /// where [`Cached::follow`] runs.
    pub fresh_max: Duration,
}

impl Default for CacheOptions {
    /// Gives room for all that the ancestor's cache could hold: 32 namespaces with 64 specs and 256
    /// workers each, and 2,048 units a spec; in at most 256 MiB.
    fn default() -> Self {
        let (namespaces, specs, workers, units) = (32, 64, 256, 2_048);
        Self {
            namespaces,
            entries: namespaces * (specs * (1 + units) + workers),
            bytes: 256 << 20,
            follow_every: Duration::from_secs(1),
            fresh_max: Duration::from_secs(3),
        }
    }
}

/// A backend that answers questions by name from memory where it can.
///
/// What was answered to a write is seen by every later read through the same cache, and a read that
/// says how new its answer must be gets one that is as new. What others commit is seen as soon as
/// [`Cached::follow`] hears of it. An answer by bare name is always that of the record that has the
/// name now; an answer by incarnation is [`Error::Gone`] where another record has it.
pub struct Cached {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) core: Arc<Mutex<Core>>,
    pub(super) options: CacheOptions,
    pub(super) meters: Arc<Meters>,
    pub(super) freshness: Arc<Freshness>,
    /// Wakes the follower.
    pub(super) hint: Arc<Notify>,
    clock: Arc<dyn Clock>,
    /// The engine below, if that tells of each of its commits by itself.
    pub(super) engine: Option<Arc<Engine>>,
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Cached {
    /// Puts a cache over a backend, with the usual options and the machine's clock.
    ///
    /// Where others write to the same store, or where writes are given up before they are answered,
    /// [`Cached::follow`] must run.
    pub fn new(backend: Arc<dyn Backend>) -> Arc<Self> {
        Self::with(backend, CacheOptions::default(), Arc::new(SystemClock))
    }

    /// Puts a cache over a backend.
    pub fn with(
        backend: Arc<dyn Backend>,
        options: CacheOptions,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self::make(backend, None, options, clock))
    }

    /// Gives the namespaces of which something is kept, each with the revision that was applied.
    pub fn positions(&self) -> Vec<(Namespace, Revision)> {
        self.core().positions()
    }

    /// Puts a cache over an engine of this process, which tells it of each commit before anyone
    /// else hears of it: of those whose caller has gone and of what falls due, too.
    pub fn over(engine: Arc<Engine>, options: CacheOptions) -> Arc<Self> {
        let clock = engine.clock();
        let cached = Self::make(engine.clone(), Some(engine.clone()), options, clock);
        let core = Arc::clone(&cached.core);
        engine.listen(Box::new(move |namespace, revision, bodies| {
            lock(&core).hear(namespace, revision, bodies);
        }));
        let (core, freshness) = (Arc::clone(&cached.core), Arc::clone(&cached.freshness));
        let (meters, fresh_max) = (Arc::clone(&cached.meters), cached.options.fresh_max);
        engine.follow(Follower {
            hint: cached.hint(),
            positions: Box::new(move || lock(&core).positions()),
            is_at_end: Box::new(move |asked| {
                freshness.look(asked, fresh_max);
                meters.lag(Duration::ZERO);
            }),
        });
        Arc::new(cached)
    }

    fn make(
        backend: Arc<dyn Backend>,
        engine: Option<Arc<Engine>>,
        options: CacheOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let bounds = Bounds { entries: options.entries, weight: options.bytes };
        Self {
            backend,
            core: Arc::new(Mutex::new(Core::new(options.namespaces, bounds))),
            meters: Arc::default(),
            freshness: Arc::new(Freshness::new()),
            hint: Arc::new(Notify::new()),
            options,
            clock,
            engine,
        }
    }

    /// Gives what wakes the follower at once, for whoever learns that others have committed.
    pub fn hint(&self) -> Arc<Notify> {
        Arc::clone(&self.hint)
    }

    /// Tells what has happened so far, in numbers.
    pub fn counts(&self) -> CacheCounts {
        self.core().counts()
    }

    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        lock(&self.core)
    }

    /// Answers from memory; what is missing is loaded once, however many ask for it.
    async fn answer(&self, key: Query, id: Option<Id>, at_least: Revision) -> Result<Read> {
        let asked = |cached: &Self| Asked {
            id,
            at_least,
            now: cached.clock.now(),
            next_due: cached.next_due(),
        };
        let Some(namespace) = key.namespace() else {
            return self.backend.read(key, at_least).await;
        };
        if !self.is_fresh() {
            let floor = self.core().newest(namespace);
            return self.load_alone(key, id, at_least.max(floor)).await;
        }
        let mut look = self.core().look(namespace, &key, &asked(self));
        if let Look::Join(mut done) = look {
            // The other side never sends: it is dropped when the load has ended in any way.
            let _ended = done.changed().await;
            look = self.core().look_again(namespace, &key, &asked(self));
        }
        match look {
            Look::Hit(as_of, kept) => {
                self.meters.hit();
                give(&key, id, as_of, kept)
            }
            Look::Load(ticket) => self.load(ticket, key, id, at_least).await,
            Look::Join(_) => self.load_alone(key, id, at_least).await,
            Look::Pass(floor) => self.load_alone(key, id, at_least.max(floor)).await,
        }
    }

    /// Loads, and keeps what was loaded.
    async fn load(
        &self,
        ticket: Ticket,
        key: Query,
        id: Option<Id>,
        at_least: Revision,
    ) -> Result<Read> {
        let floor = at_least.max(ticket.floor);
        let fill = Filling { cached: self, ticket: Some(ticket) };
        let loaded = self.backend.read(key.clone(), floor).await;
        match &loaded {
            Ok(read) => {
                let mut holds = kinds::holds(&read.answer);
                let mut kept = Kept::Answer(Arc::new(read.answer.clone()));
                if holds == Holds::UntilDue && self.engine.is_none() {
                    (holds, kept) = (Holds::Always, Kept::Nothing);
                }
                fill.bring(Loaded { as_of: Some(read.as_of), holds, kept });
            }
            Err(error) if kinds::is_absent(&key, error) => {
                let kept = Kept::Absent(error.clone());
                fill.bring(Loaded { as_of: None, holds: Holds::Always, kept });
            }
            Err(_) => drop(fill),
        }
        kinds::guard(&key, id, loaded, |read| kinds::id_of(&read.answer))
    }

    /// Loads without keeping anything.
    async fn load_alone(&self, key: Query, id: Option<Id>, at_least: Revision) -> Result<Read> {
        self.meters.show(&self.counts());
        let loaded = self.backend.read(key.clone(), at_least).await;
        kinds::guard(&key, id, loaded, |read| kinds::id_of(&read.answer))
    }

    /// Tells whether what is kept may be given out: what others commit is heard of, and others
    /// wait until it is.
    fn is_fresh(&self) -> bool {
        let covers = |engine: &Arc<Engine>| engine.lease_covers(self.freshness.looked());
        self.freshness.is_fresh() && self.engine.as_ref().is_none_or(covers)
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    fn next_due(&self) -> Option<Time> {
        self.engine.as_ref().map(|engine| engine.next_due())
    }

    async fn write_through(&self, write: Write) -> Result<Committed> {
        let namespace = write.namespace.clone();
        let mut doubt = self.doubt(&namespace);
        doubt.ends = self.engine.is_none();
        let outcome = self.backend.write(write).await;
        match &outcome {
            // The engine has told of it.
            Ok(_) if self.engine.is_some() => doubt.nothing(),
            Ok(committed) => doubt.made(committed),
            Err(error) => doubt.failed(error),
        }
        outcome
    }

    /// Begins a write that goes another way than through this cache. Until it is said what became
    /// of it, nobody knows; so that has to be said before its caller has the answer.
    pub fn doubt<'c>(&'c self, namespace: &'c Namespace) -> Doubt<'c> {
        Doubt { cached: self, namespace, ends: true }
    }
}

impl Backend for Cached {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(self.write_through(write))
    }

    fn read(&self, mut query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        match kinds::take_id(&mut query) {
            Some(id) => Box::pin(self.answer(query, id, at_least)),
            None => self.backend.read(query, at_least),
        }
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        self.backend.events(namespace, after, limit)
    }
}

/// A load in flight, which ends in any case.
struct Filling<'c> {
    cached: &'c Cached,
    ticket: Option<Ticket>,
}

impl Filling<'_> {
    fn bring(mut self, loaded: Loaded) {
        if let Some(ticket) = self.ticket.take() {
            self.cached.core().fill(ticket, loaded);
        }
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        let counts = {
            let mut core = self.cached.core();
            if let Some(ticket) = &self.ticket {
                core.end(ticket);
            }
            core.counts()
        };
        self.cached.meters.show(&counts);
    }
}

/// A write whose outcome is not known: it may have taken effect, or may do so later, like the write
/// of a stranger. What is kept of its namespace is given up, and the follower brings the rest.
pub struct Doubt<'c> {
    cached: &'c Cached,
    namespace: &'c Namespace,
    ends: bool,
}

impl fmt::Debug for Doubt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doubt").field("namespace", self.namespace).finish_non_exhaustive()
    }
}

impl Doubt<'_> {
    /// Ends it with the outcome of the write.
    pub fn made(self, committed: &Committed) {
        if !committed.events.is_empty() {
            self.cached.core().hear(self.namespace, committed.revision, &committed.events);
        }
        self.nothing();
    }

    /// Ends it with the error of the write, which may leave it.
    pub fn failed(mut self, error: &Error) {
        // Of these nobody knows whether the write has taken effect, or will.
        self.ends = matches!(error, Error::Unavailable(_) | Error::Internal(_));
    }

    /// Ends it, because nothing was done.
    pub fn nothing(mut self) {
        self.ends = false;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if self.ends {
            self.cached.core().forget(self.namespace);
            self.cached.hint.notify_one();
        }
    }
}

fn lock(core: &Mutex<Core>) -> MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the answer out of what is kept.
fn give(key: &Query, id: Option<Id>, as_of: Revision, kept: Kept) -> Result<Read> {
    let found = match kept {
        Kept::Answer(answer) => Ok(Read { as_of, answer: Answer::clone(&answer) }),
        Kept::Absent(error) => Err(error),
        Kept::Nothing => Err(Error::Internal("nothing was kept and given".to_owned())),
    };
    kinds::guard(key, id, found, |read| kinds::id_of(&read.answer))
}
