//! What follows from the end of an instance: a step of another goes on, and the trigger that
//! started it may fire again.

use model::{InstanceStatus, Result};
use queue::Work;

use super::{
    fire, message,
    rows::{Cause, InstanceRow},
    turn,
};
use crate::{
    run::{Fault, Message, Standard, StepResult},
    timer,
};

/// Does what follows from the end of an instance.
pub(super) fn ended(work: &mut Work<'_>, row: &InstanceRow) -> Result<()> {
    turn::leave(work, row)?;
    if let Cause::Step { parent, step: Some(step) } = &row.body.cause {
        let (step, result) = (step.clone(), result_of(row));
        message::tell(work, *parent, Message::ChildDone { step, result }, None)?;
    }
    let Some(trigger) = row.body.cause.trigger() else { return Ok(()) };
    let found = timer::trigger_state(work.tx, row.namespace, row.definition, trigger)?;
    let Some((mut state, mut due)) = found else { return Ok(()) };
    if state.running != Some(row.id) {
        return Ok(());
    }
    state.running = None;
    if state.plan.as_ref().is_some_and(crate::slots::Plan::follows_end) {
        due = state.next(work.now);
    }
    fire::waiting(work, row, trigger, &mut state)?;
    timer::put_trigger(work, row.definition, trigger, &state, due)
}

fn result_of(row: &InstanceRow) -> StepResult {
    match row.status {
        InstanceStatus::Finished => StepResult::Output(row.body.output.clone()),
        InstanceStatus::Faulted => {
            let fault = serde_json::from_value(row.body.error.clone());
            let unknown = |_| Fault::standard(Standard::Runtime, "the workflow failed");
            StepResult::Fault(fault.unwrap_or_else(unknown))
        }
        _ => StepResult::Fault(Fault::standard(Standard::Runtime, "the workflow was cancelled")),
    }
}
