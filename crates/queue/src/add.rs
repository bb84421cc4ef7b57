//! Adding units.

use std::collections::HashMap;

use model::{
    AddUnits, Data, Error, EventBody, Id, NewUnit, Reply, Result, Time, UnitMeta, UnitName,
    UnitStatus, limits,
};
use store::{PRIMARY, Range, TxExt as _, Value};

use crate::{
    Work,
    rows::{AttemptRow, SpecRow, UnitRow},
};

/// Adds units, or replaces data and meta of those that exist.
pub(crate) fn add_units(work: &mut Work<'_>, command: &AddUnits) -> Result<Reply> {
    if command.units.len() > limits::BATCH_MAX {
        return Err(Error::too_large("units in one add", command.units.len(), limits::BATCH_MAX));
    }
    let spec = work.spec(&command.spec)?;
    add(work, spec, &command.units).map(Reply::Ids)
}

/// Adds units to a spec and gives their incarnations in the order asked; of one name the last
/// counts.
pub(crate) fn add(work: &mut Work<'_>, mut spec: SpecRow, units: &[NewUnit]) -> Result<Vec<Id>> {
    if units.is_empty() {
        return Ok(Vec::new());
    }
    let mut last: HashMap<&UnitName, usize> = HashMap::with_capacity(units.len());
    for (position, unit) in units.iter().enumerate() {
        check_priority(unit.meta.priority)?;
        last.insert(&unit.name, position);
    }
    let keys: Vec<_> =
        units.iter().map(|unit| UnitRow::key(work.live, spec.id, &unit.name)).collect();
    let found: Vec<Option<UnitRow>> = work.tx.get_all(&keys)?;
    let mut rows = Vec::with_capacity(last.len());
    let mut ids: HashMap<&UnitName, Id> = HashMap::with_capacity(last.len());
    for (position, (unit, found)) in units.iter().zip(found).enumerate() {
        if last.get(&unit.name) != Some(&position) {
            continue;
        }
        let meta = unit_meta(work.now, unit);
        let row = match found {
            Some(old) => again(work, &mut spec, old, unit.data.clone(), meta)?,
            None => new(work, &mut spec, unit, meta),
        };
        ids.insert(&unit.name, row.id);
        rows.push(row);
    }
    work.tx.put_all(&rows)?;
    let names = rows.into_iter().map(|row| row.name).collect();
    work.events.push(EventBody::UnitsAdded(spec.name.clone(), names));
    work.put_spec(spec);
    Ok(units.iter().filter_map(|unit| ids.get(&unit.name).copied()).collect())
}

fn new(work: &mut Work<'_>, spec: &mut SpecRow, unit: &NewUnit, meta: UnitMeta) -> UnitRow {
    let status = idle_status(work.now, meta);
    *spec.counts.of_mut(status) += 1;
    UnitRow {
        namespace: work.live,
        spec: spec.id,
        name: unit.name.clone(),
        id: work.next_id(),
        status,
        meta,
        data: unit.data.clone(),
        active: None,
        attempts: 0,
        created: work.now,
    }
}

/// Replaces data and meta; a unit that has ended runs again, a pending one goes on.
fn again(
    work: &mut Work<'_>,
    spec: &mut SpecRow,
    mut unit: UnitRow,
    data: Data,
    meta: UnitMeta,
) -> Result<UnitRow> {
    replace_data(work, &mut unit, data)?;
    unit.meta = meta;
    if unit.status != UnitStatus::Pending {
        unit.active = None;
        let status = idle_status(work.now, meta);
        spec.move_unit(&mut unit, status);
    }
    Ok(unit)
}

/// Replaces a unit's data; what its attempts show stays as it is.
pub(crate) fn replace_data(work: &mut Work<'_>, unit: &mut UnitRow, data: Data) -> Result<()> {
    if unit.data != data {
        keep_attempt_data(work, unit)?;
        unit.data = data;
    }
    Ok(())
}

/// Gives attempts that show their unit's data a copy of it, because that data is about to change.
fn keep_attempt_data(work: &mut Work<'_>, unit: &UnitRow) -> Result<()> {
    if unit.attempts == 0 {
        return Ok(());
    }
    let range = Range::prefix([Value::id(unit.namespace), Value::id(unit.id)]);
    let attempts: Vec<AttemptRow> = work.tx.find(PRIMARY, &range, u32::MAX)?;
    let copies: Vec<_> = attempts
        .into_iter()
        .filter(|attempt| attempt.data.is_none())
        .map(|attempt| AttemptRow { data: Some(unit.data.clone()), ..attempt })
        .collect();
    work.tx.put_all(&copies)
}

/// Gives the status of a unit without an active attempt.
pub(crate) fn idle_status(now: Time, meta: UnitMeta) -> UnitStatus {
    match meta.not_before {
        Some(time) if now < time => UnitStatus::Delayed,
        _ => UnitStatus::Available,
    }
}

/// Refuses priorities that have no order.
pub(crate) fn check_priority(priority: f64) -> Result<()> {
    if priority.is_finite() {
        return Ok(());
    }
    Err(Error::bad_input("priority must be a finite number"))
}

fn unit_meta(now: Time, unit: &NewUnit) -> UnitMeta {
    UnitMeta {
        priority: unit.meta.priority,
        not_before: unit
            .delay
            .map_or(unit.meta.not_before, |delay| Some(now.plus(delay)).filter(|time| *time > now)),
    }
}
