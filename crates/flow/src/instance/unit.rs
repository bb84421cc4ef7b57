//! Steps as work units: what is added for a step, and what its end tells the instance.

use model::{
    AddUnits, Data, EventBody, Id, MailAccount, NewUnit, QueueCommand, Result, SetUnits, SpecName,
    SpecRef, TRACEPARENT, UnitChange, UnitFilter, UnitMeta, UnitName, data_from_json, data_to_json,
};
use queue::Work;
use serde_json::{Value as Json, json};
use store::{TxExt as _, tables};

use super::{message, rows::InstanceRow, trace};
use crate::{
    rows::{body, json},
    run::{Builtin, Fault, Message, Standard, StepResult, Target, UnitPlan, is_sealed},
    timer::{TimerKind, TimerRow},
};

/// What the names of units begin with that are steps of instances.
const PREFIX: &[u8] = b"flow/";

/// Gives the name of the work spec for what the server does itself.
pub fn builtin_spec(builtin: Builtin) -> &'static str {
    match builtin {
        Builtin::Http => "lockstep.http",
        Builtin::OpenApi => "lockstep.openapi",
        Builtin::Script => "lockstep.script",
        Builtin::Shell => "lockstep.shell",
        // Each account has one of its own, in which its rounds are as well.
        Builtin::Mail => "lockstep.mail",
    }
}

/// What the names of the work specs begin with whose units the server does itself.
const BUILTIN_PREFIX: &str = "lockstep.";

/// The runtime of the work specs for what the server does itself.
pub const BUILTIN_RUNTIME: &str = "lockstep";

/// Gives the name of the unit for a step.
fn name_of(instance: Id, step: &str) -> Result<UnitName> {
    UnitName::new(format!("flow/{instance}/{step}").into_bytes())
}

/// Gives the instance and step that a unit is for, if its name says that it is for one.
fn step_of(name: &UnitName) -> Option<(Id, &str)> {
    let rest = name.as_bytes().strip_prefix(PREFIX)?;
    let (instance, step) = std::str::from_utf8(rest).ok()?.split_once('/')?;
    Some((instance.parse().ok()?, step))
}

/// Adds the unit for a step. What cannot be added fails the step and nothing else.
pub(super) fn add(work: &mut Work<'_>, row: &InstanceRow, plan: &UnitPlan) -> Result<()> {
    match try_add(work, row, plan) {
        Ok(_) if plan.detached => Ok(()),
        Ok(spec) => work.tx.put(&TimerRow {
            namespace: work.live(),
            kind: TimerKind::Unit,
            owner: row.id,
            name: plan.step.clone(),
            due: None,
            body: body(&spec),
        }),
        Err(error) if error.code().status >= 500 => Err(error),
        Err(error) => {
            let fault = Fault::standard(Standard::Configuration, error.to_string());
            fail(work, row.id, &plan.step, fault)
        }
    }
}

fn fail(work: &mut Work<'_>, instance: Id, step: &str, fault: Fault) -> Result<()> {
    let result = StepResult::Fault(fault);
    message::tell(work, instance, Message::UnitDone { step: step.to_owned(), result }, None)
}

fn try_add(work: &mut Work<'_>, row: &InstanceRow, plan: &UnitPlan) -> Result<String> {
    let (spec, meta) = match &plan.target {
        Target::Work { spec, priority, not_before, .. } => {
            let priority = priority.unwrap_or_default();
            (spec.clone(), UnitMeta { priority, not_before: *not_before })
        }
        Target::Builtin(Builtin::Mail) => (mail_spec(work, &plan.input)?, UnitMeta::default()),
        Target::Builtin(builtin) => {
            let spec = builtin_spec(*builtin);
            let data = data_from_json(&json!({
                "name": spec, "runtime": BUILTIN_RUNTIME,
                "desc": "Steps of workflows that the server does itself.",
            }))?;
            queue::ensure_spec(work, &SpecName::new(spec)?, &data)?;
            (spec.to_owned(), UnitMeta::default())
        }
    };
    let name = name_of(row.id, &plan.step)?;
    let unit = NewUnit { name, data: data_of(work, row, plan)?, meta, delay: None };
    let spec_ref = SpecRef { name: SpecName::new(spec.as_str())?, id: None };
    let add = AddUnits { spec: spec_ref, units: vec![unit] };
    queue::apply(work, &QueueCommand::AddUnits(add))?;
    Ok(spec)
}

/// Gives the spec of an account, so that no round is made while a step changes its mail.
fn mail_spec(work: &mut Work<'_>, input: &Json) -> Result<String> {
    let account = input.get("account").and_then(Json::as_str).unwrap_or_default();
    crate::mail::check(work, account)?;
    Ok(MailAccount::spec_of(account)?.to_string())
}

