//! Transactions: six operations on rows, and the stores that run them.

use model::{Result, Time};

use crate::{Doc, Key, Row, Table, Value};

/// A stretch of an index: rows whose first fields equal `prefix` and whose next field is greater
/// than `after` and at most `upto`, where these are given.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// The first fields.
    pub prefix: Vec<Value>,
    /// The next field is greater than this.
    pub after: Option<Value>,
    /// The next field is this or less.
    pub upto: Option<Value>,
}

impl Range {
    /// Takes everything with a prefix.
    pub fn prefix(prefix: impl Into<Vec<Value>>) -> Self {
        Self { prefix: prefix.into(), after: None, upto: None }
    }

    /// Takes what comes after a value, if one is given.
    #[must_use]
    pub fn after(mut self, after: Option<Value>) -> Self {
        self.after = after;
        self
    }

    /// Takes what comes up to and with a value.
    #[must_use]
    pub fn upto(mut self, upto: Value) -> Self {
        self.upto = Some(upto);
        self
    }
}

/// One open transaction: synchronous, without clock or randomness. It sees its own changes.
pub trait Tx {
    /// Gives the row of each key, in the order of the keys.
    fn load(&mut self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Doc>>>;

    /// Inserts rows, or replaces those with the same keys.
    fn save(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()>;

    /// Inserts rows whose keys no row ever had, so that no store need look for old ones.
    fn insert(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()>;

    /// Removes rows; absent ones are fine.
    fn remove(&mut self, table: &'static Table, keys: &[Key]) -> Result<()>;

    /// Gives rows in the order of an index (or [`crate::PRIMARY`]), at most `limit`.
    ///
    /// An index that is kept in memory can only be scanned by a write.
    fn scan(
        &mut self,
        table: &'static Table,
        index: usize,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<Doc>>;

    /// Gives the smallest value of the first field of an index, without loading a row.
    ///
    /// In a shared store, a write may be told a smaller or greater value of an index that goes
    /// through all namespaces, as far as other nodes have removed or added rows; a read, and a
    /// write that has scanned such an index before, are told the truth.
    fn first(&mut self, table: &'static Table, index: usize) -> Result<Option<Value>>;
}

/// Typed rows over any transaction.
pub trait TxExt: Tx {
    /// Gives one row.
    fn get<R: Row>(&mut self, key: Key) -> Result<Option<R>> {
        self.load(R::TABLE, &[key])?.pop().flatten().map(R::from_doc).transpose()
    }

    /// Gives the row of each key.
    fn get_all<R: Row>(&mut self, keys: &[Key]) -> Result<Vec<Option<R>>> {
        let docs = self.load(R::TABLE, keys)?;
        docs.into_iter().map(|doc| doc.map(R::from_doc).transpose()).collect()
    }

    /// Saves one row.
    fn put<R: Row>(&mut self, row: &R) -> Result<()> {
        self.save(R::TABLE, vec![row.to_doc()])
    }

    /// Saves rows.
    fn put_all<R: Row>(&mut self, rows: &[R]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.save(R::TABLE, rows.iter().map(R::to_doc).collect())
    }

    /// Inserts one row whose key no row ever had.
    fn add<R: Row>(&mut self, row: &R) -> Result<()> {
        self.insert(R::TABLE, vec![row.to_doc()])
    }

    /// Inserts rows whose keys no row ever had.
    fn add_all<R: Row>(&mut self, rows: &[R]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.insert(R::TABLE, rows.iter().map(R::to_doc).collect())
    }

    /// Gives rows in the order of an index.
    fn find<R: Row>(&mut self, index: usize, range: &Range, limit: u32) -> Result<Vec<R>> {
        self.scan(R::TABLE, index, range, limit)?.into_iter().map(R::from_doc).collect()
    }
}

impl<T: Tx + ?Sized> TxExt for T {}

/// What a job looks at that a shared store can bring with one small statement. A node that has
/// nothing to do asks again and again.
#[derive(Clone, Debug, Default)]
pub struct Glance {
    /// A row that is saved along with it, of a table whose rows belong to no namespace.
    pub save: Option<(&'static Table, Doc)>,
    /// Rows of [`crate::tables::NAMESPACE`].
    pub namespaces: Vec<Key>,
    /// Rows of [`crate::tables::COUNTER`].
    pub counters: Vec<Key>,
    /// How many rows of [`crate::tables::NODE`] at most, from the first on; none if they are not
    /// looked at.
    pub nodes: Option<u32>,
}

/// A piece of work for a store, which owns the way back to whoever waits for it.
pub trait Job: Send {
    /// Works in one transaction; an error undoes all of it. May run again after a conflict, so it
    /// must be a function of the transaction and of what it was made with.
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()>;

    /// Says what it looks at, if that is no more than these rows and the first values of indexes
    /// that go through all namespaces. Only a job that reads from a shared store is asked.
    fn glance(&self) -> Option<Glance> {
        None
    }

    /// Takes the outcome: after the commit is durable, or after everything is undone. Quickly.
    fn done(self: Box<Self>, outcome: Result<()>);
}

/// A store: runs jobs in transactions, one after another or as if so.
///
/// Submitting never waits. A store that has too much to do, or is stopping, answers
/// [`model::Error::Unavailable`] through [`Job::done`].
pub trait Store: Send + Sync {
    /// Runs a job that may change rows; `done` comes after the change is durable.
    fn write(&self, job: Box<dyn Job>);

    /// Runs a job that only looks, on a snapshot no older than the last acknowledged write.
    fn read(&self, job: Box<dyn Job>);

    /// Tells the time by the store's own clock, if it has one: the only one that all nodes share,
    /// and so the only one that leases may go by.
    fn now(&self) -> Option<Time> {
        None
    }

    /// Sets what is called when another node has told that it committed something; nobody promises
    /// that each commit is told of.
    fn on_hint(&self, wake: Box<dyn Fn() + Send + Sync>) {
        drop(wake);
    }

    /// Tells whether other nodes may write to it at the same time. Then reads may also ask for the
    /// first entry of an index that is otherwise kept in memory.
    fn is_shared(&self) -> bool {
        false
    }
}
