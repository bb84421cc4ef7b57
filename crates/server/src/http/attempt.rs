//! Attempts.

use model::{
    Answer, AttemptRef, AttemptsOf, ChangeAttempts, Error, Page, Query, QueueCommand, Reply,
    Result, Time, limits,
};

use crate::{
    call::{Call, mismatch, take},
    listing::{Items, Listing, after_full},
    outcome::Outcome,
    wire::{Attempt, AttemptShort, attempt_change},
};

/// Lists attempts; `previous` is the id of an attempt.
pub(crate) async fn list(call: &Call, of: AttemptsOf) -> Result<Outcome> {
    let (namespace, params) = (call.namespace()?, call.params()?);
    let queried = namespace.clone();
    let listing = Listing {
        key: "attempts",
        page: Page { after: params.previous_id()?, limit: params.limit()? },
        query: move |page| Query::Attempts(queried.clone(), of.clone(), page),
        write: move |answer, items: &mut Items| {
            let found = take!(answer, Answer::Attempts)?;
            for attempt in &found {
                items.push(&AttemptShort::new(&namespace, attempt))?;
            }
            Ok(after_full(&found, |attempt| attempt.id))
        },
    };
    listing.answer(call).await
}

pub(crate) async fn of_unit(call: Call) -> Result<Outcome> {
    let unit = call.unit()?;
    list(&call, AttemptsOf::Unit(unit)).await
}

pub(crate) async fn count_of_unit(call: Call) -> Result<Outcome> {
    let read = call.read(Query::Unit(call.namespace()?, call.unit()?)).await?;
    let unit = take!(read.answer, Answer::Unit)?;
    Ok(Outcome::json(&unit.attempts)?.tagged(read.as_of))
}

/// Finds the attempt that the path names. Its id says which; the worker before it is for people.
async fn named(call: &Call) -> Result<AttemptRef> {
    let (unit, last, worker) = (call.unit()?, call.attempt()?, call.worker()?);
    let id = match last.parse() {
        Ok(id) => id,
        Err(_) => {
            let second =
                Time::parse(&last).map_err(|_| Error::NoSuchAttempt(last.clone()))?.unix_seconds();
            newest(call, &worker, second).await?.ok_or(Error::NoSuchAttempt(last))?
        }
    };
    Ok(AttemptRef { spec: unit.spec, unit: unit.name, id })
}

/// Finds the newest attempt of a worker that started within a second, as the ancestor's URLs
/// name attempts.
async fn newest(call: &Call, worker: &model::WorkerName, second: i64) -> Result<Option<u64>> {
    let (namespace, of) = (call.namespace()?, AttemptsOf::Unit(call.unit()?));
    let mut page = Page::default();
    let mut found = None;
    loop {
        let query = Query::Attempts(namespace.clone(), of.clone(), page.clone());
        let attempts = take!(call.read_unchecked(query).await?.answer, Answer::Attempts)?;
        let matches = |attempt: &&model::Attempt| {
            attempt.worker == *worker && attempt.start.unix_seconds() == second
        };
        found = attempts.iter().rev().find(matches).map(|attempt| attempt.id).or(found);
        page.after = after_full(&attempts, |attempt| attempt.id);
        if page.after.is_none() {
            return Ok(found);
        }
    }
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (namespace, attempt) = (call.namespace()?, named(&call).await?);
    let read = call.read(Query::Attempt(namespace.clone(), attempt)).await?;
    let attempt = take!(read.answer, Answer::Attempt)?;
    Ok(Outcome::json(&Attempt::new(&namespace, &attempt))?.tagged(read.as_of))
}

/// Renews or ends an attempt, as the last part of the route says.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let completion = call.json()?;
    let attempt = named(&call).await?;
    let word = call.route.path.rsplit('/').next().unwrap_or_default();
    let changes = vec![attempt_change(word, attempt, completion)?];
    let command = QueueCommand::ChangeAttempts(ChangeAttempts { changes }).into();
    let committed = call.write(call.namespace()?, vec![command]).await?;
    match committed.replies.into_iter().next() {
        Some(Reply::Changed(results)) => results.into_iter().next().ok_or_else(mismatch)??,
        _ => return Err(mismatch()),
    }
    Ok(Outcome::done().at(committed.revision))
}

/// Refuses more changes than one write may have.
pub(crate) fn check_batch(size: usize) -> Result<()> {
    if size > limits::BATCH_MAX {
        return Err(Error::too_large("the batch of changes", size, limits::BATCH_MAX));
    }
    Ok(())
}
