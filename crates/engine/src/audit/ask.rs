//! Questions about the audit log.

use model::{
    Answer, AuditAnswer, AuditEntry, AuditFilter, AuditQuery, Error, Id, Namespace, Page, Read,
    Result, limits,
};
use store::{Doc, PRIMARY, Range, Row as _, Tx, TxExt as _, Value, tables};

use super::{AuditRow, EVERYWHERE, HeadRow};

/// Answers a question about the audit log.
pub(crate) fn answer(tx: &mut dyn Tx, query: &AuditQuery) -> Result<Read> {
    let as_of = match query.namespace() {
        Some(namespace) => queue::revision(tx, namespace)?,
        None => 0,
    };
    let answer = match query {
        AuditQuery::Rows { namespace, filter, before, limit } => {
            rows(tx, namespace.as_ref(), filter, *before, page_limit(*limit))?
        }
        AuditQuery::Heads(page) => heads(tx, page)?,
        AuditQuery::Chain(namespace, page) => chain(tx, namespace.as_ref(), page)?,
    };
    Ok(Read { as_of, answer: Answer::Audit(answer) })
}

fn page_limit(limit: u32) -> u32 {
    if limit == 0 { limits::PAGE_MAX } else { limit.min(limits::PAGE_MAX) }
}

/// Gives the chain of a namespace, destroyed or not.
fn chain_of(tx: &mut dyn Tx, namespace: Option<&Namespace>) -> Result<Id> {
    let Some(namespace) = namespace else { return Ok(EVERYWHERE) };
    queue::lasting_id(tx, namespace)?.ok_or_else(|| Error::NoSuchNamespace(namespace.to_string()))
}

/// Looks from the newest row on, for as many as are asked for.
fn rows(
    tx: &mut dyn Tx,
    namespace: Option<&Namespace>,
    filter: &AuditFilter,
    before: Option<u64>,
    limit: u32,
) -> Result<AuditAnswer> {
    let chain = chain_of(tx, namespace)?;
    let end = tx.get::<HeadRow>(HeadRow::key(chain))?.map_or(0, |head| head.seq);
    let mut last = before.map_or(end, |before| before.saturating_sub(1).min(end));
    let lowest = last.saturating_sub(limits::AUDIT_LOOKED_AT_MAX);
    let mut found = Vec::new();
    while last > lowest {
        let after = last.saturating_sub(u64::from(limits::PAGE_MAX)).max(lowest);
        let range = Range::prefix([Value::id(chain)]).after(Some(Value::id(after)));
        let range = range.upto(Value::id(last));
        let stretch = tx.scan(&tables::AUDIT, PRIMARY, &range, limits::PAGE_MAX)?;
        for (seq, entry) in stretch.into_iter().map(read).rev() {
            // The next page begins with one that does not fit any more.
            if found.len() == limit as usize {
                return Ok(AuditAnswer::Rows(found, Some(seq + 1)));
            }
            // One that cannot be read is for whoever follows the chain.
            let Some(entry) = entry else { continue };
            if filter.since.is_some_and(|since| entry.time < since) {
                return Ok(AuditAnswer::Rows(found, None));
            }
            if filter.takes(&entry) {
                found.push(entry);
            }
        }
        last = after;
    }
    Ok(AuditAnswer::Rows(found, (last > 0).then_some(last + 1)))
}

fn heads(tx: &mut dyn Tx, page: &Page<u64>) -> Result<AuditAnswer> {
    let range = Range::default().after(page.after.map(Value::id));
    let heads: Vec<HeadRow> = tx.find(PRIMARY, &range, page_limit(page.limit))?;
    Ok(AuditAnswer::Heads(heads.into_iter().map(|head| (head.chain, head.shown())).collect()))
}

fn chain(tx: &mut dyn Tx, namespace: Option<&Namespace>, page: &Page<u64>) -> Result<AuditAnswer> {
    let chain = chain_of(tx, namespace)?;
    let range = Range::prefix([Value::id(chain)]).after(page.after.map(Value::id));
    let docs = tx.scan(&tables::AUDIT, PRIMARY, &range, page_limit(page.limit))?;
    let rows = docs.into_iter().map(read).collect();
    let head = tx.get::<HeadRow>(HeadRow::key(chain)).unwrap_or(None);
    Ok(AuditAnswer::Chain { rows, head: head.map(HeadRow::shown) })
}

/// Gives the place of a row, and what it says if it can be read.
fn read(doc: Doc) -> (u64, Option<AuditEntry>) {
    let seq = doc.key.get(1).and_then(|seq| seq.as_id().ok()).unwrap_or(0);
    (seq, AuditRow::from_doc(doc).ok().map(|row| row.entry))
}
