//! Publishing, retracting and deleting definitions: the pipeline around the one transaction.

use std::sync::Arc;

use model::{
    Command, Committed, DefinitionCommand, DefinitionQuery, Namespace, Read, Reply, Result, Write,
};
use queue::Work;
use store::Tx;

use super::misplaced;
use crate::engine::Shared;

/// Tells whether a command is a run of the pipeline.
pub(super) fn is_pipeline(command: &Command) -> bool {
    matches!(command, Command::Definition(command)
        if !matches!(command, DefinitionCommand::SaveDraft { .. } | DefinitionCommand::DeleteDraft { .. }))
}

pub(super) async fn run(_shared: &Arc<Shared>, write: &Write) -> Result<Committed> {
    Err(misplaced(&write.commands[0]))
}

pub(crate) fn apply(_work: &mut Work<'_>, command: &DefinitionCommand) -> Result<Reply> {
    Err(misplaced(&Command::Definition(command.clone())))
}

pub(crate) fn answer(_tx: &mut dyn Tx, _: &Namespace, query: &DefinitionQuery) -> Result<Read> {
    Err(model::Error::Internal(format!("{query:?}")))
}
