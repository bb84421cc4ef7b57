//! Namespaces: created by name, destroyed at one stroke.

use model::{Error, EventBody, Reply, Result};
use store::TxExt as _;

use crate::{Work, rows::RubbleRow};

/// Creates the namespace of the write unless it exists.
pub(crate) fn create(work: &mut Work<'_>) -> Result<Reply> {
    if work.is_new() && work.events.is_empty() {
        work.events.push(EventBody::NamespaceCreated);
    }
    Ok(Reply::Id(work.live))
}

/// Removes the namespace of the write; its rows are unreachable at once and swept away later.
pub(crate) fn destroy(work: &mut Work<'_>) -> Result<Reply> {
    if work.is_new() {
        return Err(Error::NoSuchNamespace(work.name().to_string()));
    }
    work.tx.put(&RubbleRow { namespace: work.live, spec: 0 })?;
    work.destroyed = true;
    work.events.push(EventBody::NamespaceDestroyed);
    Ok(Reply::Done)
}
