//! Claiming: attempts on ready units for a worker.

use std::time::Duration;

use model::{
    Attempt, AttemptStatus, Claim, Data, Datum, Dict, Error, EventBody, MakeAttempt, Reply, Result,
    Time, UnitMeta, UnitName, UnitStatus, limits,
};
use store::{Range, TxExt as _, Value, tables};

use crate::{
    Ready, Work,
    choose::choose,
    rows::{AttemptRow, Names, SpecRow, UnitRow, WorkerRow},
    worker,
};

/// Rounds of choosing in one claim; each but the last has failed units that were tried too often.
const ROUNDS_MAX: usize = 100;

/// Takes ready units of one spec for a worker.
pub(crate) fn claim(work: &mut Work<'_>, claim: &Claim) -> Result<Reply> {
    let lifetime = lifetime(claim.lifetime)?;
    if claim.count as usize > limits::BATCH_MAX {
        let count = claim.count as usize;
        return Err(Error::too_large("units in one claim", count, limits::BATCH_MAX));
    }
    let worker = worker::find_or_create(work, &claim.worker)?;
    let mut spent = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let mut able = work.specs_of(claim)?;
        able.retain(|spec| spec.is_able(claim, work.now) && !spent.contains(&spec.id));
        let candidates: Vec<_> = able.iter().map(SpecRow::candidate).collect();
        let draw = work.draw();
        let chosen = choose(&candidates, draw).map(|position| able.swap_remove(position));
        let Some(spec) = chosen else { break };
        if spec.counts.available == 0 {
            // Making up a unit again at the same time would only try the same one again.
            spent.push(spec.id);
        }
        let attempts = take(work, spec, claim, &worker, work.now.plus(lifetime))?;
        if !attempts.is_empty() {
            return Ok(Reply::Attempts(attempts));
        }
    }
    Ok(Reply::Attempts(Vec::new()))
}

/// Gives the specs that will have work for a claim at a later time by themselves.
pub fn later(work: &mut Work<'_>, claim: &Claim) -> Result<Vec<Ready>> {
    let now = work.now;
    let ready = work.specs_of(claim)?.into_iter().filter_map(|spec| spec.ready(now));
    Ok(ready.filter(|ready| ready.at.is_some() && ready.suits(claim)).collect())
}

/// Reads a lifetime: absent and zero are the default.
fn lifetime(asked: Option<Duration>) -> Result<Duration> {
    match asked {
        None | Some(Duration::ZERO) => Ok(limits::LIFETIME_DEFAULT),
        Some(lifetime) => bounded("lifetime", lifetime),
    }
}

/// Refuses spans that are longer than any lease may be.
pub(crate) fn bounded(what: &str, span: Duration) -> Result<Duration> {
    let (seconds, most) = (span.as_secs(), limits::LIFETIME_MAX.as_secs());
    if span > limits::LIFETIME_MAX {
        let what = format!("{what} in seconds");
        return Err(Error::TooLarge { what, size: seconds, limit: most });
    }
    Ok(span)
}

/// Takes units of the chosen spec; units that were tried too often fail and are not returned.
fn take(
    work: &mut Work<'_>,
    mut spec: SpecRow,
    claim: &Claim,
    worker: &WorkerRow,
    expiration: Time,
) -> Result<Vec<Attempt>> {
    let mut units = if spec.counts.available > 0 {
        let ready = Range::prefix([Value::id(work.live), Value::id(spec.id)]);
        work.tx.find::<UnitRow>(tables::UNIT_READY, &ready, count(claim, &spec))?
    } else {
        vec![continuous_unit(work, &mut spec)?]
    };
    if units.is_empty() {
        return Err(Error::Internal(format!("spec {} counts units that it lacks", spec.name)));
    }
    let mut rows = Vec::with_capacity(units.len());
    let mut attempts = Vec::with_capacity(units.len());
    let mut claimed = Vec::with_capacity(units.len());
    for unit in &mut units {
        let mut row = start(work, &mut spec, unit, worker, expiration);
        claimed.push(unit.name.clone());
        if spec.meta.max_retries > 0 && unit.attempts > spec.meta.max_retries {
            fail_at_once(work, &mut spec, unit, &mut row)?;
        } else {
            attempts.push(view(&row, unit));
        }
        rows.push(row);
    }
    work.tx.put_all(&units)?;
    work.tx.add_all(&rows)?;
    work.events.push(EventBody::UnitsClaimed(spec.name.clone(), claimed));
    let failed = rows.into_iter().filter(|row| row.status == AttemptStatus::Failed);
    let failed = failed.map(|row| EventBody::UnitFailed(row.names.spec, row.names.unit, row.id));
    work.events.extend(failed);
    work.put_spec(spec);
    Ok(attempts)
}

