//! The rows of namespaces, which tell whether what is kept of the others still holds.

use std::sync::Arc;

use model::Result;

use super::Known;
use crate::layout::Layout;
use crate::ordered::damaged;
use crate::postgres::part::{Bytes, Part};
use crate::postgres::shipment::Shipment;
use crate::{Doc, Value, tables};

/// Groups after which the other nodes are forgotten that have written in a namespace.
const CONTESTED: u32 = 256;

/// A revision that no namespace is ever at.
const NEVER: i64 = -1;

/// What tells whether anything in a namespace has changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) revision: i64,
    pub(crate) id: i64,
    pub(crate) live: Option<i64>,
}

/// A namespace as it was seen last.
pub(super) struct Head {
    pub(super) seen: Seen,
    pub(super) row: Bytes,
    /// For so many groups still, other nodes may be about that have written in it.
    pub(super) contested: u32,
}

impl Known {
    /// Takes note that a namespace is locked, and of whether what is kept of it still holds.
    pub(super) fn lock(&mut self, key: &Bytes, found: Seen, row: &Bytes) -> Result<()> {
        let before = self.seen.remove(key);
        let mut contested = before.as_ref().map_or(0, |head| head.contested);
        if before.as_ref().is_none_or(|head| head.seen != found) {
            if before.is_some() {
                contested = CONTESTED;
            }
            let before = before.map(|head| head.seen);
            if !self.take_shipments(before, found)? {
                for id in before.into_iter().chain([found]).flat_map(ids) {
                    self.kept.remove(&id);
                }
            }
        }
        self.seen.insert(Arc::clone(key), Head { seen: found, row: Arc::clone(row), contested });
        self.locked.extend(ids(found));
        Ok(())
    }

    /// Brings what is kept of a namespace up to date by what others have shipped; tells whether
    /// they have shipped everything.
    fn take_shipments(&mut self, before: Option<Seen>, found: Seen) -> Result<bool> {
        let ours = |shipment: &mut Shipment| shipment.namespace == found.id;
        let shipments: Vec<_> = self.shipments.extract_if(.., ours).collect();
        let Some(before) = before else { return Ok(false) };
        let mut reached = before.revision;
        for shipment in &shipments {
            if shipment.base == reached {
                reached = shipment.revision;
            }
        }
        if (Seen { revision: reached, ..before }) != found {
            return Ok(false);
        }
        for change in shipments.into_iter().flat_map(|shipment| shipment.changes) {
            let layout = self.layouts.get(change.table).ok_or_else(damaged)?;
            let id = layout.namespace(&change.key)?.ok_or_else(damaged)?;
            let part = self.kept.entry(id).or_insert_with(|| Part::new(self.layouts));
            part.replace(layout, change.key, change.row)?;
        }
        Ok(true)
    }

    /// Gives the namespaces, of those with these keys, of which other nodes may have shipped
    /// something, each by its lasting id and with the revision that it was seen at.
    pub(crate) fn behind<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Vec<(i64, i64)> {
        let heads = keys.filter_map(|key| self.seen.get(key)).filter(|head| head.contested > 0);
        heads.map(|head| (head.seen.id, head.seen.revision)).collect()
    }

    /// Takes what other nodes have shipped, until their namespaces are locked.
    pub(crate) fn take(&mut self, shipments: Vec<Shipment>) {
        self.shipments = shipments;
    }

    /// Tells, where others have written in a namespace lately, how it was before this group.
    pub(crate) fn contested(&self, key: &[u8]) -> Option<Seen> {
        self.seen.get(key).filter(|head| head.contested > 0).map(|head| head.seen)
    }

    /// Assumes that a namespace is as it was, if it is known and nobody else has written in it for
    /// a while; tells whether it is known now.
    pub(crate) fn assume(&mut self, layout: &Layout, key: &[u8]) -> Result<bool> {
        if !self.may_assume || layout.table.id != tables::NAMESPACE.id {
            return Ok(false);
        }
        let Some((key, head)) = self.seen.get_key_value(key) else { return Ok(false) };
        if head.contested > 0 {
            return Ok(false);
        }
        let (key, row, seen) = (Arc::clone(key), Arc::clone(&head.row), head.seen);
        // What was changed without the lock would be lost sight of.
        for (table, key) in &self.changed {
            let layout = self.layouts.get(*table).ok_or_else(damaged)?;
            let id = layout.namespace(key)?;
            if ids(seen).any(|ours| id == Some(ours) && !self.locked.contains(&ours)) {
                return Ok(false);
            }
        }
        self.heads.learn(layout, Arc::clone(&key), Some(row))?;
        self.locked.extend(ids(seen));
        self.assumed.push(key);
        Ok(true)
    }

    /// Gives what is assumed, each namespace with its revision. From now on nothing else is.
    pub(crate) fn assumed(&mut self) -> Vec<(Bytes, i64)> {
        self.may_assume = false;
        let revision = |key: Bytes| {
            let revision = self.seen.get(&key)?.seen.revision;
            Some((key, revision))
        };
        std::mem::take(&mut self.assumed).into_iter().filter_map(revision).collect()
    }

    /// Forgets everything, but in which namespaces other nodes write.
    pub(crate) fn clear_but_contested(&mut self, stale: impl IntoIterator<Item = Bytes>) {
        let seen = std::mem::take(&mut self.seen);
        self.clear();
        let contested = seen.into_iter().map(|(key, head)| (key, head.contested));
        let contested = contested.filter(|(_, contested)| *contested > 0);
        let stale = stale.into_iter().map(|key| (key, CONTESTED));
        for (key, contested) in contested.chain(stale) {
            let seen = Seen { revision: NEVER, id: 0, live: None };
            self.seen.insert(key, Head { seen, row: Arc::new([]), contested });
        }
    }
}

/// Gives the ids that rows of a namespace have.
pub(crate) fn ids(seen: Seen) -> impl Iterator<Item = i64> {
    [Some(seen.id), seen.live].into_iter().flatten()
}

/// Reads of a namespace what tells whether anything in it has changed.
pub(crate) fn seen(doc: &Doc) -> Result<Seen> {
    let value = |place| doc.columns.get(place).ok_or_else(damaged);
    let live = match value(1)? {
        Value::Null => None,
        live => Some(live.as_int()?),
    };
    Ok(Seen { id: value(0)?.as_int()?, live, revision: value(2)?.as_int()? })
}
