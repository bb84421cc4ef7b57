//! Work units: adding, asking, counting, changing priorities, deleting.

use model::{
    AddUnits, Answer, AttemptStatus, Datum, Error, Namespace, NewUnit, Query, QueueCommand, Reply,
    Result, SetUnits, SpecRef, Unit, UnitChange, UnitFilter, UnitName, UnitStatus, limits,
};

use super::{
    args::{Options, key},
    methods::{Call, in_band},
    value::Value,
};
use crate::call::{mismatch, take};

/// Units in one answer unless the caller says another number.
const LIMIT_DEFAULT: u64 = 1_000;

/// Adds units as a whole: all of them are read before any is added.
pub(crate) async fn add(mut call: Call) -> Result<Value> {
    let spec = call.args.spec()?;
    let items = call.args.list("the work units")?;
    let units = items.iter().map(NewUnit::from_item).collect::<Result<Vec<_>>>()?;
    let mut commands = Vec::with_capacity(units.len().div_ceil(limits::BATCH_MAX));
    let mut rest = units.into_iter().peekable();
    while rest.peek().is_some() || commands.is_empty() {
        let units = rest.by_ref().take(limits::BATCH_MAX).collect();
        commands.push(QueueCommand::AddUnits(AddUnits { spec: spec.clone(), units }));
    }
    call.write(commands).await?;
    Ok(Value::bool(true))
}

/// Gives units with these keys, or else in these states, in the order of their keys.
pub(crate) async fn get(mut call: Call) -> Result<Value> {
    let spec = call.args.spec()?;
    let mut options = call.args.options()?;
    let mut found = Vec::new();
    if let Some(mut keys) = options.keys("work_unit_keys")? {
        keys.sort_unstable();
        keys.dedup();
        // Even a list of no keys finds out whether there is such a spec.
        let none = keys.is_empty().then_some(&[][..]);
        for names in keys.chunks(limits::PAGE_MAX as usize).chain(none) {
            let names = Some(names.to_vec());
            collect(&call, &spec, UnitFilter { names, ..UnitFilter::default() }, &mut found)
                .await?;
        }
    } else {
        let statuses = statuses(&mut options)?;
        let after = options.get("start").map(key).transpose()?;
        let limit = options.count("limit")?.unwrap_or(LIMIT_DEFAULT);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let filter = UnitFilter { names: None, statuses, after, limit };
        collect(&call, &spec, filter, &mut found).await?;
    }
    let shown = found
        .into_iter()
        .map(|unit| Value::Tuple(vec![Value::key(&unit.name), Value::Data(unit.data)]));
    Ok(Value::List(shown.collect()))
}

/// Reads pages until the caller has what it wants, or more than an answer can hold.
async fn collect(
    call: &Call,
    spec: &SpecRef,
    mut filter: UnitFilter,
    found: &mut Vec<Unit>,
) -> Result<()> {
    let wanted = filter.limit;
    let mut size = found.iter().map(|unit| unit.data.as_cbor().len()).sum::<usize>();
    let mut taken = 0_u32;
    loop {
        let query = Query::Units(Namespace::empty(), spec.clone(), filter.clone());
        let Answer::Units(units, next) = call.read(query).await? else { return Err(mismatch()) };
        taken = taken.saturating_add(u32::try_from(units.len()).unwrap_or(u32::MAX));
        size += units.iter().map(|unit| unit.data.as_cbor().len()).sum::<usize>();
        if size > limits::RPC_ANSWER_BYTES_MAX {
            let most = limits::RPC_ANSWER_BYTES_MAX;
            return Err(Error::too_large("data of the work units in bytes", size, most));
        }
        found.extend(units);
        let Some(next) = next.filter(|_| wanted == 0 || taken < wanted) else { return Ok(()) };
        filter.after = Some(next);
        filter.limit = if wanted == 0 { 0 } else { wanted - taken };
    }
}

/// Gives the number of a status on this interface, which knows no delay.
pub(crate) fn state(status: UnitStatus) -> i64 {
    match status {
        UnitStatus::Available | UnitStatus::Delayed => 1,
        UnitStatus::Pending => 3,
        UnitStatus::Finished => 4,
        UnitStatus::Failed => 5,
    }
}