/// Gives what the worker of a step is told: the input, and beside it what a receiver can tell a
/// repetition by, or the trace that the instance belongs to.
fn data_of(work: &Work<'_>, row: &InstanceRow, plan: &UnitPlan) -> Result<Data> {
    let trace = trace::of(work, row);
    let mut input = match &plan.input {
        Json::Object(map) => map.clone(),
        Json::Null => serde_json::Map::new(),
        other => serde_json::Map::from_iter([("input".to_owned(), other.clone())]),
    };
    if matches!(plan.target, Target::Builtin(_)) {
        let mut about = json!({"idempotencyKey": plan.idempotency_key, "deadline": plan.deadline});
        if let (Some(about), true) = (about.as_object_mut(), is_sealed(&plan.input)) {
            about.insert("seal".to_owned(), format!("{:016x}", row.body.seal).into());
        }
        if let (Some(about), Some(trace)) = (about.as_object_mut(), trace) {
            about.insert(TRACEPARENT.to_owned(), trace.into());
        }
        input.insert("lockstep".to_owned(), about);
    } else if let Some(trace) = trace {
        input.entry(TRACEPARENT).or_insert_with(|| trace.into());
    }
    data_from_json(&Json::Object(input))
}

/// Takes the unit of a step back, unless it has ended.
pub(super) fn cancel(work: &mut Work<'_>, instance: Id, step: &str) -> Result<()> {
    let Some(waited) = waited(work, instance, step)? else { return Ok(()) };
    work.tx.remove(&tables::TIMER, &[waited.own_key()])?;
    let spec: String = json("timer", &waited.body)?;
    let spec = SpecRef { name: SpecName::new(spec)?, id: None };
    let names = Some(vec![name_of(instance, step)?]);
    let filter = UnitFilter { names, ..UnitFilter::default() };
    let delete = SetUnits { spec, filter, change: UnitChange::Delete };
    match queue::apply(work, &QueueCommand::SetUnits(delete)) {
        // Its spec may have been destroyed, and the unit with it.
        Ok(_) | Err(model::Error::NoSuchWorkSpec(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives the note of a unit that an instance waits for, with the name of its spec.
fn waited(work: &mut Work<'_>, instance: Id, step: &str) -> Result<Option<TimerRow>> {
    work.tx.get(TimerRow::key(work.live(), TimerKind::Unit, instance, step))
}

/// Tells instances of the units of theirs that ended in this write.
pub fn units_ended(work: &mut Work<'_>) -> Result<()> {
    let ended: Vec<(SpecName, UnitName, Id, bool)> = work
        .events
        .iter()
        .filter_map(|event| match event {
            EventBody::UnitFinished(spec, unit, attempt) => Some((spec, unit, *attempt, true)),
            EventBody::UnitFailed(spec, unit, attempt) => Some((spec, unit, *attempt, false)),
            _ => None,
        })
        .filter(|(_, unit, ..)| unit.as_bytes().starts_with(PREFIX))
        .map(|(spec, unit, attempt, is_good)| (spec.clone(), unit.clone(), attempt, is_good))
        .collect();
    for (spec, unit, attempt, is_good) in ended {
        let Some((instance, step)) = step_of(&unit) else { continue };
        // The instance itself may be large, and is not looked at.
        let Some(waited) = waited(work, instance, step)? else { continue };
        if json::<String>("timer", &waited.body)? != spec.as_str() {
            continue;
        }
        work.tx.remove(&tables::TIMER, &[waited.own_key()])?;
        let data = queue::data_of_attempt(work, &spec, &unit, attempt)?;
        let json = data_to_json(&data);
        let result = if is_good {
            StepResult::Output(output(&spec, json))
        } else {
            StepResult::Fault(fault(&json))
        };
        message::tell(work, instance, Message::UnitDone { step: step.to_owned(), result }, None)?;
    }
    Ok(())
}

/// Gives what a step gave: the data of its unit, or what the server itself put below `output`, as
/// the data of a unit is always a mapping.
fn output(spec: &SpecName, data: Json) -> Json {
    match data {
        Json::Object(mut map) if spec.as_str().starts_with(BUILTIN_PREFIX) => {
            map.remove("output").unwrap_or_default()
        }
        data => data,
    }
}

/// Reads the error of a unit that failed: the one that its worker gave below `error`, or one made
/// of its last words.
fn fault(data: &Json) -> Fault {
    if let Some(error) = data.get("error")
        && let Ok(fault) = serde_json::from_value(error.clone())
    {
        return fault;
    }
    let words =
        ["traceback", "error", "stderr"].into_iter().find_map(|key| data.get(key)?.as_str());
    Fault::standard(Standard::Runtime, words.unwrap_or("the worker gave no reason"))
}
