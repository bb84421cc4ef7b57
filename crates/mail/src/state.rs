//! The agreed state: a database of each account, and the worker that alone writes to it.
//!
//! Alone, the database is a file. Where accounts are kept in step as work it is in memory, and a
//! [`Keeper`] keeps elsewhere what is committed to it, as parts from which it is made again.

mod change;
mod database;
mod make;
mod part;
mod read;
mod schema;
mod standing;
mod worker;

pub use change::{Change, Undo};
pub use database::Database;
pub use part::{changes_parts, image_parts, restored};
pub use read::{Event, FolderRow, HeldRow, Intents, Overview, RunRow};
pub use worker::{Keeper, State};
