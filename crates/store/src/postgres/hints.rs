//! Hints between nodes that something was committed, so that they look at once and not only at the
//! next second.
//!
//! A hint is never part of a transaction that changes rows: it has a connection of its own, tells
//! nothing but that there is something, and is sent at most every so often. Whoever misses one
//! looks a little later.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::address::Address;
use super::failure::Outcome;
use crate::checksum::checksum;

/// The least time between two hints that are sent.
const GAP: Duration = Duration::from_millis(25);
/// The pause before a lost connection is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is called when another node has committed something.
pub(crate) type Wake = Box<dyn Fn() + Send + Sync>;

/// The hints of one node.
#[derive(Default)]
pub(crate) struct Hints {
    committed: Notify,
    wake: OnceLock<Wake>,
    is_over: AtomicBool,
}

impl Hints {
    /// Tells the other nodes of a commit, soon.
    pub(crate) fn send(&self) {
        self.committed.notify_one();
    }

    /// Sets what is called when another node tells of a commit.
    pub(crate) fn on_hint(&self, wake: Wake) {
        // Whoever comes first stays.
        let _first = self.wake.set(wake);
    }

    /// Ends [`run`].
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.committed.notify_one();
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

/// Sends and receives hints until it is told to end.
pub(crate) fn run(hints: &Arc<Hints>, address: &Address, runtime: &Runtime) {
    runtime.block_on(async {
        while !hints.is_over() {
            if let Err(failure) = session(hints, address).await {
                let error = failure.into_error();
                tracing::debug!(%error, "hints to other nodes are not sent for a while");
            }
            let _ended = tokio::time::timeout(PAUSE, ended(hints)).await;
        }
    });
}

async fn ended(hints: &Hints) {
    while !hints.is_over() {
        hints.committed.notified().await;
    }
}

/// Sends and receives hints over one connection, as long as it lasts.
async fn session(hints: &Arc<Hints>, address: &Address) -> Outcome<()> {
    // Stores in other schemas of the same database have nothing to do with each other.
    let channel = format!("lockstep_{:x}", checksum(address.schema()));
    let heard = Arc::clone(hints);
    let own = Arc::new(AtomicI32::new(0));
    let myself = Arc::clone(&own);
    let hear = move |process| {
        if let Some(wake) = heard.wake.get()
            && process != myself.load(Ordering::Acquire)
        {
            wake();
        }
    };
    let client = address.connect_hearing("hints", hear).await?;
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await?;
    own.store(row.try_get(0)?, Ordering::Release);
    client.batch_execute(&format!("LISTEN {channel}")).await?;
    let notify = format!("NOTIFY {channel}");
    loop {
        hints.committed.notified().await;
        if hints.is_over() {
            return Ok(());
        }
        client.batch_execute(&notify).await?;
        tokio::time::sleep(GAP).await;
    }
}
