//! Writes that are passed on to the node that writes in their namespace, so that nodes do not hand
//! the lock of a namespace around.
//!
//! This is about speed only: whatever is passed on to a wrong node, or to none, is right as well,
//! for the lock of the namespace stands in the database.

mod choice;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use client::{Keys, Passed, Remote, RemoteOptions, TlsOptions};
use engine::{Cached, Clock, Doubt, Engine, Peer};
use model::{
    Backend, BoxFuture, Command, Committed, Error, Event, Namespace, PassedOn, Query, QueueCommand,
    Read, Result, Revision, Time, Write, limits,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long connecting to a peer may take; meanwhile a write waits for it.
const CONNECT_MAX: Duration = Duration::from_millis(500);
/// How long a peer that could not be reached is left alone, at first and at most.
const REST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);
/// How long the others may take to see that this node takes no more writes: they look once a
/// second.
const SEEN_BY_ALL: Duration = Duration::from_millis(1_250);

/// The backend of a node that has peers: passes writes on, and makes here what nobody else makes.
pub(crate) struct Passing {
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    /// The name of this node.
    name: String,
    /// Whom to trust over https, and what to show.
    tls: TlsOptions,
    /// What makes writes here.
    here: Arc<dyn Backend>,
    /// The cache in it, if there is one, which hears of writes that were made elsewhere.
    cached: Option<Arc<Cached>>,
    lines: Mutex<HashMap<String, Arc<Line>>>,
}

/// The way to one peer.
struct Line {
    remote: Remote,
    places: Arc<Semaphore>,
    places_to_wait: Arc<Semaphore>,
    rest: Mutex<Rest>,
}

/// Since when and why a peer is left alone.
#[derive(Clone, Copy)]
struct Rest {
    failures: u32,
    until: Time,
    /// Its lease as it was then: it has to be seen alive since.
    lease: Time,
}

impl Rest {
    const NONE: Self = Self { failures: 0, until: Time(0), lease: Time(0) };
}

/// A peer that a write is passed on to.
struct Chosen {
    peer: Peer,
    line: Arc<Line>,
    _place: OwnedSemaphorePermit,
}

impl Passing {
    /// Puts itself before what makes writes here.
    pub(crate) fn new(
        engine: Arc<Engine>,
        clock: Arc<dyn Clock>,
        name: String,
        tls: TlsOptions,
        (here, cached): (Arc<dyn Backend>, Option<Arc<Cached>>),
    ) -> Arc<Self> {
        Arc::new(Self { engine, clock, name, tls, here, cached, lines: Mutex::default() })
    }

