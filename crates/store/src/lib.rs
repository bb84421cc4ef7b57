//! Rows in, rows out: tables, transactions, and the stores that run them.
//!
//! Rules live above, in `queue`; a store knows tables and nothing of what their rows mean.

mod table;
pub mod tables;
mod tx;

mod copy;

mod checksum;
mod entries;
mod inbox;
mod index;
mod layout;
mod ordered;
mod run;
mod side;

mod memory;
mod postgres;
mod sqlite;

pub use copy::{Fill, Snapshot};
pub use memory::Memory;
pub use postgres::{Postgres, PostgresOptions};
pub use sqlite::{Present, Progress, Sqlite, SqliteOptions};
pub use table::{Column, Doc, Index, Kept, Key, Kind, PRIMARY, Row, Table, Value};
pub use tx::{Glance, Job, Range, Store, Tx, TxExt};
