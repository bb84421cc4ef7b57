//! What nodes ship to each other with their commits: the rows that they changed.
//!
//! Where several nodes write in a namespace, each would have to read again and again what it works
//! with, under the lock that all of them wait for. So a commit leaves its changes in a table for
//! the others, who take them in with the lock. The table is no part of what is kept: it is unlogged
//! and empty after a crash, and who misses a part of it reads the rows themselves.

use std::sync::LazyLock;

use futures_util::future::try_join;
use model::Result;
use tokio_postgres::Row;

use super::failure::Outcome;
use super::known::{Difference, Known, Seen, ids, seen};
use super::link::Link;
use super::part::Bytes;
use crate::checksum::checksum;
use crate::layout::layout;
use crate::ordered::damaged;
use crate::tables;

/// Bytes in one shipment; what is larger is not shipped.
const BYTES_MAX: usize = 1 << 20;
/// Revisions that are kept of each namespace, about.
const REVISIONS_KEPT: i64 = 2_048;
/// Revisions between two times that old ones are removed, about.
const REMOVE_EVERY: i64 = 256;

/// Finds what was shipped since a revision, for each of some namespaces.
pub(crate) const FIND: &str = "
    SELECT s.namespace, s.base, s.revision, s.body
    FROM unnest($1::bigint[], $2::bigint[]) k (namespace, revision)
    JOIN shipped s ON s.namespace = k.namespace AND s.revision > k.revision
    ORDER BY s.namespace, s.revision";
/// Ships something.
pub(crate) const SHIP: &str = "
    INSERT INTO shipped (namespace, revision, base, body) VALUES ($1, $2, $3, $4)
    ON CONFLICT (namespace, revision) DO UPDATE SET base = excluded.base, body = excluded.body";
/// Removes what is old.
pub(crate) const REMOVE: &str = "DELETE FROM shipped WHERE namespace = $1 AND revision <= $2";

/// Tells what encoded rows look like, so that programs of different versions do not take each
/// other's.
static FORM: LazyLock<[u8; 8]> =
    LazyLock::new(|| checksum(&format!("1 {:?}", tables::ALL)).to_be_bytes());

/// The changes of one group in one namespace.
#[derive(Debug)]
pub(crate) struct Shipment {
    /// The lasting id of the namespace.
    pub(crate) namespace: i64,
    /// The revision before.
    pub(crate) base: i64,
    /// The revision after.
    pub(crate) revision: i64,
    pub(crate) changes: Vec<Shipped>,
}

/// A row as it is now; none if it is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shipped {
    pub(crate) table: usize,
    pub(crate) key: Bytes,
    pub(crate) row: Option<Bytes>,
}

/// A shipment on its way.
pub(crate) struct Parcel {
    namespace: i64,
    base: i64,
    revision: i64,
    body: Vec<u8>,
}

impl Parcel {
    /// Sends it, and removes old ones now and then.
    pub(crate) async fn send(&self, link: &Link) -> Outcome<()> {
        let Self { namespace, base, revision, body } = self;
        let sent = async { link.execute(SHIP, &[namespace, revision, base, body]).await };
        if base / REMOVE_EVERY == revision / REMOVE_EVERY {
            return sent.await.map(drop);
        }
        let last = revision - REVISIONS_KEPT;
        let removed = async { link.execute(REMOVE, &[namespace, &last]).await };
        try_join(sent, removed).await.map(drop)
    }
}

/// Packs the changes in each namespace in which other nodes have written lately.
pub(crate) fn pack(known: &Known, differences: &[Difference]) -> Result<Vec<Parcel>> {
    let layout = layout(known.layouts, &tables::NAMESPACE)?;
    let heads = differences.iter().filter(|it| it.table == tables::NAMESPACE.id);
    let mut parcels = Vec::new();
    for (key, row) in heads.filter_map(|it| Some((&it.key, it.now.as_ref()?))) {
        let Some(before) = known.contested(key) else { continue };
        let after = seen(&layout.doc(key, row)?)?;
        // Whoever finds another incarnation forgets everything anyhow.
        if (Seen { revision: before.revision, ..after }) == before
            && let Some(body) = body(known, before, differences)?
        {
            let (base, revision) = (before.revision, after.revision);
            parcels.push(Parcel { namespace: after.id, base, revision, body });
        }
    }
    Ok(parcels)
}

/// Encodes all changes in a namespace that others keep something of; none if they are too large.
fn body(known: &Known, namespace: Seen, differences: &[Difference]) -> Result<Option<Vec<u8>>> {
    let mut body = FORM.to_vec();
    for Difference { table, key, now, .. } in differences {
        let layout = known.layouts.get(*table).ok_or_else(damaged)?;
        let id = layout.namespace(key)?;
        let is_its = ids(namespace).any(|its| id == Some(its));
        if !is_its || Known::is_never_kept(*table) {
            continue;
        }
        put(&mut body, &u16::try_from(*table).map_err(|_| damaged())?.to_be_bytes());
        put(&mut body, key);
        match now {
            Some(row) => {
                body.push(1);
                put(&mut body, row);
            }
            None => body.push(0),
        }
        if body.len() > BYTES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

fn put(body: &mut Vec<u8>, part: &[u8]) {
    // Nothing longer than the whole gets here.
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(part);
}

/// Reads what was shipped, up to the first that this program cannot read.
pub(crate) fn unpack(rows: &[Row]) -> Outcome<Vec<Shipment>> {
    let mut shipments = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(changes) = changes(row.try_get(3)?) else { continue };
        let (namespace, base, revision) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        shipments.push(Shipment { namespace, base, revision, changes });
    }
    Ok(shipments)
}

fn changes(body: &[u8]) -> Option<Vec<Shipped>> {
    let mut rest = body.strip_prefix(&*FORM)?;
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let table = usize::from(u16::from_be_bytes(take(&mut rest)?.try_into().ok()?));
        let key = take(&mut rest)?.into();
        let (is_there, tail) = rest.split_first()?;
        rest = tail;
        let row = if *is_there == 1 { Some(take(&mut rest)?.into()) } else { None };
        changes.push(Shipped { table, key, row });
    }
    Some(changes)
}

fn take<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, tail) = rest.split_first_chunk()?;
    let (part, tail) = tail.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = tail;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_short_or_of_another_form_is_not_read() {
        let mut body = FORM.to_vec();
        put(&mut body, &3_u16.to_be_bytes());
        put(&mut body, b"key");
        body.push(1);
        put(&mut body, b"row");
        let shipped = Shipped { table: 3, key: b"key"[..].into(), row: Some(b"row"[..].into()) };
        assert_eq!(changes(&body), Some(vec![shipped]));
        for length in (0..body.len()).filter(|length| *length != FORM.len()) {
            assert_eq!(changes(&body[..length]), None, "{length}");
        }
        body[0] ^= 1;
        assert_eq!(changes(&body), None);
    }
}
