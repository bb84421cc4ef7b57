//! The rows of instances and events.

mod event;
mod instance;

pub(crate) use event::FiringRow;
pub use event::{EventRow, WaitRow};
pub(crate) use instance::status_number;
pub use instance::{Cause, InboxRow, InstanceBody, InstanceRow, JournalRow};
