//! Selecting units by a filter, one bounded page at a time.

use model::{Id, Result, UnitFilter, UnitName, UnitStatus, limits};
use store::{PRIMARY, Range, Tx, TxExt as _, Value, tables};

use crate::rows::{SpecRow, UnitRow, state};

/// Units in name order, and the last name looked at where more may follow.
pub(crate) type Selected = (Vec<UnitRow>, Option<UnitName>);

/// Rows looked at for one page when most of them do not match.
const LOOKED_AT_MAX: u32 = 20_000;

/// Gives the first units of a spec that a filter selects, at most `most`.
pub(crate) fn select(
    tx: &mut dyn Tx,
    spec: &SpecRow,
    filter: &UnitFilter,
    most: u32,
) -> Result<Selected> {
    let most = if filter.limit == 0 { most } else { most.min(filter.limit) };
    let statuses = match &filter.statuses {
        Some(statuses) => UnitStatus::ALL
            .into_iter()
            .filter(|s| statuses.contains(s) && spec.counts.of(*s) > 0)
            .collect(),
        None => UnitStatus::ALL.to_vec(),
    };
    if statuses.is_empty() {
        return Ok((Vec::new(), None));
    }
    if let Some(names) = &filter.names {
        return by_name(tx, spec, filter, names, &statuses, most);
    }
    if filter.statuses.is_none() || statuses.contains(&UnitStatus::Finished) {
        return by_walking(tx, spec, filter, &statuses, most);
    }
    by_state(tx, spec, filter, &statuses, most)
}

fn by_name(
    tx: &mut dyn Tx,
    spec: &SpecRow,
    filter: &UnitFilter,
    names: &[UnitName],
    statuses: &[UnitStatus],
    most: u32,
) -> Result<Selected> {
    let mut names: Vec<_> =
        names.iter().filter(|name| filter.after.as_ref().is_none_or(|a| *name > a)).collect();
    names.sort_unstable();
    names.dedup();
    let mut units = Vec::new();
    for part in names.chunks(limits::PAGE_MAX as usize) {
        let keys: Vec<_> =
            part.iter().map(|name| UnitRow::key(spec.namespace, spec.id, name)).collect();
        let found: Vec<Option<UnitRow>> = tx.get_all(&keys)?;
        units.extend(found.into_iter().flatten().filter(|u| statuses.contains(&u.status)));
        if units.len() >= most as usize {
            break;
        }
    }
    Ok(page(units, most))
}

/// Walks all units of the spec; right where most match, such as finished ones.
fn by_walking(
    tx: &mut dyn Tx,
    spec: &SpecRow,
    filter: &UnitFilter,
    statuses: &[UnitStatus],
    most: u32,
) -> Result<Selected> {
    let prefix = [Value::id(spec.namespace), Value::id(spec.id)];
    let mut after = filter.after.clone();
    let mut units: Vec<UnitRow> = Vec::new();
    let mut looked_at = 0;
    loop {
        let range = Range::prefix(prefix.clone()).after(after.as_ref().map(bytes));
        let ask = most.saturating_add(1).min(limits::PAGE_MAX);
        let rows: Vec<UnitRow> = tx.find(PRIMARY, &range, ask)?;
        looked_at += ask;
        let ended = rows.len() < ask as usize;
        after = rows.last().map(|row| row.name.clone());
        units.extend(rows.into_iter().filter(|row| statuses.contains(&row.status)));
        if ended || units.len() > most as usize {
            return Ok(page(units, most));
        }
        if looked_at >= LOOKED_AT_MAX {
            return Ok((units, after));
        }
    }
}

/// Merges the indexes of the asked statuses; finished units are in none.
fn by_state(
    tx: &mut dyn Tx,
    spec: &SpecRow,
    filter: &UnitFilter,
    statuses: &[UnitStatus],
    most: u32,
) -> Result<Selected> {
    let mut units = Vec::new();
    for status in statuses {
        let prefix = [Value::id(spec.namespace), Value::id(spec.id), state(*status)];
        let range = Range::prefix(prefix).after(filter.after.as_ref().map(bytes));
        let found: Vec<UnitRow> = tx.find(tables::UNIT_STATE, &range, most.saturating_add(1))?;
        units.extend(found);
    }
    units.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(page(units, most))
}

fn page(mut units: Vec<UnitRow>, most: u32) -> Selected {
    let more = units.len() > most as usize;
    units.truncate(most as usize);
    let next = units.last().filter(|_| more).map(|unit| unit.name.clone());
    (units, next)
}

fn bytes(name: &UnitName) -> Value {
    Value::Bytes(name.as_bytes().into())
}

/// Gives the keys of all attempts of units.
pub(crate) fn attempt_keys(
    tx: &mut dyn Tx,
    namespace: Id,
    units: &[UnitRow],
) -> Result<Vec<store::Key>> {
    let mut keys = Vec::new();
    for unit in units.iter().filter(|unit| unit.attempts > 0) {
        let range = Range::prefix([Value::id(namespace), Value::id(unit.id)]);
        let docs = tx.scan(&tables::ATTEMPT, PRIMARY, &range, u32::MAX)?;
        keys.extend(docs.into_iter().map(|doc| doc.key));
    }
    Ok(keys)
}
