//! Work specs: set, change, control, destroy.

use model::{Control, Counts, Data, Error, EventBody, Reply, Result, SpecMeta, SpecName, SpecRef};
use store::{TxExt as _, tables};

use crate::{
    Work,
    rows::{RubbleRow, SpecDataRow, SpecRow},
};

/// Creates or replaces the spec that the dictionary names; units and attempts stay.
pub(crate) fn set(work: &mut Work<'_>, data: &Data) -> Result<Reply> {
    let (name, meta) = SpecMeta::from_dict(&data.dict()?)?;
    let row = match work.find_spec(&name)? {
        Some(row) => SpecRow { meta, ..row },
        None => {
            let (namespace, id) = (work.live, work.next_id());
            SpecRow { namespace, name, id, meta, counts: Counts::default() }
        }
    };
    let id = row.id;
    put(work, row, data)?;
    Ok(Reply::Id(id))
}

/// Creates a spec unless there is one of that name, whatever that says.
pub fn ensure(work: &mut Work<'_>, name: &SpecName, data: &Data) -> Result<()> {
    if work.find_spec(name)?.is_none() {
        set(work, data)?;
    }
    Ok(())
}

/// Replaces the dictionary of an existing spec and derives its meta anew.
pub(crate) fn change(work: &mut Work<'_>, spec: &SpecRef, data: &Data) -> Result<Reply> {
    let row = work.spec(spec)?;
    let (name, meta) = SpecMeta::from_dict(&data.dict()?)?;
    if name != row.name {
        return Err(Error::ChangedName);
    }
    put(work, SpecRow { meta, ..row }, data)?;
    Ok(Reply::Done)
}

fn put(work: &mut Work<'_>, row: SpecRow, data: &Data) -> Result<()> {
    let (namespace, spec, data) = (row.namespace, row.id, data.clone());
    work.tx.put(&SpecDataRow { namespace, spec, data })?;
    put_changed(work, row);
    Ok(())
}

fn put_changed(work: &mut Work<'_>, row: SpecRow) {
    work.events.push(EventBody::SpecSet(row.name.clone()));
    work.put_spec(row);
}

/// Replaces the settable meta; `continuous` stays off where the dictionary does not allow it.
pub(crate) fn set_meta(work: &mut Work<'_>, spec: &SpecRef, meta: &SpecMeta) -> Result<Reply> {
    let row = work.spec(spec)?;
    if !meta.min_memory_gb.is_finite() {
        return Err(Error::bad_input("min_memory_gb must be a finite number"));
    }
    let old = row.meta;
    let meta = SpecMeta {
        continuous: meta.continuous && old.can_be_continuous,
        can_be_continuous: old.can_be_continuous,
        next_work_spec: old.next_work_spec,
        runtime: old.runtime,
        ..meta.clone()
    };
    put_changed(work, SpecRow { meta, ..row });
    Ok(Reply::Done)
}

/// Changes the given meta fields.
pub(crate) fn control(work: &mut Work<'_>, spec: &SpecRef, control: &Control) -> Result<Reply> {
    let mut row = work.spec(spec)?;
    let meta = &mut row.meta;
    if let Some(continuous) = control.continuous {
        meta.continuous = continuous && meta.can_be_continuous;
    }
    meta.paused = control.paused.unwrap_or(meta.paused);
    meta.priority = control.priority.unwrap_or(meta.priority);
    meta.weight = control.weight.unwrap_or(meta.weight);
    meta.interval = control.interval.unwrap_or(meta.interval);
    meta.max_running = control.max_running.unwrap_or(meta.max_running);
    put_changed(work, row);
    Ok(Reply::Done)
}

/// Removes a spec; its units and attempts are unreachable at once and swept away later.
pub(crate) fn destroy(work: &mut Work<'_>, spec: &SpecRef) -> Result<Reply> {
    let row = work.spec(spec)?;
    work.drop_spec(&row.name);
    work.tx.remove(&tables::SPEC, &[SpecRow::key(work.live, &row.name)])?;
    work.tx.remove(&tables::SPEC_DATA, &[SpecDataRow::key(work.live, row.id)])?;
    work.tx.put(&RubbleRow { namespace: work.live, spec: row.id })?;
    work.events.push(EventBody::SpecDestroyed(row.name));
    Ok(Reply::Done)
}
