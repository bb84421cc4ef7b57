//! Whole stores: all rows of one as they are at one moment, and an empty one that is filled.
//!
//! Neither runs jobs: a job keeps what it has seen until its end, and a store may be larger than
//! the memory.

use model::Result;

use crate::{Doc, Table};

/// All rows of a store as they are at one moment, whoever writes meanwhile.
pub trait Snapshot {
    /// Counts the rows of a table.
    fn count(&mut self, table: &'static Table) -> Result<u64>;

    /// Gives all rows of a table, one after another in the order of their keys.
    fn each(
        &mut self,
        table: &'static Table,
        take: &mut dyn FnMut(Doc) -> Result<()>,
    ) -> Result<()>;

    /// Gives what the database itself finds wrong with its files and indexes, where it can tell.
    fn damage(&mut self) -> Result<Vec<String>>;
}

/// A store without rows that is being filled. Nothing is there before the commit, and all of it
/// after; dropping it undoes everything.
pub trait Fill {
    /// Puts rows that are not there yet.
    fn put(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()>;

    /// Makes the rows durable.
    fn commit(self: Box<Self>) -> Result<()>;
}