/// Reads the states to look for: a number, or several; none is all.
fn statuses(options: &mut Options) -> Result<Option<Vec<UnitStatus>>> {
    let asked = match options.get("state") {
        None => return Ok(None),
        Some(Datum::List(items) | Datum::Tuple(items)) if items.is_empty() => return Ok(None),
        Some(Datum::List(items) | Datum::Tuple(items)) => items,
        Some(one) => vec![one],
    };
    let mut found = Vec::new();
    for one in asked {
        match one {
            Datum::Int(0) => return Ok(None),
            Datum::Int(1) => found.extend([UnitStatus::Available, UnitStatus::Delayed]),
            // Blocked units, of which there are none.
            Datum::Int(2) => {}
            Datum::Int(3) => found.push(UnitStatus::Pending),
            Datum::Int(4) => found.push(UnitStatus::Finished),
            Datum::Int(5) => found.push(UnitStatus::Failed),
            _ => return Err(Error::bad_input("invalid work unit status")),
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(Some(found))
}

/// Tells of each key what its unit is doing; null of one that there is not.
pub(crate) async fn status(mut call: Call) -> Result<Value> {
    let spec = call.args.spec()?;
    let keys = call.args.list("the work unit keys")?;
    let keys = keys.into_iter().map(key).collect::<Result<Vec<UnitName>>>()?;
    let mut units = Vec::new();
    let none = keys.is_empty().then_some(&[][..]);
    for names in keys.chunks(limits::PAGE_MAX as usize).chain(none) {
        let filter = UnitFilter { names: Some(names.to_vec()), ..UnitFilter::default() };
        collect(&call, &spec, filter, &mut units).await?;
    }
    units.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let told = keys.iter().map(|key| {
        let place = units.binary_search_by(|unit| unit.name.cmp(key)).ok()?;
        units.get(place)
    });
    told.map(|unit| unit.map_or(Ok(Value::NULL), told_of)).collect::<Result<_>>().map(Value::List)
}

fn told_of(unit: &Unit) -> Result<Value> {
    let mut pairs = vec![("status", Value::int(state(unit.status)))];
    if let Some(active) = &unit.active {
        pairs.push(("worker_id", Value::text(active.worker.as_str())));
        if active.status == AttemptStatus::Pending {
            pairs.push(("expiration", Value::int(active.expiration.unix_seconds())));
        }
        if active.status == AttemptStatus::Failed
            && let Some(traceback) = active.data.dict()?.remove("traceback")
        {
            pairs.push(("traceback", Value::Plain(traceback)));
        }
    }
    Ok(Value::map(pairs))
}

pub(crate) async fn count(mut call: Call) -> Result<Value> {
    let spec = call.args.spec()?;
    let spec = take!(call.read(Query::Spec(Namespace::empty(), spec)).await?, Answer::Spec)?;
    let counts = spec.counts;
    let states = [
        (UnitStatus::Available, counts.available + counts.delayed),
        (UnitStatus::Pending, counts.pending),
        (UnitStatus::Finished, counts.finished),
        (UnitStatus::Failed, counts.failed),
    ];
    let pair = |(status, count)| (Value::int(state(status)), Value::int(count));
    Ok(Value::Map(states.into_iter().filter(|(_, count)| *count > 0).map(pair).collect()))
}

/// Sets or adds to the priorities of units with these keys, and says in the pair if there are none.
pub(crate) async fn prioritize(mut call: Call) -> Result<Value> {
    let spec = call.args.spec();
    let options = call.args.options()?;
    if !options.has("work_unit_keys") {
        return Ok(Value::bool(false).pair(Some("missing work_unit_keys".to_owned())));
    }
    let done = match spec {
        Ok(spec) => set_priorities(&call, spec, options).await,
        Err(error) => Err(error),
    };
    in_band(Datum::Bool(false), done)
}

async fn set_priorities(call: &Call, spec: SpecRef, mut options: Options) -> Result<Value> {
    let priority = options.float("priority")?.map(UnitChange::Priority);
    let adjustment = options.float("adjustment")?.map(UnitChange::Adjust);
    let keys = options.keys("work_unit_keys")?.unwrap_or_default();
    // Even without anything to do it is told if there is no such spec.
    call.read(Query::Spec(Namespace::empty(), spec.clone())).await?;
    let Some(change) = priority.or(adjustment) else { return Ok(Value::bool(true)) };
    let commands = by_keys(&spec, &keys, None, change);
    if !commands.is_empty() {
        call.write(commands).await?;
    }
    Ok(Value::bool(true))
}

/// Makes the commands that change the units with these keys, whose number has no limit here.
fn by_keys(
    spec: &SpecRef,
    keys: &[UnitName],
    statuses: Option<&Vec<UnitStatus>>,
    change: UnitChange,
) -> Vec<QueueCommand> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    let command = |names: &[UnitName]| {
        let (names, statuses) = (Some(names.to_vec()), statuses.cloned());
        let filter = UnitFilter { names, statuses, ..UnitFilter::default() };
        let (spec, change) = (spec.clone(), change.clone());
        QueueCommand::SetUnits(SetUnits { spec, filter, change })
    };
    keys.chunks(limits::SWEEP_MAX as usize).map(command).collect()
}

/// Deletes all units, or those with these keys and in these states; without any of that, none.
pub(crate) async fn delete(mut call: Call) -> Result<Value> {
    let spec = call.args.spec()?;
    let mut options = call.args.options()?;
    let all = options.bool("all")?.unwrap_or(false);
    let keys = options.keys("work_unit_keys")?;
    let has_state = options.has("state");
    let statuses = statuses(&mut options)?;
    call.read(Query::Spec(Namespace::empty(), spec.clone())).await?;
    let everything = UnitFilter::default();
    let count = match keys {
        _ if all => sweep(&call, &spec, everything).await?,
        Some(keys) => {
            let commands = by_keys(&spec, &keys, statuses.as_ref(), UnitChange::Delete);
            let replies =
                if commands.is_empty() { Vec::new() } else { call.write(commands).await?.replies };
            let mut count = 0;
            for reply in replies {
                let Reply::Swept { count: some, .. } = reply else { return Err(mismatch()) };
                count += some;
            }
            count
        }
        None if has_state => sweep(&call, &spec, UnitFilter { statuses, ..everything }).await?,
        None => 0,
    };
    Ok(Value::int(count))
}

/// Deletes all that a filter selects, in as many writes as it takes.
async fn sweep(call: &Call, spec: &SpecRef, mut filter: UnitFilter) -> Result<u64> {
    let mut total = 0;
    loop {
        let (spec, change) = (spec.clone(), UnitChange::Delete);
        let set = SetUnits { spec, filter: filter.clone(), change };
        let reply = call.command(QueueCommand::SetUnits(set)).await?;
        let Reply::Swept { count, next } = reply else { return Err(mismatch()) };
        total += count;
        if next.is_none() {
            return Ok(total);
        }
        filter.after = next;
    }
}
