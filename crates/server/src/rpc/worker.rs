//! Workers.

use std::{collections::BTreeMap, time::Duration};

use model::{
    Answer, Attempt, AttemptsOf, Datum, Error, Namespace, Page, Query, QueueCommand, Result, Unit,
    UnitRef, UpdateWorker, Worker, WorkerName, limits,
};

use super::{methods::Call, value::Value};
use crate::call::take;

/// Takes what a worker says of itself, and who its parent is; without one it has none.
pub(crate) async fn heartbeat(mut call: Call) -> Result<Value> {
    let worker = call.args.worker()?;
    let mode = call.args.text("the mode")?;
    let seconds = call.args.seconds("expire_seconds")?;
    let data = call.args.data()?;
    let parent = call.args.text("the parent")?;
    let span = u64::try_from(seconds).map_or(Duration::ZERO, Duration::from_secs);
    let now = call.rpc.clock().now();
    let expiration = Some(now.plus(span.min(limits::LIFETIME_MAX)));
    let parent = Some(parent).filter(|parent| !parent.is_empty());
    let parent = parent.map(WorkerName::new).transpose()?;
    let update =
        UpdateWorker { worker: worker.clone(), mode, data, expiration, last_update: Some(now) };
    let set_parent = QueueCommand::SetParent { worker, parent };
    call.write([QueueCommand::UpdateWorker(update), set_parent]).await?;
    Ok(Value::bool(true))
}

pub(crate) async fn unregister(mut call: Call) -> Result<Value> {
    let worker = call.args.worker()?;
    call.command(QueueCommand::DeactivateWorker { worker }).await?;
    Ok(Value::bool(true))
}

/// Calls back with every worker that lives.
async fn each(call: &Call, mut see: impl FnMut(&Worker)) -> Result<()> {
    let mut after = None;
    loop {
        let query = Query::Workers(Namespace::empty(), Page { after, limit: limits::PAGE_MAX });
        let workers = take!(call.read(query).await?, Answer::Workers)?;
        workers.iter().filter(|worker| worker.active).for_each(&mut see);
        if workers.len() < limits::PAGE_MAX as usize {
            return Ok(());
        }
        after = workers.last().map(|worker| worker.name.clone());
    }
}

pub(crate) async fn modes(call: Call) -> Result<Value> {
    let mut modes = Vec::new();
    each(&call, |worker| {
        modes.push((Value::text(worker.name.as_str()), Value::text(worker.mode.as_str())));
    })
    .await?;
    Ok(Value::Map(modes))
}

pub(crate) async fn mode_counts(call: Call) -> Result<Value> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    each(&call, |worker| *counts.entry(worker.mode.clone()).or_default() += 1).await?;
    let pair = |(mode, count): (String, u64)| (Value::text(mode), Value::int(count));
    Ok(Value::Map(counts.into_iter().map(pair).collect()))
}

pub(crate) async fn stats(call: Call) -> Result<Value> {
    let (mut workers, mut children) = (0_u64, 0_u64);
    each(&call, |worker| {
        workers += 1;
        children += u64::from(worker.parent.is_some());
    })
    .await?;
    Ok(Value::map([
        ("num_workers", Value::int(workers)),
        ("num_children", Value::int(children)),
        // Every worker that lives would be dead some time after its last word.
        ("num_expirable", Value::int(workers)),
    ]))
}

/// Gives what a worker said of itself and how long ago, or null.
pub(crate) async fn info(mut call: Call) -> Result<Value> {
    let name = call.args.worker()?;
    let Some(worker) = find(&call, name).await? else { return Ok(Value::NULL) };
    let age = call.rpc.clock().now().since(worker.last_update).as_secs_f64();
    let mut dict = worker.data.dict()?;
    dict.insert("age_seconds".to_owned(), Datum::Float(age));
    let pairs = dict.into_iter().map(|(key, value)| (Value::text(key), Value::Plain(value)));
    Ok(Value::Map(pairs.collect()))
}

async fn find(call: &Call, name: WorkerName) -> Result<Option<Worker>> {
    match call.read(Query::Worker(Namespace::empty(), name)).await {
        Ok(answer) => take!(answer, Answer::Worker).map(Some),
        Err(Error::NoSuchWorker(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives the units that a worker's children work on, with whoever has them now.
pub(crate) async fn child_units(mut call: Call) -> Result<Value> {
    let name = call.args.worker()?;
    let Some(parent) = find(&call, name).await? else { return Ok(Value::Map(Vec::new())) };
    let mut units: BTreeMap<WorkerName, Vec<Value>> =
        parent.children.iter().map(|child| (child.clone(), Vec::new())).collect();
    let mut after = None;
    loop {
        let of = AttemptsOf::WorkerChildren(parent.name.clone());
        let page = Page { after, limit: limits::PAGE_MAX };
        let query = Query::Attempts(Namespace::empty(), of, page);
        let attempts = take!(call.read(query).await?, Answer::Attempts)?;
        for attempt in &attempts {
            let shown = shown(&call, attempt).await?;
            if let Some(list) = units.get_mut(&attempt.worker) {
                list.extend(shown);
            }
        }
        if attempts.len() < limits::PAGE_MAX as usize {
            break;
        }
        after = attempts.last().map(|attempt| attempt.id);
    }
    let pair = |(child, units): (WorkerName, _)| (Value::text(child.as_str()), Value::List(units));
    Ok(Value::Map(units.into_iter().map(pair).collect()))
}

/// Shows the active attempt of an attempt's unit, which may be another one.
async fn shown(call: &Call, attempt: &Attempt) -> Result<Option<Value>> {
    if attempt.active {
        return Ok(Some(record(attempt)));
    }
    let unit = UnitRef { spec: attempt.spec.clone(), name: attempt.unit.clone(), id: None };
    match call.read(Query::Unit(Namespace::empty(), unit)).await {
        Ok(Answer::Unit(Unit { active, .. })) => Ok(active.as_ref().map(record)),
        Ok(_) => Err(crate::call::mismatch()),
        Err(Error::NoSuchWorkUnit(_) | Error::NoSuchWorkSpec(_) | Error::Gone) => Ok(None),
        Err(error) => Err(error),
    }
}

fn record(attempt: &Attempt) -> Value {
    Value::map([
        ("work_spec_name", Value::text(attempt.spec.as_str())),
        ("work_unit_key", Value::key(&attempt.unit)),
        ("work_unit_data", Value::Data(attempt.data.clone())),
        ("worker_id", Value::text(attempt.worker.as_str())),
        ("expires", Value::int(attempt.expiration.unix_seconds())),
    ])
}
