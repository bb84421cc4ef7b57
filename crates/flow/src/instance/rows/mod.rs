//! The rows of instances and events.

mod event;
mod instance;

pub use event::{EventRow, WaitRow};
pub(crate) use event::FiringRow;
pub use instance::{Cause, InboxRow, InstanceBody, InstanceRow, JournalRow};
pub(crate) use instance::status_number;
