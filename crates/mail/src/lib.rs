//! Two-way mail sync that loses nothing and doubles nothing.
//!
//! A [`Driver`] knows one store of mail, and nothing of sync. An engine in the middle asks both
//! sides what changed since the state that was agreed last, plans, and applies.

mod flags;
mod folder;
pub mod limits;
mod message;
pub mod mime;
mod pipe;
mod side;

pub mod driver;

mod diff;
pub mod plan;
mod snapshot;
pub mod state;

pub mod controller;
pub mod engine;
pub mod import;

pub use diff::{Delta, Renamed};
pub use driver::Driver;
pub use flags::{FlagChange, Flags, Keyword, Storable, System};
pub use folder::FolderName;
pub use message::{About, Checkpoint, Content, ContentHasher, Identified, Identity, Key, Seen};
pub use pipe::{Body, Part, Pouring, pipe};
pub use side::{Side, Sides};
pub use snapshot::{Pair, Snapshot};
