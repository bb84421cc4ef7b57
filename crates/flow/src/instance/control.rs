//! Steering instances by hand.

use model::{Error, Id, InstanceControl, Reply, Result};
use queue::Work;
use serde_json::Value as Json;
use store::{PRIMARY, Range, TxExt as _, Value};

use super::{
    message,
    rows::{Cause, InstanceRow, JournalRow},
    start::{Begin, begin},
    trace,
};
use crate::run::{Message, What};

/// Steers an instance.
pub(super) fn control(
    work: &mut Work<'_>,
    instance: Id,
    control: &InstanceControl,
) -> Result<Reply> {
    let row = message::find(work, instance)?
        .ok_or_else(|| Error::NoSuchInstance(instance.to_string()))?;
    let is_over = row.status.is_over();
    if row.body.waiting.is_some() && !is_over && *control != InstanceControl::Cancel {
        return Err(Error::bad_input(format!(
            "instance {instance} waits for its turn and has not begun; it can only be cancelled"
        )));
    }
    let message = match control {
        InstanceControl::Cancel if is_over => return Ok(Reply::Done),
        InstanceControl::Cancel => Message::Cancel { reason: None },
        InstanceControl::Pause | InstanceControl::Resume if is_over => return Err(over(&row)),
        InstanceControl::Pause => Message::Pause,
        InstanceControl::Resume => Message::Resume,
        InstanceControl::Retry { step, input } => {
            Message::RetryStep { step: step.clone(), input: input.clone() }
        }
        InstanceControl::Skip { step, output } => {
            Message::SkipStep { step: step.clone(), output: Some(output.clone()) }
        }
        InstanceControl::Restart { step } => return restart(work, &row, step.as_deref()),
    };
    message::tell(work, instance, message, None)?;
    Ok(Reply::Done)
}

fn over(row: &InstanceRow) -> Error {
    Error::bad_input(format!(
        "instance {} has ended ({}); retry a step of it, or restart it",
        row.id,
        row.status.as_str()
    ))
}

/// Starts another instance of the same version, from the beginning or from a step of the top
/// level, which then takes what it took.
fn restart(work: &mut Work<'_>, row: &InstanceRow, step: Option<&str>) -> Result<Reply> {
    let (input, context) = match step {
        Some(step) => (input_of(work, row, step)?, row.state()?.map(|state| state.context)),
        None => (row.body.input.clone(), None),
    };
    let id = begin(
        work,
        Begin {
            definition: &row.body.definition,
            version: Some(&row.body.version),
            input,
            cause: Cause::Restart { of: row.id },
            from: step.map(str::to_owned),
            context,
            depth: 0,
            traceparent: trace::of(work, row),
        },
    )?;
    Ok(Reply::Id(id))
}

/// Finds what a step of the top level took: what the one before it gave, or else the workflow took.
fn input_of(work: &mut Work<'_>, row: &InstanceRow, step: &str) -> Result<Json> {
    let range = Range::prefix([Value::id(row.namespace), Value::id(row.id)]);
    let journal: Vec<JournalRow> = work.tx.find(PRIMARY, &range, u32::MAX)?;
    let mut given = Some(row.body.input.clone());
    for note in journal.into_iter().flat_map(|entry| entry.record.notes) {
        let Some(path) = note.step.as_deref().filter(|path| is_top(path)) else { continue };
        match note.what {
            What::Started if name_of(path) == step => {
                return given.ok_or_else(|| too_large(row, step));
            }
            What::Completed => given = Some(note.data).filter(|_| !note.is_left_out),
            _ => {}
        }
    }
    Err(Error::bad_input(format!("instance {} has not come to a step {step:?}", row.id)))
}

/// Says that a journal does not hold what a step took.
fn too_large(row: &InstanceRow, step: &str) -> Error {
    Error::bad_input(format!(
        "what step {step:?} of instance {} took was too large for its journal; restart it from the \
         beginning, or from an earlier step",
        row.id
    ))
}

/// Says whether a step is one of the top level, by its path: `do/3/NAME/ROUND`.
fn is_top(path: &str) -> bool {
    path.strip_prefix("do/").is_some_and(|rest| rest.matches('/').count() == 2)
}

fn name_of(path: &str) -> &str {
    path.split('/').nth(2).unwrap_or(path)
}
