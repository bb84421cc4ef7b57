//! `/v1`: the native door, on which Lockstep's own client speaks as to a local backend.

use model::{Backend, Command, Namespace, Query, QueueCommand, Result, Revision, Write, limits};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{call::Call, outcome::Outcome};

pub(crate) async fn write(call: Call) -> Result<Outcome> {
    let mut write: Write = call.json()?;
    write.wait = write.wait.min(limits::WAIT_MAX);
    if write.request_id.is_none() {
        write.request_id = call.request_id()?;
    }
    // A claim that only waits may be cut short; a change that was made must be answered.
    let committed = if only_claims(&write) {
        call.write_waiting(write).await?
    } else {
        call.backend.write(write).await?
    };
    Ok(Outcome::json(&committed)?.at(committed.revision))
}

/// Tells whether a write does nothing but claim.
pub(crate) fn only_claims(write: &Write) -> bool {
    let is_claim = |command: &Command| matches!(command, Command::Queue(QueueCommand::Claim(_)));
    write.commands.iter().all(is_claim)
}

/// A question, and how new its answer must be.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Asked {
    /// The question.
    query: Query,
    /// The revision that the answer must have reached.
    #[serde(default)]
    at_least: Revision,
}

pub(crate) async fn read(call: Call) -> Result<Outcome> {
    let asked: Asked = call.json()?;
    let read = call.backend.read(asked.query, asked.at_least).await?;
    Outcome::json(&read)
}

/// Which events to show.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct AskedEvents {
    /// The namespace.
    namespace: String,
    /// Only what came after this revision.
    #[serde(default)]
    after: Revision,
    /// How many commits at most.
    limit: Option<u32>,
}

pub(crate) async fn events(call: Call) -> Result<Outcome> {
    let asked: AskedEvents = call.json()?;
    let namespace = Namespace::new(asked.namespace)?;
    let limit = asked.limit.unwrap_or(limits::PAGE_MAX).clamp(1, limits::PAGE_MAX);
    let limit = u16::try_from(limit).unwrap_or(u16::MAX);
    Outcome::json(&call.backend.events(&namespace, asked.after, limit).await?)
}
