//! The nodes of a shared store: each has a row with a lease, which it renews, and the positions of
//! the histories that it has applied.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use minicbor::{Decode, Encode};
use model::{Answer, Namespace, NodeInfo, Read, Result, Revision, Time};
use store::{Doc, PRIMARY, Range, Row, Table, Tx, TxExt as _, Value, tables};
use tokio::time::Instant;

use crate::{PeerAddress, peer, shared::Shared};

/// How long a node counts as alive after it was last heard of. It renews this once a second, so one
/// renewal may fail before others give it up.
const LEASE: Duration = Duration::from_secs(3);
/// How much of that a node counts on itself: the clocks of this machine and of the store may run
/// a quarter differently fast.
const OWN_LEASE: Duration = Duration::from_millis(2_400);
/// How long the row of a node that was given up is kept for people to see.
const KEPT: Duration = Duration::from_secs(3_600);
/// Nodes that are looked at.
pub(crate) const NODES_MAX: u32 = 1_000;

/// Tells the positions that a node has applied.
pub type Applied = Box<dyn Fn() -> Vec<(Namespace, Revision)> + Send + Sync>;

/// This node, as it tells the others of itself.
pub(crate) struct Myself {
    pub(crate) name: String,
    pub(crate) started: Time,
    pub(crate) applied: Applied,
    /// How others reach it, if they may pass writes on to it.
    pub(crate) peer: Option<PeerAddress>,
}

/// What a node knows of its own lease. Past its end nothing is given out from memory, because
/// others no longer wait until this node has heard of what they change.
pub(crate) struct Lease {
    start: Instant,
    /// In nanoseconds since the start; none for as long as this node has not joined others.
    until: AtomicU64,
    /// When the lease began that was never over since.
    since: AtomicU64,
}

const NOT_JOINED: u64 = u64::MAX;

impl Lease {
    pub(crate) fn new() -> Self {
        let (until, since) = (AtomicU64::new(NOT_JOINED), AtomicU64::new(0));
        Self { start: Instant::now(), until, since }
    }

    /// Joins the others: from now on there has to be a lease.
    pub(crate) fn join(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// Takes note of a renewal that was asked for at a time and is durable by now. Tells whether
    /// the lease was over in between: others may not have waited for this node then, so that it
    /// has to look at what was committed before it gives anything out again.
    pub(crate) fn renewed(&self, asked: Instant) -> bool {
        let now = self.nanos(Instant::now());
        let was_over = now >= self.until.load(Ordering::Acquire);
        if was_over {
            self.since.store(now, Ordering::Release);
        }
        self.until.store(self.nanos(asked + OWN_LEASE), Ordering::Release);
        was_over
    }

    /// Tells whether what was looked at last at a time may be given out.
    pub(crate) fn covers(&self, looked: Instant) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until == NOT_JOINED
            || (self.nanos(Instant::now()) < until
                && self.nanos(looked) >= self.since.load(Ordering::Acquire))
    }

    fn nanos(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.start).as_nanos();
        u64::try_from(since).unwrap_or(NOT_JOINED - 1)
    }
}

/// Renews this node's lease.
pub(crate) fn renew(tx: &mut dyn Tx, shared: &Shared, now: Time) -> Result<()> {
    row(shared, now).map_or(Ok(()), |(table, doc)| tx.save(table, vec![doc]))
}

/// Gives this node's row with a lease from now on, once it has joined the others.
pub(crate) fn row(shared: &Shared, now: Time) -> Option<(&'static Table, Doc)> {
    let myself = shared.myself.get()?;
    let address = peer::own_address(shared);
    let info = NodeInfo {
        name: myself.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: myself.started,
        lease: now.plus(LEASE),
        applied: (myself.applied)(),
        epoch: shared.applied_epoch(),
        fingerprint: shared.stages.fingerprint(),
        peer_url: address.map(|address| address.url.clone()),
    };
    let secret = address.map(|address| address.secret.clone());
    Some((NodeRow::TABLE, NodeRow { info, secret }.to_doc()))
}

/// Takes this node's row away, because it ends in good order, with those of nodes long gone.
pub(crate) fn leave(tx: &mut dyn Tx, shared: &Arc<Shared>, now: Time) -> Result<()> {
    let Some(myself) = shared.myself.get() else { return Ok(()) };
    let rows = rows(tx)?;
    let gone = |node: &NodeInfo| node.name == myself.name || node.lease.plus(KEPT) < now;
    let gone = rows.iter().map(|row| &row.info).filter(|node| gone(node));
    let keys: Vec<_> = gone.map(|node| key(&node.name)).collect();
    tx.remove(&tables::NODE, &keys)
}

