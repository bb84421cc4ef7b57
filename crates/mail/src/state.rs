//! The agreed state: a database of each account, and the worker that alone writes to it.

mod change;
mod database;
mod make;
mod read;
mod schema;
mod worker;

pub use change::{Change, Undo};
pub use database::Database;
pub use read::{Event, FolderRow, HeldRow, Intents, Overview, RunRow};
pub use worker::State;
