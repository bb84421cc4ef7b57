//! Peers: the nodes that pass writes on to each other, as each tells the others of itself in its
//! row. Where a write is passed on to is decided elsewhere.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use model::{Result, Time};
use tokio::sync::watch;

use crate::{Engine, due, node::NodeRow, shared::Shared};

/// Where other nodes reach a node, and what they show to be let in.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its URL.
    pub url: String,
    /// What only nodes of the same store can know.
    pub secret: String,
}

impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerAddress").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Another node that takes writes, as of the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Where it is reached.
    pub address: PeerAddress,
    /// Until when it counts as alive, by the store's clock.
    pub lease: Time,
}

/// What a node knows of its peers.
pub(crate) struct Peers {
    /// Whether this node takes writes itself.
    pub(crate) takes: AtomicBool,
    seen: watch::Sender<Arc<[Peer]>>,
}

impl Default for Peers {
    fn default() -> Self {
        Self { takes: AtomicBool::new(true), seen: watch::Sender::new(Arc::new([])) }
    }
}

impl Peers {
    /// Takes note of the rows of all nodes, as of one look.
    pub(crate) fn saw(&self, rows: Vec<NodeRow>, own: &str) {
        self.seen.send_replace(rows.into_iter().filter_map(|row| peer(row, own)).collect());
    }
}

/// Gives the peer that a row tells of. A node of another version may not understand what this one
/// says.
fn peer(NodeRow { info, secret }: NodeRow, own: &str) -> Option<Peer> {
    let is_other = info.name != own && info.version == env!("CARGO_PKG_VERSION");
    let address = PeerAddress { url: info.peer_url?, secret: secret? };
    is_other.then_some(Peer { name: info.name, address, lease: info.lease })
}

impl Engine {
    /// Gives the other nodes that take writes, as of the last look and all later ones: also those
    /// whose lease has ended.
    pub fn peers(&self) -> watch::Receiver<Arc<[Peer]>> {
        self.shared.peers.seen.subscribe()
    }

    /// Tells the others that this node takes no more writes that are passed on to it, because it
    /// is about to end. They hear of it when they look.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn withdraw(&self) -> Result<()> {
        self.shared.peers.takes.store(false, Ordering::Release);
        due::renew(&self.shared).await
    }

    /// Hears from a peer when something falls due there, so that reads here do it before they
    /// look.
    pub fn hear_due(&self, next: Time) {
        self.shared.others.hear(next.0);
    }

    /// Tells when something falls due next, as of the last commit that was answered.
    pub fn next_due(&self) -> Time {
        self.shared.next_due()
    }
}

/// How many of the last things that peers told are kept apart.
const TOLD_MAX: usize = 64;

/// When something falls due next that other nodes have written: by what a look at the store has
/// seen, and by what peers have told since it began.
pub(crate) struct Others {
    next: AtomicI64,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    count: u64,
    /// What was told when the look began that was noted last.
    noted: u64,
    /// What was told since, by its number. What was told later and is due before makes an earlier
    /// one needless, so that the first one behind a number is the least.
    since: VecDeque<(u64, i64)>,
}

impl Others {
    pub(crate) fn new() -> Self {
        Self { next: AtomicI64::new(i64::MAX), told: Mutex::default() }
    }

    pub(crate) fn next(&self) -> i64 {
        self.next.load(Ordering::Acquire)
    }

    /// Gives what has to be given back with what a look that begins now will see.
    pub(crate) fn look(&self) -> u64 {
        self.told().count
    }

    /// Takes note of what a look has seen.
    pub(crate) fn note(&self, began: u64, next: i64) {
        let mut told = self.told();
        if began < told.noted {
            // It saw less than the one before.
            self.next.fetch_min(next, Ordering::AcqRel);
            return;
        }
        told.noted = began;
        while told.since.front().is_some_and(|(number, _)| *number <= began) {
            told.since.pop_front();
        }
        let since = told.since.front().map_or(i64::MAX, |(_, next)| *next);
        self.next.store(next.min(since), Ordering::Release);
    }

    fn hear(&self, next: i64) {
        let mut told = self.told();
        told.count += 1;
        while told.since.back().is_some_and(|(_, earlier)| *earlier >= next) {
            told.since.pop_back();
        }
        let number = told.count;
        told.since.push_back((number, next));
        if told.since.len() > TOLD_MAX
            && let Some((last, _)) = told.since.pop_back()
            && let Some(before) = told.since.back_mut()
        {
            // As if both had been told last, which at worst makes somebody look in vain.
            before.0 = last;
        }
        self.next.fetch_min(next, Ordering::AcqRel);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives how other nodes reach this one, as long as it takes writes.
pub(crate) fn own_address(shared: &Shared) -> Option<&PeerAddress> {
    let address = shared.myself.get()?.peer.as_ref()?;
    shared.peers.takes.load(Ordering::Acquire).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_tells_outlasts_a_look_that_began_before() {
        let others = Others::new();
        let began = others.look();
        others.hear(7);
        others.hear(8);
        others.note(began, 9);
        assert_eq!(others.next(), 7);
        others.note(others.look(), 9);
        assert_eq!(others.next(), 9);
        others.hear(8);
        others.note(began, 20);
        assert_eq!(others.next(), 8, "a look that saw less raises nothing");
    }

    #[test]
    fn what_was_told_before_a_look_is_over_whoever_tells_more_meanwhile() {
        let others = Others::new();
        others.hear(3);
        let began = others.look();
        (0..1_000).for_each(|next| others.hear(100 + next));
        others.note(began, i64::MAX);
        assert_eq!(others.next(), 100);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let address = PeerAddress { url: "http://a".to_owned(), secret: "canary".to_owned() };
        assert!(!format!("{address:?}").contains("canary"));
    }
}
