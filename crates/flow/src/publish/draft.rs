//! Drafts: kept beside what is published, and served to nobody who starts anything.

use model::{Error, EventBody, Reply, Result};
use queue::Work;
use store::{TxExt as _, tables};

use super::rows::DraftRow;
use crate::limits;

/// Keeps a document that need not be right yet.
pub fn save_draft(work: &mut Work<'_>, name: &str, source: &str) -> Result<Reply> {
    if name.is_empty() || name.len() > limits::NAME_BYTES_MAX {
        let max = limits::NAME_BYTES_MAX;
        return Err(Error::bad_input(format!("the name of a draft has 1 to {max} bytes")));
    }
    if source.len() > limits::DOCUMENT_BYTES_MAX {
        return Err(Error::too_large("the draft", source.len(), limits::DOCUMENT_BYTES_MAX));
    }
    let namespace = work.live();
    work.tx.put(&DraftRow { namespace, name: name.to_owned(), source: source.to_owned() })?;
    work.events.push(EventBody::DefinitionsChanged(vec![name.to_owned()]));
    Ok(Reply::Done)
}

/// Forgets a draft.
pub fn delete_draft(work: &mut Work<'_>, name: &str) -> Result<Reply> {
    let key = DraftRow::key(work.live(), name);
    if work.tx.get::<DraftRow>(key.clone())?.is_none() {
        return Err(Error::NoSuchDraft(name.to_owned()));
    }
    work.tx.remove(&tables::DRAFT, &[key])?;
    work.events.push(EventBody::DefinitionsChanged(vec![name.to_owned()]));
    Ok(Reply::Done)
}
