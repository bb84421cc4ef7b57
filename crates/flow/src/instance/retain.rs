//! Forgetting instances that ended long ago, with their journals and units, some rows at a time.

use model::{
    EventBody, Id, QueueCommand, Result, SetUnits, SpecName, SpecRef, UnitChange, UnitFilter,
    UnitName,
};
use queue::Work;
use store::{PRIMARY, Range, Table, TxExt as _, Value, tables};

use super::{message, rows::InstanceRow};
use crate::timer::{TimerKind, TimerRow};

/// Instances that one round of due work forgets, so that others are not kept waiting.
pub(super) const ROUND: usize = 20;
/// Rows of one instance that one round removes.
const ROWS: u32 = 200;
/// Work specs in which units of an instance are looked for.
const SPECS_MAX: u32 = 10_000;

/// Notes when an instance that has ended may be forgotten; one that goes on again stays.
pub(super) fn expect(
    work: &mut Work<'_>,
    row: &InstanceRow,
    kept: std::time::Duration,
) -> Result<()> {
    match row.body.ended {
        Some(ended) => {
            let due = ended.plus(kept);
            work.tx.put(&TimerRow::new(row.namespace, TimerKind::Kept, row.id, "", due))
        }
        None => {
            let key = TimerRow::key(row.namespace, TimerKind::Kept, row.id, "");
            work.tx.remove(&tables::TIMER, &[key])
        }
    }
}

/// Forgets an instance whose time is over, or as much of it as one round may; the rest is still
/// due.
pub(super) fn forget(work: &mut Work<'_>, timer: &TimerRow) -> Result<()> {
    let found = message::find(work, timer.owner)?;
    if let Some(row) = found.filter(|row| row.status.is_over()) {
        let (namespace, id) = (Value::id(work.live()), Value::id(row.id));
        let of_instance = [namespace.clone(), id.clone()];
        let units = [namespace, Value::Int(TimerKind::Unit as i64), id];
        let is_all = forget_units(work, row.id)?
            && forget_rows(work, &tables::JOURNAL, &of_instance)?
            && forget_rows(work, &tables::INBOX, &of_instance)?
            && forget_rows(work, &tables::WAIT, &of_instance)?
            && forget_rows(work, &tables::TIMER, &units)?;
        message::touch(work, row.id);
        if !is_all {
            return Ok(());
        }
        let key = InstanceRow::key(row.namespace, row.id);
        work.tx.remove(&tables::INSTANCE, &[key])?;
        let advance = message::expected(row.namespace, row.id);
        work.tx.remove(&tables::TIMER, &[advance])?;
    } else {
        work.events.push(EventBody::InstancesChanged(vec![timer.owner]));
    }
    work.tx.remove(&tables::TIMER, &[timer.own_key()])
}

/// Removes rows whose keys begin like this; tells whether that were all.
fn forget_rows(work: &mut Work<'_>, table: &'static Table, prefix: &[Value]) -> Result<bool> {
    let range = Range::prefix(prefix);
    let docs = work.tx.scan(table, PRIMARY, &range, ROWS)?;
    let keys: Vec<_> = docs.into_iter().map(|doc| doc.key).collect();
    work.tx.remove(table, &keys)?;
    Ok(keys.len() < ROWS as usize)
}

/// Removes the units of its steps; tells whether that were all.
fn forget_units(work: &mut Work<'_>, instance: Id) -> Result<bool> {
    let first = format!("flow/{instance}/").into_bytes();
    // No name of a step has this byte, so it comes after all of them.
    let end = Value::Bytes([first.as_slice(), &[0xff]].concat().into());
    let first = Value::Bytes(first.into());
    let all = Range::prefix([Value::id(work.live())]);
    for spec in work.tx.scan(&tables::SPEC, PRIMARY, &all, SPECS_MAX)? {
        let (Some(name), Some(id)) = (spec.key.get(1), spec.columns.first()) else { continue };
        let name = SpecName::new(name.as_text()?)?;
        let range = Range::prefix([Value::id(work.live()), id.clone()])
            .after(Some(first.clone()))
            .upto(end.clone());
        let docs = work.tx.scan(&tables::UNIT, PRIMARY, &range, ROWS)?;
        if docs.is_empty() {
            continue;
        }
        let mut names = Vec::with_capacity(docs.len());
        for doc in &docs {
            let unit = doc.key.get(2).map(Value::as_bytes).transpose()?;
            names.push(UnitName::new(unit.unwrap_or_default())?);
        }
        delete(work, &name, names)?;
        if docs.len() == ROWS as usize {
            return Ok(false);
        }
    }
    Ok(true)
}

fn delete(work: &mut Work<'_>, spec: &SpecName, names: Vec<UnitName>) -> Result<()> {
    let spec = SpecRef { name: spec.clone(), id: None };
    let filter = UnitFilter { names: Some(names), ..UnitFilter::default() };
    let delete = SetUnits { spec, filter, change: UnitChange::Delete };
    queue::apply(work, &QueueCommand::SetUnits(delete)).map(drop)
}
