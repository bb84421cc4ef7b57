//! The memory store: the model for the others.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, PoisonError};

use model::{Error, Result};

use crate::entries::Entries;
use crate::index::Indexes;
use crate::layout::{Layout, layouts};
use crate::ordered::{Bytes, damaged};
use crate::run::run;
use crate::{Doc, Job, Key, PRIMARY, Range, Store, Table, Tx, Value};

/// A store in memory: nothing outlives it. Jobs run on the thread that submits them.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
}

impl Memory {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self { state: Mutex::new(State::new()) }
    }

    fn run(&self, mut job: Box<dyn Job>, writes: bool) {
        let outcome = {
            // A panic in a job is caught inside and undone, so the state is whole even if poisoned.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let mut tx = MemoryTx { state: &mut state, writes, undo: Vec::new() };
            let outcome = run(&mut *job, &mut tx);
            if outcome.is_err() {
                tx.undo();
            }
            outcome
        };
        job.done(outcome);
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for Memory {
    fn write(&self, job: Box<dyn Job>) {
        self.run(job, true);
    }

    fn read(&self, job: Box<dyn Job>) {
        self.run(job, false);
    }
}

#[derive(Debug)]
struct State {
    tables: Vec<Rows>,
}

/// The rows of one table, encoded: a third of the memory of plain values.
#[derive(Debug)]
struct Rows {
    layout: Layout,
    rows: BTreeMap<Bytes, Bytes>,
    indexes: Indexes,
}

impl State {
    fn new() -> Self {
        let rows = |layout: Layout| {
            let indexes = layout.orders().iter().map(|_| Some(Entries::default())).collect();
            Rows { layout, rows: BTreeMap::new(), indexes: Indexes::new(indexes) }
        };
        Self { tables: layouts().into_iter().map(rows).collect() }
    }

    fn table(&mut self, id: usize) -> Result<&mut Rows> {
        self.tables.get_mut(id).ok_or_else(|| Error::Internal(format!("there is no table {id}")))
    }
}

impl Rows {
    /// Changes a row and gives the old one.
    fn change(&mut self, key: &[u8], new: Option<Bytes>) -> Result<Option<Bytes>> {
        let found = self.rows.entry(key.into());
        let old = match &found {
            Entry::Occupied(row) => Some(&**row.get()),
            Entry::Vacant(_) => None,
        };
        self.indexes.change(&self.layout, key, old, new.as_deref())?;
        Ok(match (found, new) {
            (Entry::Occupied(mut row), Some(new)) => Some(row.insert(new)),
            (Entry::Occupied(row), None) => Some(row.remove()),
            (Entry::Vacant(place), Some(new)) => {
                place.insert(new);
                None
            }
            (Entry::Vacant(_), None) => None,
        })
    }
}

struct MemoryTx<'a> {
    state: &'a mut State,
    writes: bool,
    undo: Vec<Undo>,
}

/// A row as it was before a change.
struct Undo {
    table: usize,
    key: Vec<u8>,
    old: Option<Bytes>,
}

impl MemoryTx<'_> {
    fn change(&mut self, table: &'static Table, key: Vec<u8>, new: Option<Bytes>) -> Result<()> {
        let old = self.state.table(table.id)?.change(&key, new)?;
        self.undo.push(Undo { table: table.id, key, old });
        Ok(())
    }

    fn undo(&mut self) {
        while let Some(Undo { table, key, old }) = self.undo.pop() {
            // What was encoded before can be decoded again, so this cannot fail.
            let _ = self.state.table(table).and_then(|rows| rows.change(&key, old));
        }
    }

    fn may_write(&self) -> Result<()> {
        if self.writes { Ok(()) } else { Err(Error::Internal("a read may not write".to_owned())) }
    }
}

impl Tx for MemoryTx<'_> {
    fn load(&mut self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Doc>>> {
        let Rows { layout, rows, .. } = self.state.table(table.id)?;
        let mut docs = Vec::with_capacity(keys.len());
        for key in keys {
            let key = layout.key(key)?;
            docs.push(rows.get(&*key).map(|row| layout.doc(&key, row)).transpose()?);
        }
        Ok(docs)
    }

    fn save(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.may_write()?;
        let mut row = Vec::new();
        for doc in docs {
            let layout = &self.state.table(table.id)?.layout;
            // A row that is kept has no capacity to spare, so it is put together elsewhere.
            let (key, row) = (layout.key(&doc.key)?, layout.write_row(&doc, &mut row)?.into());
            self.change(table, key, Some(row))?;
        }
        Ok(())
    }

    fn insert(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.save(table, docs)
    }

    fn remove(&mut self, table: &'static Table, keys: &[Key]) -> Result<()> {
        self.may_write()?;
        for key in keys {
            let key = self.state.table(table.id)?.layout.key(key)?;
            self.change(table, key, None)?;
        }
        Ok(())
    }

    fn scan(
        &mut self,
        table: &'static Table,
        index: usize,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<Doc>> {
        let writes = self.writes;
        let Rows { layout, rows, indexes } = self.state.table(table.id)?;
        let order = layout.order(index)?;
        layout.check_scan(order, writes)?;
        let Some(stretch) = layout.stretch(order, range)? else { return Ok(Vec::new()) };
        let limit = limit as usize;
        let mut docs = Vec::new();
        if index == PRIMARY {
            for (key, row) in rows.range::<[u8], _>(stretch.bounds()).take(limit) {
                docs.push(layout.doc(key, row)?);
            }
            return Ok(docs);
        }
        let entries = indexes.get(index).ok_or_else(damaged)?;
        for entry in entries.stretch(&stretch).take(limit) {
            let key = layout.key_of_entry(order, entry)?;
            docs.push(layout.doc(&key, rows.get(&key).ok_or_else(damaged)?)?);
        }
        Ok(docs)
    }

    fn first(&mut self, table: &'static Table, index: usize) -> Result<Option<Value>> {
        let writes = self.writes;
        let Rows { layout, rows, indexes } = self.state.table(table.id)?;
        let order = layout.order(index)?;
        layout.check_scan(order, writes)?;
        let first = match indexes.get(index) {
            Some(entries) => entries.first(),
            None => rows.first_key_value().map(|(key, _)| &**key),
        };
        first.map(|entry| layout.first_of_entry(order, entry)).transpose()
    }
}
