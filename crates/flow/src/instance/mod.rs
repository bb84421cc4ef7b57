//! Instances and events in rows: starting, telling, keeping what they have become, and what falls
//! due.
//!
//! An instance is a snapshot, a journal, and an inbox of messages. Rules only put messages into
//! inboxes; whoever drives the instance on loads it with them, computes outside of any transaction
//! what it becomes ([`crate::run::advance`]), and keeps that with [`advance()`], unless another was
//! faster.

mod advance;
mod answer;
mod control;
mod definition;
mod due;
mod end;
mod event;
mod filter;
mod fire;
mod follow;
mod invite;
mod message;
mod newest;
mod replay;
mod retain;
mod rows;
mod start;
mod together;
mod trace;
mod turn;
mod unit;

use model::{Error, InstanceCommand, Reply, Result};
use queue::Work;

pub use advance::{Advance, Kept, Loaded, advance, load};
pub use answer::answer;
pub use definition::program;
pub use due::{FlowDue, Left, next_due, run_due};
pub(crate) use event::keep;
pub use event::{Incoming, candidates, check, new_event, on_event, receive};
pub use filter::{Question, Verdict, question};
pub use replay::{Replay, replay};
pub use rows::{Cause, EventRow, InboxRow, InstanceBody, InstanceRow, JournalRow, WaitRow};
pub use trace::spans;
pub use unit::{BUILTIN_RUNTIME, builtin_spec, units_ended};

/// Applies a command on instances.
pub fn apply(work: &mut Work<'_>, command: &InstanceCommand) -> Result<Reply> {
    match command {
        InstanceCommand::Start(start) => start::start(work, start),
        InstanceCommand::Control { instance, control } => {
            control::control(work, *instance, control)
        }
        InstanceCommand::ControlTrigger { definition, trigger, control } => {
            fire::control(work, definition, trigger, control)
        }
        InstanceCommand::Invite(wanted) => {
            invite::invite(work, wanted)?;
            Ok(Reply::Done)
        }
        InstanceCommand::AnswerInvite { instance, hash, data } => {
            invite::answer(work, *instance, hash, data)?;
            Ok(Reply::Done)
        }
        InstanceCommand::Send(_) => {
            Err(Error::Internal("events are taken in by another way".to_owned()))
        }
    }
}
