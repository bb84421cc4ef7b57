//! Questions about blobs.

use model::{
    Answer, BlobAnswer, BlobId, BlobQuery, Content, Error, Id, Namespace, Page, Read, Result,
    limits,
};
use sha2::{Digest as _, Sha256};
use store::{Range, Tx, TxExt as _, Value, tables};

use super::rows::{BlobRow, PartRow};

/// Answers a question about blobs.
pub(crate) fn answer(tx: &mut dyn Tx, namespace: &Namespace, query: &BlobQuery) -> Result<Read> {
    let (as_of, live) = queue::live(tx, namespace)?;
    let answer = match query {
        BlobQuery::Blobs(page) => BlobAnswer::Blobs(list(tx, live, page)?),
        BlobQuery::Blob(id) => {
            let info = find(tx, live, id)?.info();
            BlobAnswer::Blob(info.ok_or_else(|| Error::NoSuchBlob(id.to_string()))?)
        }
        BlobQuery::Part(id, seq) => BlobAnswer::Part(Content(part(tx, live, id, *seq)?)),
    };
    Ok(Read { as_of, answer: Answer::Blobs(answer) })
}

fn find(tx: &mut dyn Tx, live: Id, id: &BlobId) -> Result<BlobRow> {
    BlobRow::find(tx, live, id)?.ok_or_else(|| Error::NoSuchBlob(id.to_string()))
}

fn list(tx: &mut dyn Tx, live: Id, page: &Page<BlobId>) -> Result<Vec<model::BlobInfo>> {
    let limit = if page.limit == 0 { limits::PAGE_MAX } else { page.limit.min(limits::PAGE_MAX) };
    let after = page.after.map(|id| Value::Bytes(id.0.into()));
    let range = Range::prefix([Value::id(live)]).after(after);
    let rows: Vec<BlobRow> = tx.find(tables::BLOB_HASH, &range, limit)?;
    Ok(rows.iter().filter_map(BlobRow::info).collect())
}

/// Gives a part, whose content must be that of which the hash was taken.
fn part(tx: &mut dyn Tx, live: Id, id: &BlobId, seq: u64) -> Result<Vec<u8>> {
    let row = find(tx, live, id)?;
    let hash = usize::try_from(seq).ok().and_then(|seq| row.parts.get(seq));
    let hash = hash.ok_or_else(|| Error::bad_input(format!("blob {id} has no part {seq}")))?;
    let part: Option<PartRow> = tx.get(PartRow::key(live, row.upload, seq))?;
    match part.map(|part| part.content) {
        Some(content) if Sha256::digest(&content).as_slice() == hash => Ok(content),
        Some(_) => Err(Error::Internal(format!("part {seq} of blob {id} is damaged"))),
        None => Err(Error::Internal(format!("part {seq} of blob {id} is gone"))),
    }
}
