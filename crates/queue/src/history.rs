//! Reading the history: of one namespace, or of several at once by those who follow them.

use model::{Error, Event, Namespace, Result, Revision, Time, limits};
use store::{PRIMARY, Range, Tx, TxExt as _, Value};

use crate::rows::{HistoryRow, NamespaceRow};

/// Gives what happened in a namespace after a revision, destroyed or not.
///
/// # Errors
/// [`Error::HistoryTrimmed`] if the history no longer reaches back that far.
pub fn events(
    tx: &mut dyn Tx,
    name: &Namespace,
    after: Revision,
    limit: u16,
) -> Result<Vec<Event>> {
    let Some(row) = tx.get::<NamespaceRow>(vec![Value::Text(name.as_str().into())])? else {
        return Err(Error::NoSuchNamespace(name.to_string()));
    };
    let range = Range::prefix([Value::id(row.id)]).after(Some(Value::id(after)));
    let rows: Vec<HistoryRow> = tx.find(PRIMARY, &range, u32::from(limit))?;
    if let Some(first) = rows.first()
        && first.revision != after + 1
    {
        return Err(Error::HistoryTrimmed(first.revision - 1));
    }
    let event = |row: HistoryRow| Event {
        namespace: name.clone(),
        revision: row.revision,
        time: row.time,
        bodies: row.bodies,
    };
    Ok(rows.into_iter().map(event).collect())
}

/// Gives what happened after a revision of each namespace; nothing is read of the history of those
/// that have not moved.
pub(crate) fn since(tx: &mut dyn Tx, positions: &[(Namespace, Revision)]) -> Result<Vec<Event>> {
    if positions.len() > limits::BATCH_MAX {
        let what = "namespaces in one question";
        return Err(Error::too_large(what, positions.len(), limits::BATCH_MAX));
    }
    let key = |(name, _): &(Namespace, _)| vec![Value::Text(name.as_str().into())];
    let keys: Vec<_> = positions.iter().map(key).collect();
    let rows: Vec<Option<NamespaceRow>> = tx.get_all(&keys)?;
    let mut events: Vec<Event> = Vec::new();
    for ((name, after), row) in positions.iter().zip(rows) {
        let room =
            limits::SINCE_MAX.saturating_sub(u32::try_from(events.len()).unwrap_or(u32::MAX));
        let newest = row.as_ref().map_or(0, |row| row.revision);
        let event =
            |revision, time, bodies| Event { namespace: name.clone(), revision, time, bodies };
        if newest < *after {
            events.push(event(newest, Time(0), Vec::new()));
        }
        let Some(row) = row.filter(|_| newest > *after && room > 0) else { continue };
        let range = Range::prefix([Value::id(row.id)]).after(Some(Value::id(*after)));
        let found: Vec<HistoryRow> = tx.find(PRIMARY, &range, room)?;
        events.extend(found.into_iter().map(|row| event(row.revision, row.time, row.bodies)));
    }
    Ok(events)
}
