//! What falls due: leases that end, delayed units whose time comes, workers that are dead.

use model::{AttemptStatus, EventBody, Id, Namespace, Result, Time, UnitStatus};
use store::{Range, Row, Tx, TxExt as _, Value, tables};

use crate::{
    Closed, Work, attempt, lock,
    rows::{AttemptRow, SpecRow, UnitRow, WorkerRow},
};

/// Gives the time at which something falls due next.
pub fn next_due(tx: &mut dyn Tx) -> Result<Option<Time>> {
    // A lease or a lock ends, and a worker is dead, only after its expiration; a delay is over at
    // its time.
    let sources = [
        (&tables::ATTEMPT, tables::ATTEMPT_DUE, 1),
        (&tables::UNIT, tables::UNIT_DUE, 0),
        (&tables::WORKER, tables::WORKER_DUE, 1),
        (&tables::LOCK, tables::LOCK_DUE, 1),
    ];
    let mut next: Option<i64> = None;
    for (table, index, after) in sources {
        if let Some(value) = tx.first(table, index)? {
            let due = value.as_int()?.saturating_add(after);
            next = Some(next.map_or(due, |next| next.min(due)));
        }
    }
    Ok(next.map(Time))
}

/// What one round of due work did.
#[derive(Debug, Default)]
pub struct Due {
    /// How many rows were looked at; fewer than the limit means that nothing is left.
    pub count: u32,
    /// How many leases ended.
    pub expired: u64,
    /// What happened in which namespace.
    pub closed: Vec<(Namespace, Closed)>,
}

/// Does what is due, up to `limit` rows of each kind.
pub fn run_due(tx: &mut dyn Tx, now: Time, limit: u32) -> Result<Due> {
    let before = Value::Int(now.0.saturating_sub(1));
    let mut due = Due::default();
    let attempts: Vec<AttemptRow> = take(tx, tables::ATTEMPT_DUE, before.clone(), limit)?;
    let units: Vec<UnitRow> = take(tx, tables::UNIT_DUE, Value::Int(now.0), limit)?;
    let workers: Vec<WorkerRow> = take(tx, tables::WORKER_DUE, before, limit)?;
    let locks = lock::run_out(tx, now, limit)?;
    due.count = [attempts.len(), units.len(), workers.len(), locks.len()]
        .into_iter()
        .max()
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(u32::MAX);
    let mut namespaces: Vec<Id> = Vec::new();
    namespaces.extend(attempts.iter().map(|row| row.namespace));
    namespaces.extend(units.iter().map(|row| row.namespace));
    namespaces.extend(workers.iter().map(|row| row.namespace));
    namespaces.extend(locks.iter().map(|row| row.namespace));
    namespaces.sort_unstable();
    namespaces.dedup();
    for live in namespaces {
        let attempts = attempts.iter().filter(|row| row.namespace == live);
        let units = units.iter().filter(|row| row.namespace == live);
        let workers = workers.iter().filter(|row| row.namespace == live);
        let Some(mut work) = Work::of(tx, live, now)? else {
            // The namespace is destroyed; its rows only wait to be swept away.
            remove(tx, attempts)?;
            remove(tx, units)?;
            remove(tx, workers)?;
            continue;
        };
        for row in attempts {
            due.expired += u64::from(expire(&mut work, row)?);
        }
        for row in units {
            undelay(&mut work, row)?;
        }
        for row in workers {
            work.tx.put(&WorkerRow { active: false, ..row.clone() })?;
            work.events.push(EventBody::WorkerChanged(row.name.clone()));
        }
        if locks.iter().any(|row| row.namespace == live) {
            work.events.push(EventBody::LocksChanged);
        }
        let name = work.name().clone();
        due.closed.push((name, work.close()?));
    }
    Ok(due)
}

fn take<R: Row>(tx: &mut dyn Tx, index: usize, upto: Value, limit: u32) -> Result<Vec<R>> {
    tx.find(index, &Range::default().upto(upto), limit)
}

fn remove<'r, R: Row + 'r>(tx: &mut dyn Tx, rows: impl Iterator<Item = &'r R>) -> Result<()> {
    let keys: Vec<_> = rows.map(|row| row.to_doc().key).collect();
    tx.remove(R::TABLE, &keys)
}

/// Ends a lease and gives the unit back if the attempt is its active one.
fn expire(work: &mut Work<'_>, row: &AttemptRow) -> Result<bool> {
    let names = &row.names;
    let Some(mut spec) = work.find_spec(&names.spec)?.filter(|spec| spec.id == row.spec) else {
        remove(work.tx, [row].into_iter())?;
        return Ok(false);
    };
    let (status, end) = (AttemptStatus::Expired, Some(work.now));
    work.tx.put(&AttemptRow { status, end, ..row.clone() })?;
    let unit: Option<UnitRow> = work.tx.get(UnitRow::key(work.live, spec.id, &names.unit))?;
    match unit.filter(|unit| unit.active == Some(row.id)) {
        Some(mut unit) => {
            attempt::release(work, &mut spec, &mut unit);
            work.tx.put(&unit)?;
            let event = EventBody::UnitReleased(spec.name.clone(), unit.name, row.id);
            work.events.push(event);
            work.put_spec(spec);
        }
        None => {
            let event = EventBody::UnitsChanged(spec.name, vec![names.unit.clone()]);
            work.events.push(event);
        }
    }
    Ok(true)
}

/// Makes a delayed unit ready.
fn undelay(work: &mut Work<'_>, row: &UnitRow) -> Result<()> {
    let range = Range::prefix([Value::id(work.live), Value::id(row.spec)]);
    let found: Vec<SpecRow> = work.tx.find(tables::SPEC_ID, &range, 1)?;
    let Some(spec) = found.into_iter().next() else {
        return remove(work.tx, [row].into_iter());
    };
    let Some(mut spec) = work.find_spec(&spec.name)? else { return Ok(()) };
    let mut unit = row.clone();
    spec.move_unit(&mut unit, UnitStatus::Available);
    work.tx.put(&unit)?;
    match work.events.last_mut() {
        Some(EventBody::UnitsReady(name, units)) if *name == spec.name => units.push(unit.name),
        _ => work.events.push(EventBody::UnitsReady(spec.name.clone(), vec![unit.name])),
    }
    work.put_spec(spec);
    Ok(())
}
