//! Work units.

use model::{
    Answer, Backend, Error, Namespace, Page, Query, QueueCommand, Reply, Result, Revision,
    SetUnits, SpecRef, UnitChange, UnitFilter, UnitName, Write, limits,
};

use crate::{
    call::{Call, take},
    listing::{Items, Listing},
    outcome::Outcome,
    trace, urls,
    wire::{AddUnits, Deleted, NamedUnit, NewUnit, PriorityChange, PutUnit, Unit, UnitList},
};

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let (namespace, spec) = (call.namespace()?, call.spec()?);
    let filter = call.params()?.filter()?;
    let spec_url = urls::spec(&namespace, &spec.name);
    let listing = Listing {
        key: "work_units",
        page: Page { after: filter.after.clone(), limit: filter.limit },
        query: move |page: Page<UnitName>| {
            let filter = UnitFilter { after: page.after, limit: page.limit, ..filter.clone() };
            Query::Units(namespace.clone(), spec.clone(), filter)
        },
        write: move |answer, items: &mut Items| {
            let Answer::Units(found, next) = answer else { return Err(crate::call::mismatch()) };
            for unit in &found {
                items.push(&NamedUnit::new(&spec_url, &unit.name))?;
            }
            Ok(next)
        },
    };
    listing.answer(&call).await
}

/// Adds one unit, or a batch as a whole.
pub(crate) async fn add(call: Call) -> Result<Outcome> {
    let (namespace, spec) = (call.namespace()?, call.spec()?);
    let mut added: AddUnits = call.json()?;
    let batch = added.work_units.take();
    let one = batch.is_none();
    let mut units = match batch {
        Some(batch) if batch.len() > limits::BATCH_MAX => {
            let size = batch.len();
            return Err(Error::too_large("the batch of work units", size, limits::BATCH_MAX));
        }
        Some(batch) => batch.into_iter().map(NewUnit::into_model).collect::<Result<Vec<_>>>()?,
        None => vec![added.into_one()?],
    };
    for unit in &mut units {
        trace::keep(trace::context(&call.head.headers), &mut unit.data)?;
    }
    let spec_url = urls::spec(&namespace, &spec.name);
    let work_units: Vec<_> =
        units.iter().map(|unit| NamedUnit::new(&spec_url, &unit.name)).collect();
    let command = QueueCommand::AddUnits(model::AddUnits { spec, units }).into();
    let committed = call.write(namespace, vec![command]).await?;
    let outcome = match work_units.first() {
        Some(unit) if one => Outcome::created(unit.url.clone(), unit)?,
        _ => Outcome::created(format!("{spec_url}/work_unit"), &UnitList { work_units })?,
    };
    Ok(outcome.at(committed.revision))
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let read = call.read(Query::Unit(namespace.clone(), call.unit()?)).await?;
    let unit = take!(read.answer, Answer::Unit)?;
    Ok(Outcome::json(&Unit::new(&namespace, &unit))?.tagged(read.as_of))
}

/// Detaches the active attempt where asked, then replaces the meta where given.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let (namespace, unit) = (call.namespace()?, call.unit()?);
    let put: PutUnit = call.json()?;
    let mut commands = Vec::new();
    if put.active_attempt_url.as_deref() == Some("-") {
        commands.push(QueueCommand::ClearActive { unit: unit.clone() }.into());
    }
    if let Some(meta) = put.meta {
        let change = UnitChange::Meta(meta.into_model());
        commands.push(set_one(unit.spec.clone(), unit.name.clone(), change).into());
    }
    if commands.is_empty() {
        call.read_unchecked(Query::Unit(namespace, unit)).await?;
        return Ok(Outcome::done());
    }
    let committed = call.write(namespace, commands).await?;
    match committed.replies.last() {
        Some(Reply::Swept { count: 0, .. }) => Err(absent(&unit.name)),
        _ => Ok(Outcome::done().at(committed.revision)),
    }
}

pub(crate) async fn delete(call: Call) -> Result<Outcome> {
    let unit = call.unit()?;
    let command = set_one(unit.spec, unit.name.clone(), UnitChange::Delete).into();
    let committed = call.write(call.namespace()?, vec![command]).await?;
    match committed.replies.first() {
        Some(Reply::Swept { count: 0, .. }) => Err(absent(&unit.name)),
        _ => Ok(Outcome::done().at(committed.revision)),
    }
}

fn set_one(spec: model::SpecName, name: UnitName, change: UnitChange) -> QueueCommand {
    let filter = UnitFilter { names: Some(vec![name]), ..UnitFilter::default() };
    QueueCommand::SetUnits(SetUnits { spec: SpecRef { name: spec, id: None }, filter, change })
}

fn absent(name: &UnitName) -> Error {
    Error::NoSuchWorkUnit(name.to_string())
}

pub(crate) async fn delete_all(call: Call) -> Result<Outcome> {
    let (deleted, revision) = sweep(&call, UnitChange::Delete).await?;
    Ok(Outcome::json(&Deleted { deleted })?.at(revision))
}

pub(crate) async fn set_priorities(call: Call) -> Result<Outcome> {
    change_priorities(call, UnitChange::Priority).await
}

pub(crate) async fn adjust_priorities(call: Call) -> Result<Outcome> {
    change_priorities(call, UnitChange::Adjust).await
}

async fn change_priorities(call: Call, change: fn(f64) -> UnitChange) -> Result<Outcome> {
    let Some(meta) = call.json::<PriorityChange>()?.meta else {
        call.read_unchecked(Query::Spec(call.namespace()?, call.spec()?)).await?;
        return Ok(Outcome::done());
    };
    let (_count, revision) = sweep(&call, change(meta.priority)).await?;
    Ok(Outcome::done().at(revision))
}

/// Changes all units that the query of the call selects, in as many writes as it takes.
async fn sweep(call: &Call, change: UnitChange) -> Result<(u64, Revision)> {
    let (namespace, spec) = (call.namespace()?, call.spec()?);
    let mut filter = call.params()?.filter()?;
    let wanted = u64::from(filter.limit);
    let (mut total, mut step) = (0, 0);
    loop {
        let swept = SetUnits { spec: spec.clone(), filter: filter.clone(), change: change.clone() };
        let (count, next, revision) = sweep_once(call, &namespace, swept, step).await?;
        total += count;
        let Some(next) = next.filter(|_| wanted == 0 || total < wanted) else {
            return Ok((total, revision));
        };
        filter.after = Some(next);
        if wanted > 0 {
            filter.limit = u32::try_from(wanted - total).unwrap_or(u32::MAX);
        }
        step += 1;
    }
}

async fn sweep_once(
    call: &Call,
    namespace: &Namespace,
    swept: SetUnits,
    step: usize,
) -> Result<(u64, Option<UnitName>, Revision)> {
    let write = Write {
        request_id: call.request_id_of(step)?,
        ..Write::one(namespace, QueueCommand::SetUnits(swept))
    };
    let committed = call.backend.write(write).await?;
    match committed.replies.into_iter().next() {
        Some(Reply::Swept { count, next }) => Ok((count, next, committed.revision)),
        _ => Err(crate::call::mismatch()),
    }
}
