//! Histories: what clients of several nodes were told, held against the order of the commits.
//!
//! Each client carries the last revision that it saw as `at_least`. So whatever it reads must be
//! what the key was at that revision or a later one, and never older than what it read before.

mod check;
mod client;
mod nodes;

use model::{Event, Revision};

pub use check::check;
pub use client::{Door, look_at_all, play};
pub use nodes::{HistoriesOptions, HistoriesReport, NodeFault, histories};

/// What the clients of a history write and read by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The work spec.
    Spec,
    /// One of its units.
    Unit(usize),
    /// A worker.
    Worker,
}

/// Units of a history.
const UNITS: usize = 3;

impl Key {
    /// Gives all keys.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..UNITS).map(Self::Unit).chain([Self::Spec, Self::Worker])
    }
}

/// What was last written to a key; none is nothing.
pub type State = (Key, Option<u64>);

/// Something that a client did and was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It changed keys.
    Wrote {
        /// The revision that it was told.
        revision: Revision,
        /// What the keys are since.
        keys: Vec<State>,
    },
    /// It read a key.
    Read {
        /// The key.
        key: Key,
        /// The revision that the answer had to have reached.
        at_least: Revision,
        /// What it was told.
        found: Found,
    },
}

/// The answer to a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is something.
    Value {
        /// What was last written there.
        value: u64,
        /// The revision at which that was so.
        as_of: Revision,
    },
    /// There is nothing; such an answer names no revision.
    Absent,
}

/// All that is known of one history.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What each client did, in its order.
    pub clients: Vec<Vec<Deed>>,
    /// The events, as each node shows them.
    pub events: Vec<Vec<Event>>,
}

#[cfg(test)]
mod tests;
