//! Writes that are passed on to the node that writes in their namespace, so that nodes do not hand
//! the lock of a namespace around.
//!
//! This is about speed only: whatever is passed on to a wrong node, or to none, is right as well,
//! for the lock of the namespace stands in the database.

mod choice;
mod line;

use std::{sync::Arc, time::Duration};

use client::{Passed, TlsOptions};
use engine::{Cached, Clock, Doubt, Engine, Peer};
use model::{
    Backend, BoxFuture, Command, Committed, Error, Event, Namespace, PassedOn, Query, QueueCommand,
    Read, Result, Revision, Write,
};
use tokio::sync::OwnedSemaphorePermit;

use line::{Line, Lines};

/// How long the others may take to see that this node takes no more writes: they look once a
/// second.
const SEEN_BY_ALL: Duration = Duration::from_millis(1_250);

/// The backend of a node that has peers: passes writes on, and makes here what nobody else makes.
pub(crate) struct Passing {
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    /// The name of this node.
    name: String,
    /// What makes writes here.
    here: Arc<dyn Backend>,
    /// The cache in it, if there is one, which hears of writes that were made elsewhere.
    cached: Option<Arc<Cached>>,
    lines: Lines,
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
        let lines = Lines::new(Arc::clone(&clock), tls);
        Arc::new(Self { engine, clock, name, here, cached, lines })
    }

    /// Tries the ways to peers whenever it was looked which there are, for ever.
    pub(crate) async fn know_peers(self: Arc<Self>) {
        let mut seen = self.engine.peers();
        while seen.changed().await.is_ok() {
            let peers = Arc::clone(&seen.borrow_and_update());
            let known = self.lines.try_all(&peers).await;
            let known = u32::try_from(known).unwrap_or(u32::MAX);
            metrics::gauge!("lockstep_peers").set(known);
        }
    }

    /// Says that this node is about to end, and waits until the others have heard of it, so that
    /// they do not pass on what is cut off.
    pub(crate) async fn withdraw(&self) {
        let now = self.clock.now();
        let has_others = self.engine.peers().borrow().iter().any(|peer| peer.lease > now);
        let told = tokio::time::timeout(SEEN_BY_ALL, self.engine.withdraw()).await;
        match told.unwrap_or_else(|_| Err(Error::Unavailable("the store is slow".to_owned()))) {
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
        let peers = peers.borrow();
        if peers.is_empty() || !is_passed_on(write) {
            return None;
        }
        let now = self.clock.now();
        let alive = peers.iter().filter(|peer| peer.lease > now);
        let can: Vec<_> =
            alive.filter_map(|peer| self.lines.to(&peer.name).map(|line| (peer, line))).collect();
        let names = can.iter().map(|(peer, _)| peer.name.as_str());
        let name = choice::choose(&write.namespace, names.chain([self.name.as_str()]))?;
        let (peer, line) = can.iter().find(|(peer, _)| peer.name == name)?;
        let place = line.place(!write.wait.is_zero())?;
        Some(Chosen { peer: Peer::clone(peer), line: Arc::clone(line), _place: place })
    }

    async fn pass_on(&self, chosen: &Chosen, mut write: Write) -> Result<Committed> {
        let deadline = self.clock.now().plus(write.wait);
        let namespace = write.namespace.clone();
        let doubt = self.cached.as_ref().map(|cached| cached.doubt(&namespace));
        let passed = tokio::select! {
            biased;
            passed = chosen.line.pass_on(&write) => passed,
            () = self.silence_of(&chosen.peer) => {
                Passed::Unknown(format!("the lease of {} is over", chosen.peer.name))
            }
        };
        count(&passed);
        let why = match passed {
            Passed::Answered(answer) => match *answer {
                PassedOn::Committed { committed, next_due } => {
                    self.engine.hear_due(next_due);
                    doubt.into_iter().for_each(|doubt| doubt.made(&committed));
                    return Ok(committed);
                }
                PassedOn::Failed(error) => {
                    doubt.into_iter().for_each(|doubt| doubt.failed(&error));
                    return Err(error);
                }
                PassedOn::Leaving => "it is ending".to_owned(),
                // It has made nothing of it.
                PassedOn::Greeting => "it takes a write for a greeting".to_owned(),
            },
            Passed::TooLarge => {
                doubt.into_iter().for_each(Doubt::nothing);
                return self.here.write(write).await;
            }
            Passed::NotDone(why) => why,
            Passed::Unknown(why) => {
                chosen.line.distrust(&chosen.peer, self.clock.now(), &why);
                return self.make_sure(&chosen.peer, write, doubt, why).await;
            }
        };
        chosen.line.distrust(&chosen.peer, self.clock.now(), &why);
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
            let seen = peers.borrow().iter().find(|it| it.name == peer.name).map(|it| it.lease);
            lease = lease.max(seen.unwrap_or(lease));
        }
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
        Passed::Answered(answer) => match **answer {
            PassedOn::Committed { .. } | PassedOn::Failed(_) => "done",
            PassedOn::Leaving | PassedOn::Greeting => "not_done",
        },
        Passed::NotDone(_) | Passed::TooLarge => "not_done",
        Passed::Unknown(_) => "unknown",
    };
    metrics::counter!("lockstep_passed_on_total", "outcome" => outcome).increment(1);
}
