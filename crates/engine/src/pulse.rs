//! What a node looks at, once a second, in a store that others write to as well: when something
//! falls due next, whether others have written, how far the catalog is, and which nodes there are
//! that writes can be passed on to; and it says that it is alive. All that is one small query, to
//! which others are added where something has happened.

use std::{collections::HashMap, sync::Arc};

use model::{Error, Namespace, Result, Revision};
use queue::Ready;
use store::{Glance, Job, Tx};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::{
    engine::stopped,
    node::{self, NodeRow},
    shared::Shared,
};

/// Who keeps something of what others may change.
pub(crate) struct Follower {
    /// Wakes it, so that it looks for itself.
    pub(crate) hint: Arc<Notify>,
    /// Tells how far it has followed each namespace of which it keeps something.
    pub(crate) positions: Box<dyn Fn() -> Vec<(Namespace, Revision)> + Send + Sync>,
    /// Hears that it was up to date at a time.
    pub(crate) is_at_end: Box<dyn Fn(Instant) + Send + Sync>,
}

/// Looks once, and renews the lease of this node if that is asked for.
pub(crate) async fn look(shared: &Arc<Shared>, renews: bool) -> Result<()> {
    let (asked, began) = (Instant::now(), shared.others.look());
    let waiting = shared.waiters.namespaces();
    let followed = shared.follower.get().map_or(Vec::new(), |follower| (follower.positions)());
    let save = if renews { node::row(shared, shared.clock.now()) } else { None };
    let has_renewed = save.is_some();
    let passes_on = shared.myself.get().is_some_and(|myself| myself.peer.is_some());
    let mut names: Vec<&Namespace> =
        waiting.iter().chain(&followed).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let glance = Glance {
        save,
        namespaces: names.iter().map(|name| queue::revision_key(name)).collect(),
        counters: vec![flow::publish::epoch_key()],
        nodes: passes_on.then_some(node::NODES_MAX),
    };
    let names = names.into_iter().cloned().collect();
    let seen = read(shared, |reply| GlanceJob { glance, names, seen: None, reply }).await?;
    shared.others.note(began, seen.next_due);
    if let (Some(myself), Some(nodes)) = (shared.myself.get(), seen.nodes) {
        shared.peers.saw(nodes, &myself.name);
    }
    shared.note_sweep(seen.next_sweep);
    if has_renewed {
        shared.renewed(asked);
    }
    let moved = |(name, before): &(Namespace, Revision)| seen.revisions.get(name) != Some(before);
    if let Some(follower) = shared.follower.get() {
        if followed.iter().any(moved) {
            follower.hint.notify_one();
        } else {
            (follower.is_at_end)(asked);
            shared.note_applied(seen.epoch);
        }
    }
    let waiting: Vec<_> = waiting.into_iter().filter(moved).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let shared = &Arc::clone(shared);
    let of = Arc::clone(shared);
    read(shared, |reply| ReadyJob { shared: of, waiting, found: Vec::new(), reply }).await
}

/// Runs a job that looks.
async fn read<T, J: Job + 'static>(
    shared: &Shared,
    job: impl FnOnce(oneshot::Sender<Result<T>>) -> J,
) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    shared.store.read(Box::new(job(reply)));
    answer.await.unwrap_or_else(|_| Err(stopped()))
}

/// What there is to see at a glance.
struct Seen {
    next_due: i64,
    next_sweep: i64,
    epoch: u64,
    revisions: HashMap<Namespace, Revision>,
    /// The rows of nodes, if they are looked at.
    nodes: Option<Vec<NodeRow>>,
}

struct GlanceJob {
    glance: Glance,
    names: Vec<Namespace>,
    seen: Option<Seen>,
    reply: oneshot::Sender<Result<Seen>>,
}

impl Job for GlanceJob {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        let (queue, flow) = (queue::next_due(tx)?, flow::instance::next_due(tx)?);
        let next_due = queue.into_iter().chain(flow).map(|time| time.0).min();
        let next_sweep = queue::next_sweep(tx)?.map(|time| time.0);
        let revision = |name: &Namespace| Ok((name.clone(), queue::revision(tx, name)?));
        let revisions = self.names.iter().map(revision).collect::<Result<_>>()?;
        self.seen = Some(Seen {
            next_due: next_due.unwrap_or(i64::MAX),
            next_sweep: next_sweep.unwrap_or(i64::MAX),
            epoch: flow::publish::epoch(tx)?,
            revisions,
            nodes: self.glance.nodes.map(|_| node::rows(tx)).transpose()?,
        });
        Ok(())
    }

    fn glance(&self) -> Option<Glance> {
        Some(self.glance.clone())
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        let Self { seen, reply, .. } = *self;
        let nothing = || Error::Internal("nothing was seen at a glance".to_owned());
        // A caller that has gone needs no answer.
        let _gone = reply.send(outcome.and_then(|()| seen.ok_or_else(nothing)));
    }
}

/// Looks for work for the claims that wait here, where others have written.
struct ReadyJob {
    shared: Arc<Shared>,
    /// Namespaces in which claims wait, each with the revision that was seen last.
    waiting: Vec<(Namespace, Revision)>,
    found: Vec<(Namespace, Revision, Vec<Ready>)>,
    reply: oneshot::Sender<Result<()>>,
}

impl Job for ReadyJob {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.found = queue::ready_since(tx, &self.waiting, self.shared.clock.now())?;
        Ok(())
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        if outcome.is_ok() {
            for (namespace, revision, ready) in &self.found {
                self.shared.waiters.saw(namespace, *revision);
                self.shared.waiters.wake(namespace, ready, &self.shared.bell);
            }
        }
        // A caller that has gone needs no answer.
        let _gone = self.reply.send(outcome);
    }
}
