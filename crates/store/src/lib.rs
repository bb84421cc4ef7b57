//! Rows in, rows out: tables, transactions, and the stores that run them.
//!
//! Rules live above, in `queue`; a store knows tables and nothing of what their rows mean.

mod table;
pub mod tables;
mod tx;

mod index;
mod layout;
mod ordered;
mod run;

mod memory;
mod sqlite;

pub use memory::Memory;
pub use sqlite::{Sqlite, SqliteOptions};
pub use table::{Column, Doc, Index, Kept, Key, Kind, PRIMARY, Row, Table, Value};
pub use tx::{Job, Range, Store, Tx, TxExt};