/// Gives how many units a claim may take from a spec.
fn count(claim: &Claim, spec: &SpecRow) -> u32 {
    let mut count = u64::from(claim.count.max(1));
    if spec.meta.max_attempts_returned > 0 {
        count = count.min(spec.meta.max_attempts_returned);
    }
    if spec.meta.max_running > 0 {
        count = count.min(spec.meta.max_running.saturating_sub(spec.counts.pending));
    }
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Makes up the unit of a continuous spec, named after the time; one of that name is used again.
fn continuous_unit(work: &mut Work<'_>, spec: &mut SpecRow) -> Result<UnitRow> {
    let milliseconds = work.now.0.rem_euclid(1_000_000_000) / 1_000_000;
    let name = format!("{}.{milliseconds:03}", work.now.unix_seconds());
    let name = UnitName::new(name.into_bytes())?;
    spec.meta.next_continuous = Some(work.now.plus(spec.meta.interval));
    let key = UnitRow::key(work.live, spec.id, &name);
    if let Some(mut unit) = work.tx.get::<UnitRow>(key)? {
        unit.active = None;
        unit.meta = UnitMeta::default();
        spec.move_unit(&mut unit, UnitStatus::Available);
        return Ok(unit);
    }
    spec.counts.available += 1;
    Ok(UnitRow {
        namespace: work.live,
        spec: spec.id,
        name,
        id: work.next_id(),
        status: UnitStatus::Available,
        meta: UnitMeta::default(),
        data: Data::default(),
        active: None,
        attempts: 0,
        created: work.now,
    })
}

/// Starts an attempt, which becomes the unit's active one and counts at once.
fn start(
    work: &mut Work<'_>,
    spec: &mut SpecRow,
    unit: &mut UnitRow,
    worker: &WorkerRow,
    expiration: Time,
) -> AttemptRow {
    let id = work.next_id();
    unit.active = Some(id);
    unit.attempts += 1;
    spec.move_unit(unit, UnitStatus::Pending);
    AttemptRow {
        namespace: work.live,
        unit: unit.id,
        id,
        worker: worker.id,
        spec: spec.id,
        names: Names {
            spec: spec.name.clone(),
            unit: unit.name.clone(),
            worker: worker.name.clone(),
        },
        status: AttemptStatus::Pending,
        data: None,
        start: work.now,
        end: None,
        expiration,
    }
}

fn fail_at_once(
    work: &mut Work<'_>,
    spec: &mut SpecRow,
    unit: &mut UnitRow,
    attempt: &mut AttemptRow,
) -> Result<()> {
    let traceback = Datum::Text("too many retries".to_owned());
    attempt.data = Some(Data::from_dict(&Dict::from([("traceback".to_owned(), traceback)]))?);
    attempt.status = AttemptStatus::Failed;
    attempt.end = Some(work.now);
    spec.move_unit(unit, UnitStatus::Failed);
    Ok(())
}

/// Shows an attempt.
pub(crate) fn view(attempt: &AttemptRow, unit: &UnitRow) -> Attempt {
    Attempt {
        spec: attempt.names.spec.clone(),
        unit: attempt.names.unit.clone(),
        id: attempt.id,
        worker: attempt.names.worker.clone(),
        status: attempt.status,
        data: attempt.data.as_ref().unwrap_or(&unit.data).clone(),
        start: attempt.start,
        end: attempt.end,
        expiration: attempt.expiration,
        active: unit.active == Some(attempt.id),
    }
}

/// Starts an attempt on one unit whatever its state; an attempt that was active no longer is.
pub(crate) fn make_attempt(work: &mut Work<'_>, command: &MakeAttempt) -> Result<Reply> {
    let lifetime = lifetime(command.lifetime)?;
    let (mut spec, mut unit) = work.unit(&command.unit)?;
    let worker = worker::find_or_create(work, &command.worker)?;
    let expiration = work.now.plus(lifetime);
    let row = start(work, &mut spec, &mut unit, &worker, expiration);
    work.tx.put(&unit)?;
    work.tx.add(&row)?;
    work.events.push(EventBody::UnitsClaimed(spec.name.clone(), vec![unit.name.clone()]));
    work.put_spec(spec);
    Ok(Reply::Attempts(vec![view(&row, &unit)]))
}
