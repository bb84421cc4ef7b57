//! Lists that begin with the newest, over indexes that can only be gone through upwards.
//!
//! Ids only grow, so what is newest is in the last stretch of ids; that stretch is made longer, or
//! shorter, until it holds about as many rows as are wanted. Each look is a scan of an index with a
//! limit, and their number grows with the logarithm of the ids.

use model::{Id, Result};
use store::{Range, Row, Tx, TxExt as _, Value, tables};

/// Rows that one look takes at most.
const LOOK_MAX: u32 = 512;
/// Ids in the first stretch that is looked at.
const STRETCH: u64 = 256;
/// Rows that are looked at for one answer, where some are passed over.
const LOOKED_AT_MAX: usize = 10_000;

/// Gives rows of an index whose next field is an id, newest first, that come before an id.
pub(super) fn newest<R: Row>(
    tx: &mut dyn Tx,
    index: usize,
    prefix: Vec<Value>,
    before: Option<Id>,
    most: usize,
    rules: (impl Fn(&R) -> Id, impl Fn(&R) -> bool),
) -> Result<Vec<R>> {
    let (id, wanted) = rules;
    let namespace = prefix.first().cloned().unwrap_or(Value::Null);
    // Nothing has a higher id than the last that was given out.
    let mut upto = match before {
        Some(before) => before.saturating_sub(1),
        None => last_id(tx, namespace)?,
    };
    let (mut found, mut looked_at, mut stretch) = (Vec::new(), 0, STRETCH);
    while upto > 0 && found.len() < most && looked_at < LOOKED_AT_MAX {
        let after = upto.saturating_sub(stretch);
        let range = Range::prefix(prefix.clone()).after(Some(Value::id(after)));
        let rows: Vec<R> = tx.find(index, &range.upto(Value::id(upto)), LOOK_MAX)?;
        if rows.len() >= LOOK_MAX as usize && stretch > u64::from(LOOK_MAX) {
            // These are the oldest of too many.
            stretch /= 2;
            continue;
        }
        looked_at += rows.len();
        let is_sparse = rows.len() < most;
        found.extend(rows.into_iter().rev().filter(&wanted));
        upto = after;
        if is_sparse {
            stretch = stretch.saturating_mul(4);
        }
    }
    found.truncate(most);
    debug_assert!(found.is_sorted_by(|one, other| id(one) > id(other)), "ids fall");
    Ok(found)
}

/// Gives the last id that was given out in a namespace.
fn last_id(tx: &mut dyn Tx, namespace: Value) -> Result<Id> {
    let range = Range::prefix([namespace]);
    let docs = tx.scan(&tables::NAMESPACE, tables::NAMESPACE_LIVE, &range, 1)?;
    docs.first().and_then(|doc| doc.columns.get(3)).map_or(Ok(0), Value::as_id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::{CloudEvent, Received, Time};
    use store::{Doc, Job, Memory, PRIMARY, Store as _};

    use super::*;
    use crate::instance::rows::EventRow;

    struct Run<F>(F);

    impl<F: FnMut(&mut dyn Tx) -> Result<()> + Send> Job for Run<F> {
        fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
            (self.0)(tx)
        }

        fn done(self: Box<Self>, outcome: Result<()>) {
            outcome.unwrap();
        }
    }

    fn event(seq: u64) -> EventRow {
        let event = CloudEvent {
            id: seq.to_string(),
            source: "test".to_owned(),
            kind: "counted".to_owned(),
            subject: None,
            time: None,
            datacontenttype: None,
            dataschema: None,
            data: serde_json::Value::Null,
            extensions: BTreeMap::new(),
        };
        let received =
            Received { seq, is_duplicate: false, started: Vec::new(), resumed: Vec::new() };
        let (at, taken) = (Time(0), Vec::new());
        EventRow { namespace: 1, seq, event, at, received, origin: None, is_new: false, taken }
    }

    #[test]
    fn all_come_newest_first_however_they_lie() {
        let seqs: Vec<u64> = (1..2_000).chain([5_000, 5_001, 9_000, 1_000_000]).collect();
        let check = move |tx: &mut dyn Tx| {
            let columns = [1, 1, 1, 1_000_007].map(Value::id).into();
            let key = vec![Value::Text("shop".into())];
            let doc = Doc { key, columns, body: b"{}".to_vec() };
            tx.save(&tables::NAMESPACE, vec![doc])?;
            tx.put_all(&seqs.iter().map(|seq| event(*seq)).collect::<Vec<_>>())?;
            for wanted in [|_: &EventRow| true, |row: &EventRow| row.seq.is_multiple_of(3)] {
                let (mut all, mut before) = (Vec::new(), None);
                loop {
                    let rules = (|row: &EventRow| row.seq, wanted);
                    let prefix = vec![Value::id(1)];
                    let page = newest(tx, PRIMARY, prefix, before, 50, rules)?;
                    before = page.last().map(|row| row.seq);
                    all.extend(page.iter().map(|row| row.seq));
                    if page.len() < 50 {
                        break;
                    }
                }
                let is_wanted = |seq: &&u64| wanted(&event(**seq));
                let expected: Vec<u64> = seqs.iter().rev().filter(is_wanted).copied().collect();
                assert_eq!(all, expected);
            }
            Ok(())
        };
        Memory::new().write(Box::new(Run(check)));
    }
}
