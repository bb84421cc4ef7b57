//! A clock that stands still until it is told otherwise.

use std::time::Duration;

use engine::Clock;
use model::{BoxFuture, Time};
use tokio::sync::watch;

/// 2026-01-01T00:00:00Z, where every [`ManualClock`] starts.
pub const START: Time = Time(1_767_225_600_000_000_000);

/// A clock that only tests move.
#[derive(Debug)]
pub struct ManualClock(watch::Sender<Time>);

impl ManualClock {
    /// Makes a clock that shows [`START`].
    pub fn new() -> Self {
        Self(watch::Sender::new(START))
    }

    /// Moves the clock on and wakes those whose time has come.
    pub fn advance(&self, span: Duration) {
        self.0.send_modify(|now| *now = now.plus(span));
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        *self.0.borrow()
    }

    fn sleep_until(&self, time: Time) -> BoxFuture<'static, ()> {
        let mut shown = self.0.subscribe();
        Box::pin(async move {
            if shown.wait_for(|now| *now >= time).await.is_err() {
                // Nobody can move the clock any more, so the time never comes.
                std::future::pending::<()>().await;
            }
        })
    }
}
