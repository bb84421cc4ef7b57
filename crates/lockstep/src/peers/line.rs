//! The ways to the peers, each of which is tried before a write goes that way.

mod batch;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use client::{Keys, Remote, RemoteOptions, TlsOptions};
use engine::{Clock, Peer};
use model::{Result, Time, limits};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use batch::Waiting;

/// How long connecting to a peer may take; meanwhile a write waits for it.
const CONNECT_MAX: Duration = Duration::from_millis(500);
/// How long a peer may take to say that it is one.
const GREETING_MAX: Duration = Duration::from_secs(1);
/// How long a peer that could not be reached is left alone, at first and at most.
const REST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);

/// The ways to all peers, by name.
pub(super) struct Lines {
    clock: Arc<dyn Clock>,
    /// Whom to trust over https, and what to show.
    tls: TlsOptions,
    lines: Mutex<HashMap<String, Arc<Line>>>,
}

/// The way to one peer.
pub(super) struct Line {
    remote: Remote,
    /// The writes that are to go this way.
    waiting: Mutex<Waiting>,
    places: Arc<Semaphore>,
    places_to_wait: Arc<Semaphore>,
    trust: Mutex<Trust>,
}

/// What is known of a way.
#[derive(Clone, Copy)]
enum Trust {
    /// A peer is at its end.
    Yes,
    /// It was never tried, or led nowhere.
    No {
        failures: u32,
        /// From when on it may be tried again.
        from: Time,
        /// The lease of the peer when it led nowhere: it has to be seen alive since.
        lease: Time,
    },
}

const UNTRIED: Trust = Trust::No { failures: 0, from: Time(0), lease: Time(0) };

impl Lines {
    pub(super) fn new(clock: Arc<dyn Clock>, tls: TlsOptions) -> Self {
        Self { clock, tls, lines: Mutex::default() }
    }

    /// Gives the way to a peer, if one is known to be at its end.
    pub(super) fn to(&self, name: &str) -> Option<Arc<Line>> {
        let lines = self.lines();
        lines.get(name).filter(|line| matches!(*line.trust(), Trust::Yes)).cloned()
    }

    /// Tries the ways to peers that nobody is known to be at, and gives up those to nodes that are
    /// no more; tells how many lead to a peer.
    pub(super) async fn try_all(&self, peers: &[Peer]) -> usize {
        let now = self.clock.now();
        let alive = || peers.iter().filter(|peer| peer.lease > now);
        let mut tried = JoinSet::new();
        {
            let mut lines = self.lines();
            lines.retain(|name, _| peers.iter().any(|peer| peer.name == *name));
            for peer in alive() {
                let Some(line) = self.line(&mut lines, peer) else { continue };
                if line.is_worth_a_try(peer, now) {
                    tried.spawn(line.greet(peer.clone(), now));
                }
            }
        }
        while tried.join_next().await.is_some() {}
        alive().filter(|peer| self.to(&peer.name).is_some()).count()
    }

    fn line(&self, lines: &mut HashMap<String, Arc<Line>>, peer: &Peer) -> Option<Arc<Line>> {
        if let Some(line) = lines.get(&peer.name) {
            return Some(Arc::clone(line));
        }
        match Line::to(peer, &self.tls) {
            Ok(line) => {
                let line = Arc::new(line);
                lines.insert(peer.name.clone(), Arc::clone(&line));
                Some(line)
            }
            Err(error) => {
                tracing::warn!(%error, peer = peer.name, "nothing can be passed on to a peer");
                None
            }
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<String, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn to(peer: &Peer, tls: &TlsOptions) -> Result<Self> {
        let options = RemoteOptions {
            token: Some(peer.address.secret.clone()),
            tls: tls.clone(),
            connect_max: CONNECT_MAX,
            tries_max: 1,
            keys: Keys::Given,
            ..RemoteOptions::standard()
        };
        Ok(Self {
            remote: Remote::new(&peer.address.url, options)?,
            waiting: Mutex::default(),
            places: Arc::new(Semaphore::new(limits::PASSED_ON_MAX)),
            places_to_wait: Arc::new(Semaphore::new(limits::PASSED_ON_WAITING_MAX)),
            trust: Mutex::new(UNTRIED),
        })
    }

    /// Takes a place on it for a write, if there is one.
    pub(super) fn place(&self, waits: bool) -> Option<OwnedSemaphorePermit> {
        let places = if waits { &self.places_to_wait } else { &self.places };
        Arc::clone(places).try_acquire_owned().ok()
    }

    fn is_worth_a_try(&self, peer: &Peer, now: Time) -> bool {
        match *self.trust() {
            Trust::Yes => false,
            Trust::No { from, lease, .. } => from <= now && lease < peer.lease,
        }
    }

    /// Finds out whether a peer is at its end.
    async fn greet(self: Arc<Self>, peer: Peer, now: Time) {
        let greeting = tokio::time::timeout(GREETING_MAX, self.remote.greet()).await;
        match greeting {
            Ok(Ok(())) => *self.trust() = Trust::Yes,
            Ok(Err(error)) => self.distrust(&peer, now, &error.to_string()),
            Err(_) => self.distrust(&peer, now, "it does not answer"),
        }
    }

    /// Leaves the peer alone for a while, longer each time in a row.
    pub(super) fn distrust(&self, peer: &Peer, now: Time, why: &str) {
        let mut trust = self.trust();
        let failures = match *trust {
            Trust::Yes => 0,
            // Another write has found it out already.
            Trust::No { from, .. } if from > now => return,
            Trust::No { failures, .. } => failures,
        };
        let rest = REST.saturating_mul(1 << failures.min(6)).min(REST_MAX);
        *trust = Trust::No { failures: failures + 1, from: now.plus(rest), lease: peer.lease };
        drop(trust);
        tracing::warn!(peer = peer.name, why, "nothing is passed on to a peer for a while");
    }

    fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
