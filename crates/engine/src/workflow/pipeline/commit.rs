//! The one transaction of a run.

use std::{sync::Arc, time::Instant};

use flow::publish::{Change, Commit, RunRow, STEPS};
use model::{Committed, Error, EventBody, Id, Reply, Result, Stage, Write};
use queue::{Closed, Work};
use store::Tx;

use super::trace::{Trace, stage};
use crate::{
    audit, request,
    shared::Shared,
    workflow::job::{self, Changed},
};

/// What the transaction leaves.
struct Done {
    replies: Vec<Reply>,
    /// The idempotency key under which the answer is kept.
    key: Option<Kept>,
    /// The answer to the same request, which was faster.
    recalled: Option<Committed>,
}

#[derive(Clone)]
struct Kept {
    history: Id,
    id: String,
    digest: [u8; 32],
}

/// Commits all changes of a run, or none.
pub(crate) async fn commit(
    shared: &Arc<Shared>,
    write: &Arc<Write>,
    row: &RunRow,
    changes: Arc<[Change]>,
    trace: &Trace,
) -> Result<Committed> {
    let key = match &write.request_id {
        Some(id) => Some((id.clone(), request::digest(write, None)?)),
        None => None,
    };
    let (before, run) = (trace.stages.clone(), row.body.run.id);
    let (of, asked) = (Arc::clone(shared), Arc::clone(write));
    let rule = move |work: &mut Work<'_>| {
        let mut kept = None;
        if let Some((id, digest)) = &key {
            let history = work.history_id();
            if let Some(found) = request::recall(work.tx, history, id, digest)? {
                give_up(work, run)?;
                return Ok(Done { replies: Vec::new(), key: None, recalled: Some(found) });
            }
            kept = Some(Kept { history, id: id.clone(), digest: *digest });
        }
        let replies = apply(&of, work, run, &changes, &before)?;
        audit::note(work, &asked.caller, asked.commands.iter().zip(&replies))?;
        Ok(Done { replies, key: kept, recalled: None })
    };
    let changed = job::change_then(shared, &write.namespace, rule, keep).await?;
    let Changed { value, revision, events } = changed;
    Ok(match value.recalled {
        Some(committed) => committed,
        None => Committed { revision, replies: value.replies, events },
    })
}

/// Keeps the answer, in the same transaction.
fn keep(tx: &mut dyn Tx, done: &mut Done, closed: &Closed, now: model::Time) -> Result<()> {
    let Some(Kept { history, id, digest }) = &done.key else { return Ok(()) };
    let (revision, events) = (closed.revision, closed.events.clone());
    let committed = Committed { revision, replies: done.replies.clone(), events };
    request::keep(tx, *history, id, digest, now, &committed)
}

/// Ends a run whose request was answered by another one meanwhile.
fn give_up(work: &mut Work<'_>, run: Id) -> Result<()> {
    let Some(mut row) = RunRow::load(work, run)? else { return Ok(()) };
    "unchanged".clone_into(&mut row.body.run.state);
    row.body.run.ended = Some(work.now);
    row.body.run.error = Some("the same request was answered by another run".to_owned());
    row.save(work)
}

/// Goes through the steps, each with its time, and writes the run down with the last one.
fn apply(
    shared: &Shared,
    work: &mut Work<'_>,
    run: Id,
    changes: &Arc<[Change]>,
    before: &[Stage],
) -> Result<Vec<Reply>> {
    let row = RunRow::load(work, run)?.filter(|row| row.body.run.state == "preparing");
    let Some(mut row) = row else {
        return Err(Error::Unavailable(format!("run {run} took too long and was given up")));
    };
    let effects = shared.stages.extensions.ids("settle");
    let mut commit = Commit::new(Arc::clone(changes), run, effects);
    let mut stages = before.to_vec();
    for (name, step) in STEPS {
        if name == "flip-head" {
            extend(shared, work, changes, &mut stages)?;
        }
        let start = Instant::now();
        let detail = step(&mut commit, work)?;
        stages.push(stage(name, work.now, start.elapsed(), "ok", detail));
    }
    let is_changed = commit.is_changed();
    let state = if is_changed { "committed" } else { "unchanged" };
    let published = commit.published(state);
    row.definition = commit.first();
    row.body.revision = work.next_revision();
    row.body.running = if is_changed { commit.running() } else { Vec::new() };
    let shown = &mut row.body.run;
    shown.published.clone_from(&published);
    shown.definitions = changes.iter().map(|change| change.name.clone()).collect();
    state.clone_into(&mut shown.state);
    shown.epoch = Some(commit.epoch()).filter(|epoch| *epoch > 0);
    shown.ended = Some(work.now).filter(|_| !is_changed);
    shown.stages = stages;
    row.save(work)?;
    Ok(published.into_iter().map(Reply::Definition).collect())
}

fn extend(
    shared: &Shared,
    work: &mut Work<'_>,
    changes: &[Change],
    stages: &mut Vec<Stage>,
) -> Result<()> {
    let added = &shared.stages.extensions.commit;
    if added.is_empty() {
        let none = "there are none".to_owned();
        stages.push(stage("commit-extensions", work.now, Default::default(), "skipped", none));
    }
    for extension in added {
        let start = Instant::now();
        let detail = extension.run(work, changes)?;
        let name = format!("commit:{}", extension.id());
        stages.push(stage(&name, work.now, start.elapsed(), "ok", detail));
    }
    Ok(())
}

/// Finds out whether a run was committed whose commit was not answered; none says that it was not,
/// and never will be.
pub(crate) async fn recover(
    shared: &Arc<Shared>,
    write: &Arc<Write>,
    run: Id,
) -> Result<Option<Committed>> {
    let found = job::change(shared, &write.namespace, move |work| {
        let Some(mut row) = RunRow::load(work, run)? else { return Ok(None) };
        if row.body.run.state == "preparing" {
            // From here on the transaction, should it still be under way, finds the run given up.
            "failed".clone_into(&mut row.body.run.state);
            row.body.run.ended = Some(work.now);
            row.body.run.error = Some("its commit was not answered".to_owned());
            row.save(work)?;
            return Ok(None);
        }
        Ok(Some(row).filter(|row| !row.body.run.published.is_empty()))
    });
    let Some(row) = found.await?.value else { return Ok(None) };
    let changed = row.body.run.published.iter().filter(|one| one.is_changed);
    let events = vec![EventBody::DefinitionsChanged(changed.map(|one| one.name.clone()).collect())];
    // The cache was not told, since nobody knew whether there was anything to tell.
    let revision = row.body.revision;
    shared.tell(&write.namespace, revision, &events);
    let replies = row.body.run.published.into_iter().map(Reply::Definition).collect();
    Ok(Some(Committed { revision, replies, events }))
}
