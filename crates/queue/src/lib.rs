//! The rules of work, written once: plain synchronous functions over a transaction.
//!
//! No rule reads a clock, draws a random number or does I/O: [`Work`] brings the time and a seed.

mod add;
mod attempt;
mod chain;
mod choose;
mod claim;
mod due;
mod history;
mod lock;
mod namespace;
mod query;
mod rows;
mod select;
mod set_units;
mod spec;
mod sweep;
mod trace;
mod verify;
mod work;
mod worker;

pub use attempt::data_of_attempt;
pub use choose::{Candidate, Ready, choose, ready_since};
pub use claim::later;
pub use due::{Due, next_due, run_due};
pub use history::events;
pub use query::{answer, lasting_id, live, revision, revision_key};
pub use rows::{CounterRow, decode, encode, parts};
pub use spec::ensure as ensure_spec;
pub use sweep::{next_sweep, sweep};
pub use trace::spans;
pub use verify::{Findings, Verifier, read};
pub use work::{Closed, Work, apply};
