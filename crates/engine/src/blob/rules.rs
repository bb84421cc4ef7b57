//! What the commands on blobs mean.

use model::{BlobCommand, BlobId, Content, Error, EventBody, Id, Reply, Result, limits};
use queue::Work;
use sha2::{Digest as _, Sha256};
use store::TxExt as _;

use super::rows::{BlobRow, PartRow, SUM};

/// Applies a command on blobs.
pub(crate) fn apply(work: &mut Work<'_>, command: &BlobCommand) -> Result<Reply> {
    match command {
        BlobCommand::Begin { kind } => begin(work, kind).map(Reply::Id),
        BlobCommand::Part { upload, at, content } => part(work, *upload, *at, content),
        BlobCommand::Finish { upload } => finish(work, *upload),
        BlobCommand::Abandon { upload } => {
            let row = open(work, *upload)?;
            remove(work, &row)?;
            Ok(Reply::Done)
        }
    }
}

/// Takes note that something changed, so that the other nodes know that what they keep is old.
fn changed(work: &mut Work<'_>, upload: Id) {
    work.events.push(EventBody::BlobChanged(upload));
}

fn begin(work: &mut Work<'_>, kind: &str) -> Result<Id> {
    let is_visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if kind.is_empty() || kind.len() > limits::BLOB_TYPE_BYTES_MAX || !kind.bytes().all(is_visible)
    {
        let max = limits::BLOB_TYPE_BYTES_MAX;
        return Err(Error::bad_input(format!(
            "the media type of a blob has 1 to {max} visible ASCII characters"
        )));
    }
    let upload = work.next_id();
    let row = BlobRow {
        namespace: work.live(),
        upload,
        id: None,
        due: Some(work.now.plus(limits::BLOB_UPLOAD_KEPT)),
        kind: kind.to_owned(),
        bytes: 0,
        created: work.now,
        parts: Vec::new(),
    };
    work.tx.put(&row)?;
    changed(work, upload);
    Ok(upload)
}

/// Gives an upload that is not finished.
fn open(work: &mut Work<'_>, upload: Id) -> Result<BlobRow> {
    let row: Option<BlobRow> = work.tx.get(BlobRow::key(work.live(), upload))?;
    row.filter(|row| row.id.is_none() && upload != SUM).ok_or_else(|| {
        Error::bad_input(format!(
            "upload {upload} is not under way: it was finished, or given up; begin anew"
        ))
    })
}

fn part(work: &mut Work<'_>, upload: Id, at: u64, content: &Content) -> Result<Reply> {
    let mut row = open(work, upload)?;
    let Content(content) = content;
    let length = content.len() as u64;
    if at != row.bytes {
        let have = row.bytes;
        return Err(Error::bad_input(format!("{have} bytes were sent before, and not {at}")));
    }
    if !row.bytes.is_multiple_of(limits::BLOB_PART_BYTES) || content.is_empty() {
        return Err(Error::bad_input("only the last part of a blob may be short, and none empty"));
    }
    if length > limits::BLOB_PART_BYTES {
        let max = usize::try_from(limits::BLOB_PART_BYTES).unwrap_or(usize::MAX);
        return Err(Error::too_large("a part of a blob in bytes", content.len(), max));
    }
    row.bytes += length;
    if row.bytes > limits::BLOB_BYTES_MAX {
        return Err(too_large("a blob in bytes", row.bytes, limits::BLOB_BYTES_MAX));
    }
    sum(work, |sum| sum + length)?;
    let seq = row.parts.len() as u64;
    row.parts.push(Sha256::digest(content).into());
    let content = content.clone();
    work.tx.put(&PartRow { namespace: row.namespace, upload, seq, content })?;
    work.tx.put(&row)?;
    changed(work, upload);
    Ok(Reply::Done)
}

fn too_large(what: &str, is: u64, max: u64) -> Error {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Error::too_large(what, number(is), number(max))
}

/// Changes what all content of the namespace takes together.
fn sum(work: &mut Work<'_>, change: impl FnOnce(u64) -> u64) -> Result<()> {
    let row: Option<BlobRow> = work.tx.get(BlobRow::key(work.live(), SUM))?;
    let before = row.map_or(0, |row| row.bytes);
    let bytes = change(before);
    if bytes > before && bytes > limits::BLOBS_BYTES_MAX {
        return Err(too_large("the blobs of a namespace in bytes", bytes, limits::BLOBS_BYTES_MAX));
    }
    work.tx.put(&BlobRow {
        namespace: work.live(),
        upload: SUM,
        id: None,
        due: None,
        kind: String::new(),
        bytes,
        created: work.now,
        parts: Vec::new(),
    })
}

fn finish(work: &mut Work<'_>, upload: Id) -> Result<Reply> {
    let mut row = open(work, upload)?;
    let parts: Vec<Option<PartRow>> = work.tx.get_all(&row.part_keys())?;
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.ok_or_else(|| Error::Internal("a part of a blob is gone".to_owned()))?;
        hash.update(&part.content);
    }
    let id = BlobId(hash.finalize().into());
    let due = Some(work.now.plus(limits::BLOB_KEPT));
    let live = work.live();
    let row = match BlobRow::find(work.tx, live, &id)? {
        Some(mut same) => {
            remove(work, &row)?;
            same.due = same.due.max(due);
            same
        }
        None => {
            row.id = Some(id);
            row.due = due;
            row.created = work.now;
            row
        }
    };
    work.tx.put(&row)?;
    changed(work, row.upload);
    row.info().map(Reply::Blob).ok_or_else(|| Error::Internal("a blob has no id".to_owned()))
}

/// Removes content with all its parts.
pub(super) fn remove(work: &mut Work<'_>, row: &BlobRow) -> Result<()> {
    work.tx.remove(&store::tables::BLOB_PART, &row.part_keys())?;
    work.tx.remove(&store::tables::BLOB, &[BlobRow::key(row.namespace, row.upload)])?;
    sum(work, |sum| sum.saturating_sub(row.bytes))?;
    changed(work, row.upload);
    Ok(())
}