    /// Says that this node is about to end, and waits until the others have heard of it, so that
    /// they do not pass on what is cut off.
    pub(crate) async fn withdraw(&self) {
        let now = self.clock.now();
        let has_others = self.engine.peers().iter().any(|peer| peer.lease > now);
        match self.engine.withdraw().await {
            Ok(()) if has_others => tokio::time::sleep(SEEN_BY_ALL).await,
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "peers could not be told that this node ends"),
        }
    }

    async fn write_somewhere(&self, write: Write) -> Result<Committed> {
        match self.elsewhere(&write) {
            Some(chosen) => self.pass_on(&chosen, write).await,
            None => self.here.write(write).await,
        }
    }

    /// Finds the peer that writes in the namespace of a write; none if that is this node.
    fn elsewhere(&self, write: &Write) -> Option<Chosen> {
        let peers = self.engine.peers();
        if peers.is_empty() || !is_passed_on(write) {
            return None;
        }
        let now = self.clock.now();
        let can = |peer: &&Peer| peer.lease > now && !self.is_resting(peer, now);
        let names = peers.iter().filter(can).map(|peer| peer.name.as_str());
        let name = choice::choose(&write.namespace, names.chain([self.name.as_str()]))?;
        let peer = peers.iter().find(|peer| peer.name == name)?.clone();
        let line = self.line(&peers, &peer)?;
        let places = if write.wait.is_zero() { &line.places } else { &line.places_to_wait };
        let place = Arc::clone(places).try_acquire_owned().ok()?;
        Some(Chosen { peer, line, _place: place })
    }

    /// Gives the way to a peer, and gives up those to nodes that are no more.
    fn line(&self, peers: &[Peer], peer: &Peer) -> Option<Arc<Line>> {
        let mut lines = self.lines();
        if let Some(line) = lines.get(&peer.name) {
            return Some(Arc::clone(line));
        }
        lines.retain(|name, _| peers.iter().any(|peer| peer.name == *name));
        let options = RemoteOptions {
            token: Some(peer.address.secret.clone()),
            tls: self.tls.clone(),
            connect_max: CONNECT_MAX,
            tries_max: 1,
            keys: Keys::Given,
            ..RemoteOptions::standard()
        };
        let remote = Remote::new(&peer.address.url, options);
        let remote = remote.map_err(|error| {
            tracing::warn!(%error, peer = peer.name, "no writes can be passed on to a peer");
        });
        let line = Arc::new(Line {
            remote: remote.ok()?,
            places: Arc::new(Semaphore::new(limits::PASSED_ON_MAX)),
            places_to_wait: Arc::new(Semaphore::new(limits::PASSED_ON_WAITING_MAX)),
            rest: Mutex::new(Rest::NONE),
        });
        lines.insert(peer.name.clone(), Arc::clone(&line));
        Some(line)
    }

    fn is_resting(&self, peer: &Peer, now: Time) -> bool {
        self.lines().get(&peer.name).is_some_and(|line| {
            let rest = *line.rest();
            rest.failures > 0 && (now < rest.until || peer.lease <= rest.lease)
        })
    }

    async fn pass_on(&self, chosen: &Chosen, mut write: Write) -> Result<Committed> {
        let deadline = self.clock.now().plus(write.wait);
        let namespace = write.namespace.clone();
        let doubt = self.cached.as_ref().map(|cached| cached.doubt(&namespace));
        let passed = tokio::select! {
            biased;
            passed = chosen.line.remote.pass_on(&write) => passed,
            () = self.silence_of(&chosen.peer) => {
                Passed::Unknown(format!("the lease of {} is over", chosen.peer.name))
            }
        };
        count(&passed);
        let why = match passed {
            Passed::Answered(answer) => match *answer {
                PassedOn::Committed { committed, next_due } => {
                    *chosen.line.rest() = Rest::NONE;
                    self.engine.hear_due(next_due);
                    doubt.into_iter().for_each(|doubt| doubt.made(&committed));
                    return Ok(committed);
                }
                PassedOn::Failed(error) => {
                    *chosen.line.rest() = Rest::NONE;
                    doubt.into_iter().for_each(|doubt| doubt.failed(&error));
                    return Err(error);
                }
                PassedOn::Leaving => "it is ending".to_owned(),
            },
            Passed::TooLarge => {
                doubt.into_iter().for_each(Doubt::nothing);
                return self.here.write(write).await;
            }
            Passed::NotDone(why) => why,
            Passed::Unknown(why) => {
                self.leave_alone(chosen, &why);
                return self.make_sure(&chosen.peer, write, doubt, why).await;
            }
        };
        self.leave_alone(chosen, &why);
        doubt.into_iter().for_each(Doubt::nothing);
        write.wait = deadline.since(self.clock.now());
        self.here.write(write).await
    }

    /// Goes on with a write of which nobody knows whether it was made: under its idempotency key
    /// it has one effect, whoever makes it; without one it cannot be made again.
    async fn make_sure(
        &self,
        peer: &Peer,
        write: Write,
        doubt: Option<Doubt<'_>>,
        why: String,
    ) -> Result<Committed> {
        if write.request_id.is_none() {
            return Err(Error::Unavailable(format!(
                "the write was passed on to node {}, and may or may not have been made: {why}",
                peer.name
            )));
        }
        let made = self.here.write(write).await;
        if let (Ok(committed), Some(doubt)) = (&made, doubt) {
            doubt.made(committed);
        }
        made
    }

    /// Waits until a peer is no longer alive by what is known of its lease.
    async fn silence_of(&self, peer: &Peer) {
        let mut lease = peer.lease;
        while self.clock.now() < lease {
            self.clock.sleep_until(lease).await;
            let peers = self.engine.peers();
            let seen = peers.iter().find(|it| it.name == peer.name).map(|it| it.lease);
            lease = lease.max(seen.unwrap_or(lease));
        }
    }

    fn leave_alone(&self, chosen: &Chosen, why: &str) {
        let now = self.clock.now();
        let mut rest = chosen.line.rest();
        if now < rest.until {
            // Another write has found it out already.
            return;
        }
        let until = now.plus(REST.saturating_mul(1 << rest.failures.min(6)).min(REST_MAX));
        *rest = Rest { failures: rest.failures + 1, until, lease: chosen.peer.lease };
        drop(rest);
        tracing::warn!(peer = chosen.peer.name, why, "writes are not passed on for a while");
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<String, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Passing {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(self.write_somewhere(write))
    }

    fn read(&self, query: Query, at_least: Revision) -> BoxFuture<'_, Result<Read>> {
        self.here.read(query, at_least)
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: Revision,
        limit: u16,
    ) -> BoxFuture<'_, Result<Vec<Event>>> {
        self.here.events(namespace, after, limit)
    }
}

/// Tells whether a write goes to the node that writes in its namespace: the work of every day does.
/// What is rare is made where it came in, and so no secret and no content leaves its node.
fn is_passed_on(write: &Write) -> bool {
    let is_daily = |command: &Command| match command {
        Command::Queue(command) => !matches!(command, QueueCommand::DestroyNamespace),
        Command::Instance(_) | Command::Mail(_) => true,
        Command::Admin(_)
        | Command::Definition(_)
        | Command::Blob(_)
        | Command::User(_)
        | Command::Secret(_) => false,
    };
    !write.commands.is_empty() && write.commands.iter().all(is_daily)
}

fn count(passed: &Passed) {
    let outcome = match passed {
        Passed::Answered(answer) if **answer == PassedOn::Leaving => "not_done",
        Passed::Answered(_) => "done",
        Passed::NotDone(_) | Passed::TooLarge => "not_done",
        Passed::Unknown(_) => "unknown",
    };
    metrics::counter!("lockstep_passed_on_total", "outcome" => outcome).increment(1);
}
