//! Instances of workflows.

use http::StatusCode;
use model::{
    Answer, Id, Instance, InstanceAnswer, InstanceCommand, InstanceControl, InstanceFilter,
    InstanceQuery, InstanceStatus, JournalEntry, Page, Query, Reply, Result, Start, TriggerControl,
};

use crate::{
    body,
    call::{Call, mismatch},
    outcome::Outcome,
    trace,
    wire::{InstanceList, Journal, Started},
};

/// Starts an instance of the published version.
pub(crate) async fn start(call: Call) -> Result<Outcome> {
    let mut start: Start = call.json()?;
    let context = trace::context(&call.head.headers).map(str::to_owned);
    start.traceparent = start.traceparent.or(context);
    let committed =
        call.write(call.namespace()?, vec![InstanceCommand::Start(start).into()]).await?;
    started(committed)
}

fn started(committed: model::Committed) -> Result<Outcome> {
    let Some(Reply::Id(instance)) = committed.replies.first() else { return Err(mismatch()) };
    let started = Started { instance: *instance };
    Ok(Outcome::json(&started)?.with_status(StatusCode::CREATED).at(committed.revision))
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let status = params.word("status")?.map(|word| status(&word)).transpose()?;
    let filter = InstanceFilter {
        definition: params.word("definition")?,
        status,
        after: params.previous_id()?,
        limit: params.limit()?,
        newest: params.flag("newest", false)?,
    };
    let query = Query::Instances(call.namespace()?, InstanceQuery::List(filter));
    let read = call.read(query).await?;
    let Answer::Instances(InstanceAnswer::Instances(instances)) = read.answer else {
        return Err(mismatch());
    };
    Ok(Outcome::json(&InstanceList { instances })?.tagged(read.as_of))
}

fn status(word: &str) -> Result<InstanceStatus> {
    let known = InstanceStatus::ALL;
    known.into_iter().find(|status| status.as_str() == word).ok_or_else(|| {
        let words: Vec<_> = known.iter().map(|status| status.as_str()).collect();
        model::Error::bad_input(format!("status {word:?} is none of {}", words.join(", ")))
    })
}

async fn ask(call: &Call, query: InstanceQuery) -> Result<(InstanceAnswer, u64)> {
    let read = call.read(Query::Instances(call.namespace()?, query)).await?;
    match read.answer {
        Answer::Instances(answer) => Ok((answer, read.as_of)),
        _ => Err(mismatch()),
    }
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (answer, as_of) = ask(&call, InstanceQuery::One(id(&call)?)).await?;
    let InstanceAnswer::Instance(instance) = answer else { return Err(mismatch()) };
    Ok(Outcome::json::<Instance>(&instance)?.tagged(as_of))
}

pub(crate) async fn journal(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let page = Page { after: params.previous_id()?, limit: params.limit()? };
    let (answer, as_of) = ask(&call, InstanceQuery::Journal(id(&call)?, page)).await?;
    let InstanceAnswer::Journal(journal) = answer else { return Err(mismatch()) };
    Ok(Outcome::json(&Journal::<JournalEntry> { journal })?.tagged(as_of))
}

/// Steers an instance; a restart gives the new one.
pub(crate) async fn control(call: Call) -> Result<Outcome> {
    let (instance, control) = (id(&call)?, body::parse_any::<InstanceControl>(&call.body)?);
    let command = InstanceCommand::Control { instance, control }.into();
    let committed = call.write(call.namespace()?, vec![command]).await?;
    match committed.replies.first() {
        Some(Reply::Id(_)) => started(committed),
        _ => {
            let started = Started { instance };
            Ok(Outcome::json(&started)?.at(committed.revision))
        }
    }
}

/// Steers a trigger.
pub(crate) async fn control_trigger(call: Call) -> Result<Outcome> {
    let (definition, trigger) = (call.part("{definition}")?, call.part("{trigger}")?);
    let control: TriggerControl = body::parse_any(&call.body)?;
    let command = InstanceCommand::ControlTrigger { definition, trigger, control }.into();
    let committed = call.write(call.namespace()?, vec![command]).await?;
    Ok(Outcome::done().at(committed.revision))
}

fn id(call: &Call) -> Result<Id> {
    let text = call.part("{instance}")?;
    text.parse().map_err(|_| model::Error::NoSuchInstance(text))
}
