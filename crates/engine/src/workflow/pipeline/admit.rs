//! Admission: whether the request was made before, and the run that is opened for it.

use std::sync::Arc;

use flow::publish::{RunBody, RunRow};
use model::{Committed, DefinitionCommand, Error, Result, Run, Write};

use super::{commands, trace::Trace};
use crate::{
    request,
    shared::Shared,
    workflow::job::{self, Changed},
};

/// What becomes of a request.
pub(crate) enum Admitted {
    /// A run is opened for it.
    Opened(Box<RunRow>),
    /// It was made before, and this was the answer.
    Recalled(Committed),
}

/// Looks whether a request was made before; else opens a run.
pub(crate) async fn admit(
    shared: &Arc<Shared>,
    write: &Arc<Write>,
    trace: &mut Trace,
) -> Result<Admitted> {
    trace.begin("authorize");
    let digest = match &write.request_id {
        Some(id) => Some((id.clone(), request::digest(write, None)?)),
        None => None,
    };
    let actor = commands(write).filter_map(|command| command.terms()).map(|terms| &terms.actor);
    let actor = actor.max().cloned().unwrap_or_default();
    trace.end(if actor.is_empty() { "nobody says who asks".to_owned() } else { actor.clone() });
    trace.begin("load");
    let (asked, fingerprint) = (Arc::clone(write), shared.stages.fingerprint());
    let opened = job::change(shared, &write.namespace, move |work| {
        if work.is_new()
            && let Some(name) = missing(&asked)
        {
            return Err(Error::NoSuchDefinition(name));
        }
        let history = work.history_id();
        if let Some((id, digest)) = &digest
            && let Some(found) = request::recall(work.tx, history, id, digest)?
        {
            return Ok(Admitted::Recalled(found));
        }
        let run = Run {
            id: work.next_id(),
            operation: operation(&asked).to_owned(),
            definitions: names(&asked),
            actor: actor.clone(),
            state: "preparing".to_owned(),
            epoch: None,
            started: work.now,
            ended: None,
            error: None,
            fingerprint: fingerprint.clone(),
            stages: Vec::new(),
            published: Vec::new(),
        };
        let body = RunBody::new(run);
        let row = RunRow { namespace: work.live(), definition: None, body };
        row.save(work)?;
        Ok(Admitted::Opened(Box::new(row)))
    });
    let Changed { value, .. } = opened.await?;
    if let Admitted::Opened(row) = &value {
        trace.end(format!("run {}", row.body.run.id));
    }
    Ok(value)
}

/// In a namespace that is not there only publishing makes sense.
fn missing(write: &Write) -> Option<String> {
    let publishes = |command: &DefinitionCommand| matches!(command, DefinitionCommand::Publish(_));
    match commands(write).any(publishes) {
        true => None,
        false => commands(write).find_map(|command| command.name().map(str::to_owned)),
    }
}

/// Gives the names that are known before a document is read.
fn names(write: &Write) -> Vec<String> {
    commands(write).filter_map(|command| command.name().map(str::to_owned)).collect()
}

fn operation(write: &Write) -> &'static str {
    let mut commands = commands(write);
    match (commands.next(), commands.next()) {
        (Some(DefinitionCommand::Publish(_)), None) => "publish",
        (Some(DefinitionCommand::Retract { .. }), None) => "retract",
        (Some(DefinitionCommand::Delete { .. }), None) => "delete",
        (Some(DefinitionCommand::DeleteVersion { .. }), None) => "delete_version",
        (Some(DefinitionCommand::Rollback { .. }), None) => "rollback",
        _ => "bundle",
    }
}
