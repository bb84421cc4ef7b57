//! Work specs.

use std::time::Duration;

use model::{
    Answer, Control, Data, Datum, Dict, Error, Namespace, Page, Query, QueueCommand, Result, Spec,
    SpecName, SpecRef, limits,
};

use super::{methods::Call, value::Value};
use crate::call::take;

const RUNNABLE: i64 = 1;
const PAUSED: i64 = 2;
/// Specs in one answer unless the caller says another number.
const LIMIT_DEFAULT: u64 = 1_000;
/// Python 2 imports by names that are bytes.
const BYTES: [&str; 2] = ["module", "run_function"];

/// Sets a spec; bytes in it become text, so that its name may be either.
pub(crate) async fn set(mut call: Call) -> Result<Value> {
    let mut dict = call.args.data()?.dict()?;
    for value in dict.values_mut() {
        if let Datum::Bytes(bytes) = value
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            *value = Datum::Text(text.to_owned());
        }
    }
    call.command(QueueCommand::SetSpec { data: Data::from_dict(&dict)? }).await?;
    Ok(Value::bool(true))
}

/// Gives a spec, or null.
pub(crate) async fn get(mut call: Call) -> Result<Value> {
    let spec = call.args.spec();
    let found = match spec {
        Ok(spec) => find(&call, spec).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(spec) => shown(&spec),
        Err(Error::NoSuchWorkSpec(_)) => Ok(Value::NULL),
        Err(error) => Err(error),
    }
}

async fn find(call: &Call, spec: SpecRef) -> Result<Spec> {
    take!(call.read(Query::Spec(Namespace::empty(), spec)).await?, Answer::Spec)
}

fn shown(spec: &Spec) -> Result<Value> {
    let mut dict: Dict = spec.data.dict()?;
    for key in BYTES {
        if let Some(value) = dict.get_mut(key)
            && let Datum::Text(text) = value
        {
            *value = Datum::Bytes(std::mem::take(text).into_bytes());
        }
    }
    Ok(Value::Data(Data::from_dict(&dict)?))
}

pub(crate) async fn meta(mut call: Call) -> Result<Value> {
    let spec = call.args.spec()?;
    let meta = find(&call, spec).await?.meta;
    Ok(Value::map([
        ("status", Value::int(if meta.paused { PAUSED } else { RUNNABLE })),
        ("continuous", Value::bool(meta.continuous)),
        ("interval", Value::Plain(Datum::Float(meta.interval.as_secs_f64()))),
        ("max_running", Value::int(meta.max_running)),
        ("weight", Value::int(meta.weight)),
    ]))
}

pub(crate) async fn control(mut call: Call) -> Result<Value> {
    let spec = call.args.spec()?;
    let mut options = call.args.options()?;
    let paused = match options.int("status")? {
        None => None,
        Some(RUNNABLE) => Some(false),
        Some(PAUSED) => Some(true),
        Some(_) => return Err(Error::bad_input("invalid work spec status")),
    };
    let seconds = |span: f64| Duration::try_from_secs_f64(span.max(0.0)).unwrap_or(Duration::MAX);
    let control = Control {
        continuous: options.bool("continuous")?,
        paused,
        priority: None,
        weight: options.int("weight")?,
        interval: options.float("interval")?.map(seconds).map(|span| span.min(INTERVAL_MAX)),
        max_running: options.int("max_running")?.map(|most| u64::try_from(most).unwrap_or(0)),
    };
    call.command(QueueCommand::ControlSpec { spec, control }).await?;
    Ok(Value::bool(true))
}

/// A hundred years.
const INTERVAL_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Lists specs from the one that is asked for, and says with which one to go on.
pub(crate) async fn list(mut call: Call) -> Result<Value> {
    let mut options = call.args.options()?;
    let start = options.text("start")?.filter(|name| !name.is_empty()).map(SpecName::new);
    let most = options.count("limit")?.unwrap_or(LIMIT_DEFAULT);
    let mut specs = Vec::new();
    let mut after = start.transpose()?;
    if let Some(name) = &after {
        match find(&call, SpecRef { name: name.clone(), id: None }).await {
            Ok(spec) => specs.push(spec),
            Err(Error::NoSuchWorkSpec(_)) => {}
            Err(error) => return Err(error),
        }
    }
    // One more than wanted says where to go on.
    while specs.len() as u64 <= most {
        let left = (most + 1 - specs.len() as u64).min(u64::from(limits::PAGE_MAX)) as u32;
        let page = page(&call, after, left).await?;
        let ended = page.len() < left as usize;
        after = page.last().map(|spec| spec.name.clone());
        specs.extend(page);
        if ended {
            break;
        }
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let next = specs.get(most).map_or(Value::NULL, |spec| Value::text(spec.name.as_str()));
    let shown = specs.iter().take(most).map(shown).collect::<Result<_>>()?;
    Ok(Value::List(vec![Value::List(shown), next]))
}

async fn page(call: &Call, after: Option<SpecName>, limit: u32) -> Result<Vec<Spec>> {
    let query = Query::Specs(Namespace::empty(), Page { after, limit });
    take!(call.read(query).await?, Answer::Specs)
}

pub(crate) async fn delete(mut call: Call) -> Result<Value> {
    let spec = call.args.spec()?;
    call.command(QueueCommand::DestroySpec { spec }).await?;
    Ok(Value::bool(true))
}

/// Deletes all specs and gives their number; locks and workers stay.
pub(crate) async fn clear(call: Call) -> Result<Value> {
    let mut count = 0_u64;
    loop {
        let specs = page(&call, None, limits::PAGE_MAX).await?;
        if specs.is_empty() {
            return Ok(Value::int(count));
        }
        for Spec { name, id, .. } in specs {
            let spec = SpecRef { name, id: Some(id) };
            match call.command(QueueCommand::DestroySpec { spec }).await {
                Ok(_) => count += 1,
                // Somebody else was faster.
                Err(Error::Gone | Error::NoSuchWorkSpec(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
