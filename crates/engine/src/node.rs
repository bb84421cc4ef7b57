//! The nodes of a shared store: each has a row with a lease, which it renews, and the positions of
//! the histories that it has applied.

use std::{sync::Arc, time::Duration};

use minicbor::{Decode, Encode};
use model::{Answer, Error, Namespace, NodeInfo, Read, Result, Revision, Time};
use store::{Doc, PRIMARY, Range, Row, Table, Tx, TxExt as _, Value, tables};

use crate::engine::Shared;

/// How long a node counts as alive after it was last heard of.
const LEASE: Duration = Duration::from_secs(15);
/// Time between two renewals: two may fail before others give a node up.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How long the row of a node that was given up is kept for people to see.
const KEPT: Duration = Duration::from_secs(3_600);
/// Nodes that are looked at.
const NODES_MAX: u32 = 1_000;

/// Tells the positions that a node has applied.
pub type Applied = Box<dyn Fn() -> Vec<(Namespace, Revision)> + Send + Sync>;

/// This node, as it tells the others of itself.
pub(crate) struct Myself {
    pub(crate) name: String,
    pub(crate) started: Time,
    pub(crate) applied: Applied,
}

/// Renews this node's lease, and forgets nodes that were given up long ago.
pub(crate) fn renew(tx: &mut dyn Tx, shared: &Arc<Shared>, now: Time) -> Result<()> {
    let Some(myself) = shared.myself.get() else { return Ok(()) };
    let info = NodeInfo {
        name: myself.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: myself.started,
        lease: now.plus(LEASE),
        applied: (myself.applied)(),
    };
    tx.put(&NodeRow(info))
}

/// Takes this node's row away, because it ends in good order, with those of nodes long gone.
pub(crate) fn leave(tx: &mut dyn Tx, shared: &Arc<Shared>, now: Time) -> Result<()> {
    let Some(myself) = shared.myself.get() else { return Ok(()) };
    let rows: Vec<NodeRow> = tx.find(PRIMARY, &Range::default(), NODES_MAX)?;
    let gone = |node: &NodeInfo| node.name == myself.name || node.lease.plus(KEPT) < now;
    let gone = rows.iter().filter(|NodeRow(node)| gone(node));
    let keys: Vec<_> = gone.map(|NodeRow(node)| key(&node.name)).collect();
    tx.remove(&tables::NODE, &keys)
}

/// Lists the nodes, also those whose lease has run out lately.
pub(crate) fn answer(tx: &mut dyn Tx) -> Result<Read> {
    let rows: Vec<NodeRow> = tx.find(PRIMARY, &Range::default(), NODES_MAX)?;
    let nodes = rows.into_iter().map(|NodeRow(node)| node).collect();
    Ok(Read { as_of: 0, answer: Answer::Nodes(nodes) })
}

fn key(name: &str) -> Vec<Value> {
    vec![Value::Text(name.into())]
}

struct NodeRow(NodeInfo);

#[derive(Encode, Decode)]
#[cbor(array)]
struct NodeBody {
    #[n(0)]
    version: String,
    #[n(1)]
    started: i64,
    #[n(2)]
    applied: Vec<(String, u64)>,
}

impl Row for NodeRow {
    const TABLE: &'static Table = &tables::NODE;

    fn to_doc(&self) -> Doc {
        let Self(node) = self;
        let applied = node.applied.iter();
        let body = NodeBody {
            version: node.version.clone(),
            started: node.started.0,
            applied: applied.map(|(name, at)| (name.as_str().to_owned(), *at)).collect(),
        };
        Doc {
            key: key(&node.name),
            columns: vec![Value::Int(node.lease.0)],
            body: queue::encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let body: NodeBody = queue::decode("node", &doc.body)?;
        let missing = || Error::Internal("a stored row is too short".to_owned());
        let applied = body.applied.into_iter().map(|(name, at)| Ok((Namespace::new(name)?, at)));
        Ok(Self(NodeInfo {
            name: doc.key.first().ok_or_else(missing)?.as_text()?.to_owned(),
            version: body.version,
            started: Time(body.started),
            lease: Time(doc.columns.first().ok_or_else(missing)?.as_int()?),
            applied: applied.collect::<Result<_>>()?,
        }))
    }
}
