//! The rigs: they try to break a real server, and look at it from outside.
//!
//! [`crash`] kills a server under load and audits it with a ledger of its own, [`nodes`] kills
//! several nodes and restarts the database that they share. [`history`] checks what nodes answer
//! against the order of the commits. [`Frozen`] stops a worker past its lease. [`broken`] sends
//! requests that are wrong. [`slow`] takes connections and sends next to nothing. [`targets`] is
//! what a fuzzer runs.

mod auditor;
mod backup;
mod broken;
mod crash;
mod crew;
mod frozen;
pub mod history;
pub mod http;
mod ledger;
mod local;
mod look;
pub mod mutate;
mod nodes;
mod producer;
mod random;
mod server;
mod slow;
mod stage;
pub mod targets;
mod worker;

pub use backup::{BackupOptions, BackupReport, BackupWay, backups};
pub use broken::{BrokenReport, broken};
pub use crash::{CrashOptions, CrashReport, Fault, crash};
pub use frozen::Frozen;
pub use local::{Local, Watched, panics};
pub use nodes::{BACK_MAX, NodesOptions, NodesReport, nodes};
pub use random::{Random, seed};
pub use server::{START_MAX, Server, clean};
pub use slow::{SlowReport, slow};
