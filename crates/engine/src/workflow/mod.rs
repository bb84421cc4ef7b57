//! Workflows over a store: the pipeline that publishes, and what drives instances.
//!
//! What needs more than one transaction, or another process, is taken out of the path of writes
//! here; everything else are rules of the crate `flow`, applied in the transaction of the write.

mod definition;
pub(crate) mod driver;
mod instance;
pub(crate) mod job;
mod pipeline;
mod settle;

use std::sync::Arc;

use model::{Command, Committed, Error, Result, Write};

use crate::shared::Shared;

pub(crate) use definition::{answer as definition_answer, apply as apply_definition};
pub(crate) use driver::states;
pub(crate) use instance::{answer as instance_answer, apply as apply_instance, explain};
pub use pipeline::{CommitStage, Extensions, Order, PrepareStage, Proposal, SettleStage};
pub(crate) use pipeline::{Stages, everywhere};

/// Does writes that take more than one transaction; none says that a write is not of these.
pub(crate) async fn intercept(shared: &Arc<Shared>, write: &Write) -> Option<Result<Committed>> {
    let definitions = write.commands.iter().filter(|command| definition::is_pipeline(command));
    let events = write.commands.iter().filter(|command| instance::takes_events(command));
    let (definitions, events, all) = (definitions.count(), events.count(), write.commands.len());
    match (definitions, events) {
        (0, 0) => None,
        (count, 0) if count == all => Some(pipeline::run(shared, write).await),
        (0, count) if count == all => Some(instance::receive(shared, write).await),
        _ => Some(Err(Error::bad_input(
            "a write that publishes, or takes events in, can do nothing else; send it by itself",
        ))),
    }
}

/// Says that a command went past the place where it is done.
fn misplaced(command: &Command) -> Error {
    Error::Internal(format!("a command is done before it gets here: {command:?}"))
}
