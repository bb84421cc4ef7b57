//! What jobs asked for that is not known yet, so that it can be fetched all at once.

use std::collections::{BTreeMap, BTreeSet};

use super::spans::End;
use crate::Value;

/// Rows and stretches to fetch.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// The encoded keys of rows, by table.
    pub(crate) rows: BTreeMap<usize, BTreeSet<Vec<u8>>>,
    /// Stretches of orders.
    pub(crate) stretches: Vec<Wanted>,
    /// Whether the first entries of all orders that go through all namespaces are wanted.
    pub(crate) firsts: bool,
}

/// A stretch of an order, from `start` on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) table: usize,
    pub(crate) index: usize,
    /// The first fields.
    pub(crate) prefix: Vec<Value>,
    /// The next fields are greater than these.
    pub(crate) above: Vec<Value>,
    /// The field behind the prefix is this or less.
    pub(crate) upto: Option<Value>,
    /// Where the stretch starts, encoded.
    pub(crate) start: Vec<u8>,
    /// Where it ends, encoded.
    pub(crate) end: End,
    /// At most so many rows.
    pub(crate) limit: u32,
}

impl Missing {
    /// Tells whether rows of one of some tables are wanted.
    pub(crate) fn wants_any(&self, mut tables: impl FnMut(usize) -> bool) -> bool {
        let of_stretches = self.stretches.iter().map(|wanted| wanted.table);
        self.rows.keys().copied().chain(of_stretches).any(&mut tables)
    }

    /// Wants a row.
    pub(crate) fn row(&mut self, table: usize, key: Vec<u8>) {
        self.rows.entry(table).or_default().insert(key);
    }

    /// Wants a stretch; whoever wants the same adds to how much of it is wanted.
    pub(crate) fn stretch(&mut self, wanted: Wanted) {
        let same = |other: &&mut Wanted| {
            let limit = other.limit;
            Wanted { limit, ..wanted.clone() } == **other
        };
        match self.stretches.iter_mut().find(same) {
            Some(other) => other.limit = other.limit.saturating_add(wanted.limit),
            None => self.stretches.push(wanted),
        }
    }
}
