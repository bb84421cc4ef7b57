//! Sweeping away what nothing can reach any more, bit by bit.

use model::{Id, Result, Time};
use store::{Key, PRIMARY, Range, Table, Tx, TxExt as _, Value, tables};

use crate::{
    rows::{RubbleRow, UnitRow},
    select::attempt_keys,
};

/// The tables whose rows go with their namespace, but for units and what is kept of the past.
const WITHIN: [&Table; 24] = [
    &tables::ATTEMPT,
    &tables::SPEC,
    &tables::SPEC_DATA,
    &tables::WORKER,
    &tables::LOCK,
    &tables::DEFINITION,
    &tables::VERSION,
    &tables::DRAFT,
    &tables::TRIGGER,
    &tables::RUN,
    &tables::EFFECT,
    &tables::INSTANCE,
    &tables::JOURNAL,
    &tables::INBOX,
    &tables::WAIT,
    &tables::EVENT,
    &tables::FIRING,
    &tables::TIMER,
    &tables::MAIL_ACCOUNT,
    &tables::MAIL_PART,
    &tables::BLOB_PART,
    &tables::BLOB_REF,
    &tables::BLOB,
    &tables::SECRET,
];

/// Gives the time from which on an answer to an idempotency key may be forgotten.
pub fn next_sweep(tx: &mut dyn Tx) -> Result<Option<Time>> {
    let first = tx.first(&tables::REQUEST, tables::REQUEST_DUE)?;
    first.map(|due| due.as_int().map(Time)).transpose()
}

/// Removes up to about `limit` rows; tells whether more is left.
pub fn sweep(tx: &mut dyn Tx, now: Time, limit: u32) -> Result<bool> {
    let forgotten = sweep_requests(tx, now, limit)?;
    let rubble: Vec<RubbleRow> = tx.find(PRIMARY, &Range::default(), 1)?;
    let Some(rubble) = rubble.first() else { return Ok(forgotten >= limit) };
    let whole = rubble.spec == 0;
    if sweep_units(tx, rubble, limit)? >= limit {
        return Ok(true);
    }
    if whole {
        for table in WITHIN {
            if remove_rows(tx, table, &[Value::id(rubble.namespace)], limit)? >= limit {
                return Ok(true);
            }
        }
        remove_rows(tx, &tables::RUBBLE, &[Value::id(rubble.namespace)], u32::MAX)?;
    } else {
        let key = vec![Value::id(rubble.namespace), Value::id(rubble.spec)];
        tx.remove(&tables::RUBBLE, &[key])?;
    }
    Ok(true)
}

/// Forgets answers to idempotency keys that were kept long enough.
fn sweep_requests(tx: &mut dyn Tx, now: Time, limit: u32) -> Result<u32> {
    let range = Range::default().upto(Value::Int(now.0));
    let docs = tx.scan(&tables::REQUEST, tables::REQUEST_DUE, &range, limit)?;
    let keys: Vec<Key> = docs.into_iter().map(|doc| doc.key).collect();
    tx.remove(&tables::REQUEST, &keys)?;
    Ok(u32::try_from(keys.len()).unwrap_or(u32::MAX))
}

fn sweep_units(tx: &mut dyn Tx, rubble: &RubbleRow, limit: u32) -> Result<u32> {
    let units: Vec<UnitRow> = tx.find(PRIMARY, &Range::prefix(prefix(rubble)), limit)?;
    let attempts = attempt_keys(tx, rubble.namespace, &units)?;
    tx.remove(&tables::ATTEMPT, &attempts)?;
    let keys: Vec<Key> =
        units.iter().map(|unit| UnitRow::key(unit.namespace, unit.spec, &unit.name)).collect();
    tx.remove(&tables::UNIT, &keys)?;
    Ok(u32::try_from(keys.len()).unwrap_or(u32::MAX))
}

fn prefix(rubble: &RubbleRow) -> Vec<Value> {
    let ids: [Id; 2] = [rubble.namespace, rubble.spec];
    ids.into_iter().filter(|id| *id > 0).map(Value::id).collect()
}

fn remove_rows(
    tx: &mut dyn Tx,
    table: &'static Table,
    prefix: &[Value],
    limit: u32,
) -> Result<u32> {
    let docs = tx.scan(table, PRIMARY, &Range::prefix(prefix), limit)?;
    let keys: Vec<Key> = docs.into_iter().map(|doc| doc.key).collect();
    tx.remove(table, &keys)?;
    Ok(u32::try_from(keys.len()).unwrap_or(u32::MAX))
}
