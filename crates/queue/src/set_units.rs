//! Changing or deleting the units that a filter selects.

use model::{EventBody, Reply, Result, SetUnits, UnitChange, UnitRef, UnitStatus, limits};
use store::{TxExt as _, tables};

use crate::{
    Work, add, attempt,
    rows::{SpecRow, UnitRow},
    select::{attempt_keys, select},
};

/// Changes or deletes one bounded part of what the filter selects.
pub(crate) fn set_units(work: &mut Work<'_>, command: &SetUnits) -> Result<Reply> {
    match &command.change {
        UnitChange::Priority(number) | UnitChange::Adjust(number) => add::check_priority(*number)?,
        UnitChange::Meta(meta) => add::check_priority(meta.priority)?,
        UnitChange::Delete | UnitChange::Again | UnitChange::Data(_) => {}
    }
    let mut spec = work.spec(&command.spec)?;
    let mut filter = command.filter.clone();
    // Part of the filter, so that its limit counts the units that can be changed and no others.
    let can_change = |status: &UnitStatus| match (&command.change, status) {
        (UnitChange::Again, UnitStatus::Finished | UnitStatus::Failed)
        | (UnitChange::Data(_), UnitStatus::Available | UnitStatus::Delayed) => true,
        (UnitChange::Again | UnitChange::Data(_), _) => false,
        _ => true,
    };
    if UnitStatus::ALL.iter().any(|status| !can_change(status)) {
        filter.statuses.get_or_insert_with(|| UnitStatus::ALL.to_vec()).retain(can_change);
    }
    let (mut units, mut next) = select(work.tx, &spec, &filter, limits::SWEEP_MAX)?;
    let count = units.len() as u64;
    if command.filter.limit > 0 && count >= u64::from(command.filter.limit) {
        next = None;
    }
    if units.is_empty() {
        return Ok(Reply::Swept { count, next });
    }
    let names: Vec<_> = units.iter().map(|unit| unit.name.clone()).collect();
    if command.change == UnitChange::Delete {
        delete(work, &mut spec, &units)?;
        work.events.push(EventBody::UnitsDeleted(spec.name.clone(), names));
    } else {
        for unit in &mut units {
            change(work, &mut spec, unit, &command.change)?;
        }
        work.tx.put_all(&units)?;
        work.events.push(EventBody::UnitsChanged(spec.name.clone(), names));
    }
    work.put_spec(spec);
    Ok(Reply::Swept { count, next })
}

fn change(
    work: &mut Work<'_>,
    spec: &mut SpecRow,
    unit: &mut UnitRow,
    change: &UnitChange,
) -> Result<()> {
    match change {
        UnitChange::Priority(priority) => unit.meta.priority = *priority,
        UnitChange::Adjust(delta) => {
            unit.meta.priority += delta;
            add::check_priority(unit.meta.priority)?;
        }
        UnitChange::Meta(meta) => {
            unit.meta = *meta;
            if unit.active.is_none() {
                spec.move_unit(unit, add::idle_status(work.now, *meta));
            }
        }
        UnitChange::Again => attempt::release(work, spec, unit),
        UnitChange::Data(data) => add::replace_data(work, unit, data.clone())?,
        UnitChange::Delete => {}
    }
    Ok(())
}

fn delete(work: &mut Work<'_>, spec: &mut SpecRow, units: &[UnitRow]) -> Result<()> {
    let attempts = attempt_keys(work.tx, work.live, units)?;
    work.tx.remove(&tables::ATTEMPT, &attempts)?;
    let keys: Vec<_> =
        units.iter().map(|unit| UnitRow::key(work.live, spec.id, &unit.name)).collect();
    work.tx.remove(&tables::UNIT, &keys)?;
    for unit in units {
        let count = spec.counts.of_mut(unit.status);
        *count = count.saturating_sub(1);
    }
    Ok(())
}

/// Detaches a unit's active attempt whatever its state; the attempt itself is not changed.
pub(crate) fn clear_active(work: &mut Work<'_>, unit: &UnitRef) -> Result<Reply> {
    let (mut spec, mut unit) = work.unit(unit)?;
    if unit.active.is_some() {
        attempt::release(work, &mut spec, &mut unit);
        work.tx.put(&unit)?;
        work.events.push(EventBody::UnitsChanged(spec.name.clone(), vec![unit.name]));
        work.put_spec(spec);
    }
    Ok(Reply::Done)
}
