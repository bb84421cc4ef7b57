//! Definitions over a store: what is a run of the pipeline, drafts, and questions.

use model::{Command, DefinitionCommand, DefinitionQuery, Namespace, Read, Reply, Result};
use queue::Work;
use store::Tx;

use super::misplaced;

/// Tells whether a command is a run of the pipeline.
pub(super) fn is_pipeline(command: &Command) -> bool {
    matches!(command, Command::Definition(command) if command.terms().is_some())
}

/// Applies a command in the transaction of its write.
pub(crate) fn apply(work: &mut Work<'_>, command: &DefinitionCommand) -> Result<Reply> {
    match command {
        DefinitionCommand::SaveDraft { name, source } => {
            flow::publish::save_draft(work, name, source)
        }
        DefinitionCommand::DeleteDraft { name } => flow::publish::delete_draft(work, name),
        DefinitionCommand::Publish(_)
        | DefinitionCommand::Retract { .. }
        | DefinitionCommand::Delete { .. }
        | DefinitionCommand::DeleteVersion { .. }
        | DefinitionCommand::Rollback { .. } => {
            Err(misplaced(&Command::Definition(command.clone())))
        }
    }
}

/// Answers a question on a snapshot.
pub(crate) fn answer(
    tx: &mut dyn Tx,
    namespace: &Namespace,
    query: &DefinitionQuery,
) -> Result<Read> {
    flow::publish::answer(tx, namespace, query)
}
