//! Starting instances and driving them on.

use std::sync::Arc;

use model::{
    Command, Committed, InstanceCommand, InstanceQuery, Namespace, Read, Reply, Result, Write,
};
use queue::Work;
use store::Tx;

use super::misplaced;
use crate::engine::Shared;

/// Tells whether a command takes events in, whose conditions are looked at before.
pub(super) fn takes_events(command: &Command) -> bool {
    matches!(command, Command::Instance(InstanceCommand::Send(_)))
}

pub(super) async fn receive(_shared: &Arc<Shared>, write: &Write) -> Result<Committed> {
    Err(misplaced(&write.commands[0]))
}

pub(crate) fn apply(_work: &mut Work<'_>, command: &InstanceCommand) -> Result<Reply> {
    Err(misplaced(&Command::Instance(command.clone())))
}

pub(crate) fn answer(_tx: &mut dyn Tx, _: &Namespace, query: &InstanceQuery) -> Result<Read> {
    Err(model::Error::Internal(format!("{query:?}")))
}
