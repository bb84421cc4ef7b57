//! The pipeline that publishes, retracts and deletes: one run from the request to the answer.
//!
//! Everything that may be refused is done before the one transaction, everything that follows from
//! it after. A run whose caller or node is gone is finished by whoever finds it.

mod admit;
mod commit;
mod extension;
mod finish;
mod prepare;
mod stages;
mod trace;

use std::sync::Arc;

use flow::publish::RunRow;
use model::{Command, Committed, DefinitionCommand, Error, Reply, Result, Until, Write};

use crate::shared::Shared;

pub use extension::{CommitStage, Extensions, Order, PrepareStage, Proposal, SettleStage};
pub(crate) use finish::{everywhere, take_up};
pub(crate) use stages::Stages;
pub(crate) use trace::Trace;

use admit::Admitted;
use finish::Goal;

/// Does what a write asks for, whose commands are all runs of the pipeline.
pub(crate) async fn run(shared: &Arc<Shared>, write: &Write) -> Result<Committed> {
    let write = Arc::new(write.clone());
    let mut trace = Trace::new(Arc::clone(&shared.clock));
    let admitted = admit::admit(shared, &write, &mut trace).await?;
    let row = match admitted {
        Admitted::Opened(row) => row,
        Admitted::Recalled(committed) => return answer(shared, &write, committed).await,
    };
    let id = row.body.run.id;
    let changes = match prepare::prepare(shared, &write, &mut trace).await {
        Ok(changes) => changes,
        Err(error) => return Err(fail(shared, &write, row, trace, error).await),
    };
    match commit::commit(shared, &write, &row, changes, &trace).await {
        Ok(committed) => answer(shared, &write, committed).await,
        // Whether it was committed is written in the run itself, so it is never guessed.
        Err(error @ (Error::Unavailable(_) | Error::Internal(_))) => {
            match commit::recover(shared, &write, id).await {
                Ok(Some(committed)) => answer(shared, &write, committed).await,
                Ok(None) => Err(fail(shared, &write, row, trace, error).await),
                Err(_) => Err(error),
            }
        }
        Err(error) => Err(fail(shared, &write, row, trace, error).await),
    }
}

/// Gives the commands of a write that is a run.
fn commands(write: &Write) -> impl Iterator<Item = &DefinitionCommand> {
    write.commands.iter().filter_map(|command| match command {
        Command::Definition(command) => Some(command),
        Command::Queue(_)
        | Command::Admin(_)
        | Command::Instance(_)
        | Command::Mail(_)
        | Command::Blob(_)
        | Command::User(_)
        | Command::Secret(_) => None,
    })
}

/// Gives how far a run is to be before it is answered.
fn until(write: &Write) -> Until {
    let until = commands(write).filter_map(|command| Some(command.terms()?.until)).max();
    until.unwrap_or_default()
}

/// Takes note that a run has come to nothing; what went wrong is told in any case.
async fn fail(
    shared: &Arc<Shared>,
    write: &Write,
    row: Box<RunRow>,
    mut trace: Trace,
    error: Error,
) -> Error {
    trace.failed(&error);
    let (id, stages, why) = (row.body.run.id, trace.stages, error.to_string());
    let noted = super::job::change(shared, &write.namespace, move |work| {
        let Some(mut row) = RunRow::load(work, id)? else { return Ok(()) };
        if row.body.run.state == "preparing" {
            "failed".clone_into(&mut row.body.run.state);
            row.body.run.ended = Some(work.now);
            row.body.run.error = Some(why.clone());
            row.body.run.stages.clone_from(&stages);
            row.save(work)?;
        }
        Ok(())
    });
    if let Err(unnoted) = noted.await {
        tracing::warn!(run = id, error = %unnoted, "a run that failed could not be noted");
    }
    error
}

/// Waits until a committed run is as far as its caller wants, and answers.
async fn answer(
    shared: &Arc<Shared>,
    write: &Write,
    mut committed: Committed,
) -> Result<Committed> {
    let run = committed.replies.iter().find_map(|reply| match reply {
        Reply::Definition(published) if published.is_changed => Some(published.run),
        _ => None,
    });
    let Some(run) = run else { return Ok(committed) };
    let goal = Goal { namespace: write.namespace.clone(), run, until: until(write) };
    let state = finish::finish(shared, goal).await;
    for reply in &mut committed.replies {
        if let Reply::Definition(published) = reply
            && published.is_changed
        {
            published.state.clone_from(&state);
        }
    }
    Ok(committed)
}