/// Counts the other nodes that are alive and have not applied an epoch of the catalog, and tells
/// for people how all of them stand.
pub(crate) fn behind(tx: &mut dyn Tx, shared: &Shared, epoch: u64) -> Result<(usize, String)> {
    let rows = rows(tx)?;
    let now = shared.clock.now();
    let own = shared.myself.get().map(|myself| myself.name.as_str());
    let (mut late, mut seen) = (0, Vec::new());
    for node in rows.iter().map(|row| &row.info).filter(|node| Some(node.name.as_str()) != own) {
        let name = &node.name;
        seen.push(match node.epoch {
            _ if node.lease < now => format!("{name} is gone"),
            None => format!("{name} keeps nothing"),
            Some(at) => {
                late += usize::from(at < epoch);
                format!("{name} is at {at}")
            }
        });
    }
    let seen = if seen.is_empty() { "there is no other node".to_owned() } else { seen.join(", ") };
    Ok((late, seen))
}

/// Lists the nodes, also those whose lease has run out lately.
pub(crate) fn answer(tx: &mut dyn Tx) -> Result<Read> {
    // The secrets stay here.
    let nodes = rows(tx)?.into_iter().map(|row| row.info).collect();
    Ok(Read { as_of: 0, answer: Answer::Nodes(nodes) })
}

/// Gives the rows of all nodes.
pub(crate) fn rows(tx: &mut dyn Tx) -> Result<Vec<NodeRow>> {
    tx.find(PRIMARY, &Range::default(), NODES_MAX)
}

fn key(name: &str) -> Vec<Value> {
    vec![Value::Text(name.into())]
}

pub(crate) struct NodeRow {
    pub(crate) info: NodeInfo,
    /// What others show when they pass a write on to it.
    pub(crate) secret: Option<String>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct NodeBody {
    #[n(0)]
    version: String,
    #[n(1)]
    started: i64,
    #[n(2)]
    applied: Vec<(String, u64)>,
    #[n(3)]
    epoch: Option<u64>,
    #[n(4)]
    fingerprint: Option<String>,
    #[n(5)]
    peer_url: Option<String>,
    #[n(6)]
    secret: Option<String>,
}

impl Row for NodeRow {
    const TABLE: &'static Table = &tables::NODE;

    fn to_doc(&self) -> Doc {
        let Self { info: node, secret } = self;
        let applied = node.applied.iter();
        let body = NodeBody {
            version: node.version.clone(),
            started: node.started.0,
            applied: applied.map(|(name, at)| (name.as_str().to_owned(), *at)).collect(),
            epoch: node.epoch,
            fingerprint: Some(node.fingerprint.clone()),
            peer_url: node.peer_url.clone(),
            secret: secret.clone(),
        };
        Doc {
            key: key(&node.name),
            columns: vec![Value::Int(node.lease.0)],
            body: queue::encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let body: NodeBody = queue::decode("node", &doc.body)?;
        let [name] = queue::parts(doc.key)?;
        let [lease] = queue::parts(doc.columns)?;
        let applied = body.applied.into_iter().map(|(name, at)| Ok((Namespace::new(name)?, at)));
        let info = NodeInfo {
            name: name.as_text()?.to_owned(),
            version: body.version,
            started: Time(body.started),
            lease: Time(lease.as_int()?),
            applied: applied.collect::<Result<_>>()?,
            epoch: body.epoch,
            fingerprint: body.fingerprint.unwrap_or_default(),
            peer_url: body.peer_url,
        };
        Ok(Self { info, secret: body.secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body as it was before nodes had peers.
    #[derive(Encode)]
    #[cbor(array)]
    struct Older(
        #[n(0)] String,
        #[n(1)] i64,
        #[n(2)] Vec<(String, u64)>,
        #[n(3)] Option<u64>,
        #[n(4)] Option<String>,
    );

    #[test]
    fn rows_without_peers_are_read() {
        let body = Older("0.0.0".to_owned(), 7, Vec::new(), Some(3), Some("f".to_owned()));
        let body = queue::encode(&body);
        let doc = Doc { key: key("n"), columns: vec![Value::Int(9)], body };
        let NodeRow { info, secret } = NodeRow::from_doc(doc).unwrap();
        assert_eq!((info.name.as_str(), info.lease, info.epoch), ("n", Time(9), Some(3)));
        assert_eq!((info.peer_url, secret), (None, None));
    }
}
