//! Workers, and how they get and end their work.

use model::{
    Answer, AttemptsOf, ChangeAttempts, Command, Committed, Error, Page, Query, QueueCommand,
    Reply, Result, UpdateWorker, WorkerName, Write,
};

use super::attempt;
use crate::{
    call::{Call, mismatch, take},
    listing::{Items, Listing, after_full},
    outcome::Outcome,
    urls,
    wire::{
        self, Attempt, AttemptRequest, Claimed, MakeAttempt, Named, PutWorker, SentData, Work,
        Worked,
    },
};

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let (namespace, params) = (call.namespace()?, call.params()?);
    let after = params.previous_text()?.map(WorkerName::new).transpose()?;
    let of = namespace.clone();
    let listing = Listing {
        key: "workers",
        page: Page { after, limit: params.limit()? },
        query: move |page| Query::Workers(of.clone(), page),
        write: move |answer, items: &mut Items| {
            let found = take!(answer, Answer::Workers)?;
            for worker in &found {
                let url = urls::worker(&namespace, &worker.name);
                items.push(&Named { url, name: worker.name.as_str() })?;
            }
            Ok(after_full(&found, |worker| worker.name.clone()))
        },
    };
    listing.answer(&call).await
}

/// Shows a worker; creates it first if the caller may, as the ancestor does.
pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (namespace, name) = (call.namespace()?, call.worker()?);
    let query = Query::Worker(namespace.clone(), name.clone());
    let read = match call.read(query.clone()).await {
        Err(absent @ (Error::NoSuchWorker(_) | Error::NoSuchNamespace(_))) => {
            let command = QueueCommand::CreateWorker { worker: name }.into();
            match call.write(namespace.clone(), vec![command]).await {
                Err(Error::Denied(_)) => return Err(absent),
                created => created?,
            };
            call.read(query).await?
        }
        read => read?,
    };
    let worker = take!(read.answer, Answer::Worker)?;
    Ok(Outcome::json(&wire::Worker::new(&namespace, &worker))?.tagged(read.as_of))
}

/// Sets the parent where one is given, and updates or deactivates the worker.
///
/// The ancestor's client sends `"active": false` with every field to deactivate a worker, and
/// the same with a parent to do no more than set the parent.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let worker = call.worker()?;
    let put: PutWorker = call.json()?;
    let mut commands: Vec<Command> = Vec::new();
    let has_parent = put.parent.is_some();
    if let Some(parent) = put.parent {
        let parent = (!parent.is_empty()).then(|| WorkerName::new(parent)).transpose()?;
        commands.push(QueueCommand::SetParent { worker: worker.clone(), parent }.into());
    }
    match put.active {
        Some(true) => {
            let update = UpdateWorker {
                worker,
                mode: put.mode.unwrap_or_default(),
                data: put.data.map(SentData::into_model).transpose()?.unwrap_or_default(),
                expiration: put.expiration.0,
                last_update: put.last_update.0,
            };
            commands.push(QueueCommand::UpdateWorker(update).into());
        }
        Some(false) if !has_parent => {
            commands.push(QueueCommand::DeactivateWorker { worker }.into());
        }
        _ if !has_parent => commands.push(QueueCommand::CreateWorker { worker }.into()),
        _ => {}
    }
    let committed = call.write(call.namespace()?, commands).await?;
    Ok(Outcome::done().at(committed.revision))
}

pub(crate) async fn request_attempts(call: Call) -> Result<Outcome> {
    let (namespace, worker) = (call.namespace()?, call.worker()?);
    let request: AttemptRequest = call.json()?;
    let wait = request.wait();
    let claim = QueueCommand::Claim(request.into_claim(worker)?);
    let request_id = call.request_id()?;
    let write = Write { request_id, wait, ..Write::one(&namespace, claim) };
    let committed = call.write_waiting(write).await?;
    let attempts = attempts(&committed)?;
    let work_spec_url = attempts.first().map(|first| urls::spec(&namespace, &first.spec));
    let attempts = attempts.iter().map(|attempt| Attempt::new(&namespace, attempt)).collect();
    Ok(Outcome::json(&Claimed { work_spec_url, attempts })?.at(committed.revision))
}

pub(crate) async fn make_attempt(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let made = call.json::<MakeAttempt>()?.into_model(call.worker()?)?;
    let command = QueueCommand::MakeAttempt(made).into();
    let committed = call.write(namespace.clone(), vec![command]).await?;
    let attempt = attempts(&committed)?.first().ok_or_else(mismatch)?;
    Ok(Outcome::json(&Attempt::new(&namespace, attempt))?.at(committed.revision))
}

/// Ends or renews attempts and claims the next ones, in one transaction; if there are none and
/// the worker waits, then only for the claim.
pub(crate) async fn work(call: Call) -> Result<Outcome> {
    let (namespace, worker) = (call.namespace()?, call.worker()?);
    let work: Work = call.json()?;
    attempt::check_batch(work.changes.len())?;
    let changes =
        work.changes.into_iter().map(wire::WorkChange::into_model).collect::<Result<Vec<_>>>()?;
    let wait = work.request.as_ref().map(AttemptRequest::wait).unwrap_or_default();
    let claim = work.request.map(|request| request.into_claim(worker)).transpose()?;
    let wanted = claim.is_some();
    let mut commands = vec![QueueCommand::ChangeAttempts(ChangeAttempts { changes }).into()];
    commands.extend(claim.clone().map(|claim| QueueCommand::Claim(claim).into()));
    let committed = call.write(namespace.clone(), commands).await?;
    let Some(Reply::Changed(results)) = committed.replies.first() else { return Err(mismatch()) };
    let results = results.iter().map(wire::Outcome::new).collect();
    let waited = match claim {
        Some(claim) if !wait.is_zero() && attempts(&committed)?.is_empty() => {
            let request_id = call.request_id_of(1)?;
            let write =
                Write { request_id, wait, ..Write::one(&namespace, QueueCommand::Claim(claim)) };
            match call.write_waiting(write).await {
                // The changes are made, so the worker must hear of them.
                Err(Error::Unavailable(_)) => None,
                waited => Some(waited?),
            }
        }
        _ => None,
    };
    let last = waited.as_ref().unwrap_or(&committed);
    let found = if wanted { attempts(last)? } else { &[] };
    let attempts = found.iter().map(|attempt| Attempt::new(&namespace, attempt)).collect();
    Ok(Outcome::json(&Worked { results, attempts })?.at(last.revision))
}

/// Takes the attempts from the last reply.
fn attempts(committed: &Committed) -> Result<&[model::Attempt]> {
    match committed.replies.last() {
        Some(Reply::Attempts(attempts)) => Ok(attempts),
        _ => Err(mismatch()),
    }
}

pub(crate) async fn active_attempts(call: Call) -> Result<Outcome> {
    attempts_of(call, AttemptsOf::WorkerActive).await
}

pub(crate) async fn all_attempts(call: Call) -> Result<Outcome> {
    attempts_of(call, AttemptsOf::WorkerAll).await
}

pub(crate) async fn child_attempts(call: Call) -> Result<Outcome> {
    attempts_of(call, AttemptsOf::WorkerChildren).await
}

async fn attempts_of(call: Call, of: fn(WorkerName) -> AttemptsOf) -> Result<Outcome> {
    let worker = call.worker()?;
    attempt::list(&call, of(worker)).await
}
