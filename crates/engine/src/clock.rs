//! The clock, which is handed in so that tests can turn it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use model::{BoxFuture, Time};
use store::Store;

/// Tells the time and wakes sleepers.
pub trait Clock: Send + Sync {
    /// Tells the time.
    fn now(&self) -> Time;

    /// Sleeps until a time; a clock that jumps forward may wake sleepers late, never early.
    fn sleep_until(&self, time: Time) -> BoxFuture<'static, ()>;
}

/// Gives the clock that a store's leases go by: its own if it has one, else the machine's.
pub fn clock_of(store: &Arc<dyn Store>) -> Arc<dyn Clock> {
    match store.now() {
        Some(_) => Arc::new(StoreClock(Arc::clone(store))),
        None => Arc::new(SystemClock),
    }
}

/// The clock of a store that several nodes share.
struct StoreClock(Arc<dyn Store>);

impl Clock for StoreClock {
    fn now(&self) -> Time {
        self.0.now().unwrap_or_else(|| SystemClock.now())
    }

    fn sleep_until(&self, time: Time) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time.since(self.now())))
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, time: Time) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time.since(self.now())))
    }
}
