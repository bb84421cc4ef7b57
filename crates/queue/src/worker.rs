//! Workers: created by name, updated by themselves, with a parent that looks after them.

use model::{Data, Error, EventBody, Id, Reply, Result, UpdateWorker, WorkerName, limits};
use store::{Range, Tx, TxExt as _, Value, tables};

use crate::{Work, rows::WorkerRow};

/// How many parents a worker may have above it.
const ANCESTORS_MAX: usize = 32;

/// Gives a worker by name; merely naming one creates it.
pub(crate) fn find_or_create(work: &mut Work<'_>, name: &WorkerName) -> Result<WorkerRow> {
    if let Some(row) = work.tx.get(WorkerRow::key(work.live, name))? {
        return Ok(row);
    }
    let row = WorkerRow {
        namespace: work.live,
        name: name.clone(),
        id: work.next_id(),
        parent: None,
        active: true,
        mode: String::new(),
        data: Data::default(),
        expiration: work.now.plus(limits::LIFETIME_DEFAULT),
        last_update: work.now,
    };
    put(work, &row)?;
    Ok(row)
}

fn put(work: &mut Work<'_>, row: &WorkerRow) -> Result<()> {
    work.tx.put(row)?;
    work.events.push(EventBody::WorkerChanged(row.name.clone()));
    Ok(())
}

/// Creates a worker unless it exists.
pub(crate) fn create(work: &mut Work<'_>, name: &WorkerName) -> Result<Reply> {
    find_or_create(work, name).map(|row| Reply::Id(row.id))
}

/// Takes what a worker says of itself, which makes it active.
pub(crate) fn update(work: &mut Work<'_>, command: &UpdateWorker) -> Result<Reply> {
    let row = find_or_create(work, &command.worker)?;
    let row = WorkerRow {
        active: true,
        mode: command.mode.clone(),
        data: command.data.clone(),
        expiration: command.expiration.unwrap_or_else(|| work.now.plus(limits::LIFETIME_DEFAULT)),
        last_update: command.last_update.unwrap_or(work.now),
        ..row
    };
    put(work, &row)?;
    Ok(Reply::Done)
}

/// Makes a worker inactive; its attempts keep their leases.
pub(crate) fn deactivate(work: &mut Work<'_>, name: &WorkerName) -> Result<Reply> {
    let row = find_or_create(work, name)?;
    put(work, &WorkerRow { active: false, ..row })?;
    Ok(Reply::Done)
}

/// Sets or clears the parent of a worker.
pub(crate) fn set_parent(
    work: &mut Work<'_>,
    name: &WorkerName,
    parent: Option<&WorkerName>,
) -> Result<Reply> {
    let row = find_or_create(work, name)?;
    let parent = match parent {
        None => None,
        Some(parent) => {
            let parent = find_or_create(work, parent)?;
            check_ancestors(work, row.id, &parent)?;
            Some(parent)
        }
    };
    // The old and the new parent show other children now.
    let others = [row.parent, parent.as_ref().map(|parent| parent.id)];
    for id in others.into_iter().flatten() {
        if let Some(other) = by_id(work.tx, work.live, id)? {
            work.events.push(EventBody::WorkerChanged(other.name));
        }
    }
    put(work, &WorkerRow { parent: parent.map(|parent| parent.id), ..row })?;
    Ok(Reply::Done)
}

fn check_ancestors(work: &mut Work<'_>, child: Id, parent: &WorkerRow) -> Result<()> {
    let mut above = Some(parent.clone());
    for _ in 0..ANCESTORS_MAX {
        let Some(worker) = above else { return Ok(()) };
        if worker.id == child {
            return Err(Error::bad_input("a worker cannot stand above itself"));
        }
        above = match worker.parent {
            Some(id) => by_id(work.tx, work.live, id)?,
            None => None,
        };
    }
    Err(Error::too_large("workers above one worker", ANCESTORS_MAX + 1, ANCESTORS_MAX))
}

/// Gives a worker by incarnation.
pub(crate) fn by_id(tx: &mut dyn Tx, namespace: Id, id: Id) -> Result<Option<WorkerRow>> {
    let range = Range::prefix([Value::id(namespace), Value::id(id)]);
    Ok(tx.find(tables::WORKER_ID, &range, 1)?.into_iter().next())
}
