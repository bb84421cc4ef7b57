//! Collecting blobs to which nothing refers any more, and uploads that were given up.

use model::{BlobId, EventBody, Id, Namespace, Result, Time, limits};
use queue::{Closed, Work};
use store::{PRIMARY, Range, Row as _, Tx, TxExt as _, Value, tables};

use super::{
    refs::ids_in,
    rows::{BlobRow, RefRow},
    rules::remove,
};

/// Blobs that one transaction looks at.
const LOOKED_AT: u32 = 4;
/// Notes of one blob that one transaction looks at.
const NOTES: u32 = 64;

/// Looks at some blobs whose time has come; tells what happened in which namespace, and whether
/// more is left.
pub(crate) fn collect(tx: &mut dyn Tx, now: Time) -> Result<(Vec<(Namespace, Closed)>, bool)> {
    let range = Range::default().upto(Value::Int(now.0));
    let rows: Vec<BlobRow> = tx.find(tables::BLOB_DUE, &range, LOOKED_AT)?;
    let more = rows.len() >= LOOKED_AT as usize;
    let mut all = Vec::new();
    for row in rows {
        let Some(mut work) = Work::of(tx, row.namespace, now)? else {
            // The namespace is destroyed; what is in it only waits to be swept away.
            tx.put(&BlobRow { due: None, ..row })?;
            continue;
        };
        look(&mut work, row)?;
        let name = work.name().clone();
        let closed = work.close()?;
        if !closed.events.is_empty() {
            all.push((name, closed));
        }
    }
    Ok((all, more))
}

/// Whether anything refers to a blob.
enum Found {
    Yes,
    No,
    /// There are more notes than were looked at.
    LookAgain,
}

fn look(work: &mut Work<'_>, row: BlobRow) -> Result<()> {
    let found = match row.id {
        Some(id) => find(work.tx, row.namespace, id)?,
        None => Found::No,
    };
    let due = match found {
        Found::No => return remove(work, &row),
        Found::Yes => work.now.plus(limits::BLOB_KEPT),
        Found::LookAgain => work.now,
    };
    work.tx.put(&BlobRow { due: Some(due), ..row })?;
    work.events.push(EventBody::BlobChanged(row.upload));
    Ok(())
}

/// Looks where references were noted; notes that no longer hold are removed.
fn find(tx: &mut dyn Tx, namespace: Id, id: BlobId) -> Result<Found> {
    let prefix = [Value::id(namespace), Value::Bytes(id.0.into())];
    let notes: Vec<RefRow> = tx.find(PRIMARY, &Range::prefix(prefix), NOTES)?;
    let is_all = notes.len() < NOTES as usize;
    for note in notes {
        let (table, key) = note.row()?;
        let found = tx.load(table, &[key])?.pop().flatten();
        if found.is_some_and(|doc| ids_in(&doc.body).contains(&id)) {
            return Ok(Found::Yes);
        }
        tx.remove(&tables::BLOB_REF, &[note.to_doc().key])?;
    }
    Ok(if is_all { Found::No } else { Found::LookAgain })
}
