//! Following what others commit, and how long what is kept counts as fresh.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use model::{Answer, Error, Query, Result};
use tokio::time::Instant;

use super::Cached;

/// Least time between two looks, however often the follower is woken.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// Until when what is kept may be given out.
///
/// The time is the machine's own and only goes forward, so that a process that was stopped for a
/// while knows it at once when it goes on.
pub(super) struct Freshness {
    start: Instant,
    /// In milliseconds since the start.
    until: AtomicU64,
    /// When the last look that succeeded began, in nanoseconds since the start.
    looked: AtomicU64,
}

impl Freshness {
    /// Starts as fresh for good: as long as nobody follows, nobody else is there.
    pub(super) fn new() -> Self {
        let (until, looked) = (AtomicU64::new(u64::MAX), AtomicU64::new(0));
        Self { start: Instant::now(), until, looked }
    }

    pub(super) fn is_fresh(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until == u64::MAX || self.start.elapsed().as_millis() < u128::from(until)
    }

    /// Tells whether somebody follows.
    fn is_limited(&self) -> bool {
        self.until.load(Ordering::Acquire) != u64::MAX
    }

    /// Gives the time at which the last look that succeeded began.
    pub(super) fn looked(&self) -> Instant {
        self.start + Duration::from_nanos(self.looked.load(Ordering::Acquire))
    }

    /// Takes note of a look that succeeded, for so long.
    pub(super) fn look(&self, asked: Instant, fresh_max: Duration) {
        let since = asked.saturating_duration_since(self.start).as_nanos();
        self.looked.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Release);
        if self.is_limited() {
            self.until(asked + fresh_max);
        }
    }

    fn until(&self, time: Instant) {
        let since = time.saturating_duration_since(self.start).as_millis();
        self.until.store(u64::try_from(since).unwrap_or(u64::MAX - 1), Ordering::Release);
    }
}

impl Cached {
    /// Follows what others commit, for ever: every second or so with one small query, and at once
    /// when it is woken. From then on nothing is given out from memory for longer than
    /// [`super::CacheOptions::fresh_max`] after the last look that succeeded. Over an engine that
    /// looks anyhow, nothing more is asked as long as there is nothing new.
    pub async fn follow(self: Arc<Self>) {
        self.freshness.until(Instant::now());
        let (mut is_wanted, mut looked) = (true, Instant::now());
        loop {
            if is_wanted {
                looked = Instant::now();
                if let Err(error) = self.catch_up().await {
                    tracing::debug!(%error, "what others have committed could not be read");
                }
            }
            // Many hints in a row are one look.
            tokio::time::sleep(PAUSE_MIN).await;
            let every = self.options.follow_every.saturating_sub(PAUSE_MIN);
            is_wanted = tokio::select! {
                () = self.hint.notified() => true,
                () = tokio::time::sleep(every) => !self.was_looked_for(looked),
            };
        }
    }

    /// Tells whether the engine below has looked lately, after this was last done here.
    fn was_looked_for(&self, looked: Instant) -> bool {
        let lately = self.options.follow_every * 3 / 2;
        let last = self.freshness.looked();
        last > looked && last.elapsed() < lately
    }

    /// Hears of everything that was committed by now in the namespaces of which something is kept.
    ///
    /// # Errors
    /// Those of the backend; what is kept then grows stale, and is not given out once it is.
    pub async fn catch_up(&self) -> Result<()> {
        loop {
            let asked = Instant::now();
            let positions = self.core().positions();
            let mut more = false;
            let mut epoch = None;
            // Nobody has to be told how far a cache is that keeps nothing and has no engine.
            if !positions.is_empty() || self.engine.is_some() {
                let read = self.backend.read(Query::Since(positions), 0).await?;
                let Answer::Events(events) = read.answer else {
                    return Err(Error::Internal("something else than events was told".to_owned()));
                };
                epoch = Some(read.as_of);
                more = !events.is_empty();
                let counts = {
                    let mut core = self.core();
                    events.iter().for_each(|event| core.follow(event));
                    core.counts()
                };
                self.meters.show(&counts);
                let newest = events.iter().map(|event| event.time).max();
                self.meters.lag(newest.map_or(Duration::ZERO, |time| self.now().since(time)));
            }
            // One answer has not room for everything, so the end is where there is nothing new.
            if !more {
                self.freshness.look(asked, self.options.fresh_max);
                // Everything up to here is applied in the namespaces that were looked at, and what
                // began since then read what is newer.
                if let (Some(engine), Some(epoch)) = (&self.engine, epoch) {
                    engine.note_applied(epoch);
                }
                return Ok(());
            }
        }
    }
}
