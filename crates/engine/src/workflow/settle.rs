//! Settling: what a change wants elsewhere, made true as often as it takes.

use std::sync::Arc;

use flow::publish::{self, RunRow};
use model::{
    Answer, Command, Definition, Error, Id, InstanceAnswer, InstanceCommand, InstanceControl,
    InstanceFilter, InstanceQuery, InstanceStatus, Namespace, Query, Result, Running, Write,
};

use super::{job, pipeline::Trace};
use crate::{
    engine::stopped,
    read::{Ask, ask},
    shared::Shared,
    write::WriteJob,
};

/// How settling went.
pub(super) enum Settled {
    /// All is done.
    All,
    /// Something is in the way.
    Not(String),
}

/// Tells whether a run wants anything elsewhere.
pub(super) fn is_wanted(shared: &Shared, row: &RunRow) -> bool {
    !row.body.running.is_empty() || !shared.stages.extensions.settle.is_empty()
}

/// Does what is not done yet.
pub(super) async fn settle(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    row: &RunRow,
    trace: &mut Trace,
) -> Result<Settled> {
    trace.begin("effects");
    let mut steered = 0;
    for (name, running) in &row.body.running {
        steered += steer(shared, namespace, name, *running).await?;
    }
    trace.end(format!("{steered} instances"));
    let mut failed = Vec::new();
    for stage in &shared.stages.extensions.settle {
        trace.begin(&format!("settle:{}", stage.id()));
        let mut why = None;
        for published in &row.body.run.published {
            let (name, of) = (published.name.clone(), namespace.clone());
            let id = stage.id().to_owned();
            let wanted = job::look(shared, move |tx| publish::effect(tx, &of, &name, &id)).await?;
            let Some((definition, desired)) = wanted else { continue };
            if let Err(error) = stage.run(namespace, &definition).await {
                why = Some(error);
                continue;
            }
            observe(shared, namespace, &definition, stage.id(), desired).await?;
        }
        match why {
            None => trace.end(String::new()),
            Some(error) => {
                trace.failed(&error);
                failed.push(format!("{}: {error}", stage.id()));
            }
        }
    }
    match failed.is_empty() {
        true => Ok(Settled::All),
        false => Ok(Settled::Not(failed.join("; "))),
    }
}

/// Writes down that what was wanted is so.
async fn observe(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    definition: &Definition,
    stage: &str,
    desired: String,
) -> Result<()> {
    let (id, stage) = (definition.id, stage.to_owned());
    let rule = move |work: &mut queue::Work<'_>| publish::observe(work, id, &stage, &desired);
    job::change(shared, namespace, rule).await.map(drop)
}

/// Pauses or cancels the instances of a definition that still run.
async fn steer(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    definition: &str,
    running: Running,
) -> Result<u64> {
    let (control, statuses): (_, &[InstanceStatus]) = match running {
        Running::Keep => return Ok(0),
        Running::Pause => {
            (InstanceControl::Pause, &[InstanceStatus::Running, InstanceStatus::Waiting])
        }
        Running::Cancel => (
            InstanceControl::Cancel,
            &[InstanceStatus::Running, InstanceStatus::Waiting, InstanceStatus::Paused],
        ),
    };
    let mut count = 0;
    for status in statuses {
        let mut after: Option<Id> = None;
        loop {
            let filter = InstanceFilter {
                definition: Some(definition.to_owned()),
                status: Some(*status),
                after,
                limit: 0,
                newest: false,
            };
            let query = Query::Instances(namespace.clone(), InstanceQuery::List(filter));
            let read = ask(shared, Ask::Query { query, at_least: 0 }).await?.into_read()?;
            let Answer::Instances(InstanceAnswer::Instances(found)) = read.answer else {
                return Err(Error::Internal("something else than instances was told".to_owned()));
            };
            let Some(last) = found.last() else { break };
            after = Some(last.id);
            for instance in &found {
                let (instance, control) = (instance.id, control.clone());
                let command = InstanceCommand::Control { instance, control };
                // One that has ended meanwhile needs nothing.
                count += u64::from(write(shared, namespace, command.into()).await.is_ok());
            }
        }
    }
    Ok(count)
}

async fn write(shared: &Arc<Shared>, namespace: &Namespace, command: Command) -> Result<()> {
    let write = Arc::new(Write::one(namespace, command));
    let seed = shared.next_seed();
    let (job, reply) = WriteJob::new(Arc::clone(shared), write, seed);
    shared.store.write(Box::new(job));
    reply.await.unwrap_or_else(|_| Err(stopped())).map(drop)
}
