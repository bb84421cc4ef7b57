//! The rules of work, written once: plain synchronous functions over a transaction.
//!
//! No rule reads a clock, draws a random number or does I/O: [`Work`] brings the time and a seed.

mod add;
mod attempt;
mod chain;
mod choose;
mod claim;
mod due;
mod namespace;
mod query;
mod rows;
mod select;
mod set_units;
mod spec;
mod sweep;
mod work;
mod worker;

pub use choose::{Candidate, Ready, choose};
pub use claim::later;
pub use due::{Due, next_due, run_due};
pub use query::{answer, events};
pub use rows::{decode, encode};
pub use sweep::sweep;
pub use work::{Closed, Work, apply};
