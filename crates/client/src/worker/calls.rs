//! What a worker says to the backend, each with an idempotency key and until it is answered.

use std::{future::Future, time::Duration};

use model::{
    Attempt, AttemptChange, Change, ChangeAttempts, Claim, Committed, Error, QueueCommand, Reply,
    Result, Write,
};
use tokio::time::{Instant, sleep, timeout};

use super::task::traceback;
use crate::{
    Lockstep,
    random::{self, Backoff},
    reply::{only, take, unexpected},
};

/// Growing delays while the backend cannot be reached.
pub(crate) const BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Makes a call again and again while the backend cannot be reached.
pub(crate) async fn until_answered<T, F>(mut call: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut backoff = BACKOFF;
    loop {
        match call().await {
            Err(
                error @ (Error::Unavailable(_)
                | Error::StorageFull(_)
                | Error::TooManyRequests { .. }),
            ) => {
                let delay = backoff.delay();
                tracing::warn!(%error, ?delay, "the backend does not take it now; trying again");
                sleep(delay).await;
            }
            answer => return answer,
        }
    }
}

/// Makes a write whose repetition has no second effect.
pub(crate) fn keyed(
    lockstep: &Lockstep,
    changes: Vec<AttemptChange>,
    claim: Option<Claim>,
    wait: Duration,
) -> Result<Write> {
    let changes = (!changes.is_empty()).then_some(ChangeAttempts { changes });
    let commands = changes.map(|changes| QueueCommand::ChangeAttempts(changes).into());
    let commands = commands.into_iter().chain(claim.map(|claim| QueueCommand::Claim(claim).into()));
    Ok(Write {
        request_id: Some(random::id()?),
        wait,
        ..Write::of(lockstep.namespace(), commands.collect())
    })
}

/// The outcome of reporting and claiming.
pub(crate) struct Exchanged {
    /// What became of each change.
    pub(crate) results: Vec<(AttemptChange, Result<()>)>,
    /// What was claimed; none if nothing was asked for.
    pub(crate) claim: Option<Result<Claimed>>,
}

/// The outcome of a claim.
#[derive(Default)]
pub(crate) struct Claimed {
    /// Whether the backend looked for work at all.
    pub(crate) looked: bool,
    /// The attempts.
    pub(crate) attempts: Vec<Attempt>,
    /// How long it took.
    pub(crate) took: Duration,
    /// Whether it was tried more than once, so that the attempts may have started long ago.
    pub(crate) repeated: bool,
}

/// Reports changes and claims work in one write.
///
/// Where that is refused as a whole, each change is reported by itself, so that one that is too
/// large does not hold up the others, and nothing is claimed.
pub(crate) async fn exchange(lockstep: Lockstep, write: Write) -> Exchanged {
    let (changes, claims) = parts(&write);
    let asked = Instant::now();
    let mut tries = 0;
    let answer = until_answered(|| {
        tries += 1;
        lockstep.backend().write(write.clone())
    })
    .await;
    match answer.and_then(|committed| replies(committed, changes.len(), claims)) {
        Ok((results, attempts)) => {
            let (took, repeated) = (asked.elapsed(), tries > 1);
            let claimed = Claimed { looked: true, attempts, took, repeated };
            let claim = claims.then_some(Ok(claimed));
            Exchanged { results: changes.into_iter().zip(results).collect(), claim }
        }
        Err(error) if changes.is_empty() => {
            Exchanged { results: Vec::new(), claim: Some(Err(error)) }
        }
        Err(error) => {
            tracing::warn!(%error, "results were refused together; reporting each by itself");
            let mut results = Vec::with_capacity(changes.len());
            for change in changes {
                let result = report(&lockstep, &change).await;
                results.push((change, result));
            }
            Exchanged { results, claim: claims.then(|| Ok(Claimed::default())) }
        }
    }
}

/// Takes the changes out of a write, and tells whether it claims.
fn parts(write: &Write) -> (Vec<AttemptChange>, bool) {
    let (mut changes, mut claims) = (Vec::new(), false);
    for command in &write.commands {
        match command {
            model::Command::Queue(QueueCommand::ChangeAttempts(all)) => {
                changes.extend(all.changes.iter().cloned());
            }
            _ => claims = true,
        }
    }
    (changes, claims)
}

type Replies = (Vec<Result<()>>, Vec<Attempt>);

fn replies(committed: Committed, changes: usize, claims: bool) -> Result<Replies> {
    let mut replies = committed.replies.into_iter();
    let mut next = || replies.next().ok_or_else(|| unexpected(&"no reply"));
    let results = match changes {
        0 => Vec::new(),
        _ => take!(next()?, Reply::Changed(results) => results)?,
    };
    if results.len() != changes {
        return Err(unexpected(&results));
    }
    let attempts = match claims {
        false => Vec::new(),
        true => take!(next()?, Reply::Attempts(attempts) => attempts)?,
    };
    Ok((results, attempts))
}

/// Reports one change. A result that the backend refuses fails its unit, so that it is not tried
/// again for ever.
async fn report(lockstep: &Lockstep, change: &AttemptChange) -> Result<()> {
    let refused = match report_once(lockstep, change).await {
        Err(error @ (Error::TooLarge { .. } | Error::BadInput(_) | Error::Internal(_))) => error,
        result => return result,
    };
    let data = Some(traceback(format!("the result was refused: {refused}")));
    let failed = AttemptChange { change: Change::Fail, data, ..change.clone() };
    report_once(lockstep, &failed).await?;
    Err(refused)
}

async fn report_once(lockstep: &Lockstep, change: &AttemptChange) -> Result<()> {
    let write = keyed(lockstep, vec![change.clone()], None, Duration::ZERO)?;
    let committed = until_answered(|| lockstep.backend().write(write.clone())).await?;
    let results = take!(only(committed)?, Reply::Changed(results) => results)?;
    results.into_iter().next().ok_or_else(|| unexpected(&"no outcome"))?
}

/// Renews leases, in one try: who is late asks again with those that are due by then.
pub(crate) async fn renew(
    lockstep: Lockstep,
    changes: Vec<AttemptChange>,
    max: Duration,
) -> Result<Vec<Result<()>>> {
    let count = changes.len();
    let write = keyed(&lockstep, changes, None, Duration::ZERO)?;
    let late = || Error::Unavailable(format!("no answer to a renewal within {max:?}"));
    let committed = timeout(max, lockstep.backend().write(write)).await.map_err(|_| late())??;
    replies(committed, count, false).map(|(results, _)| results)
}
