//! Threads that read: each with its own connection and one snapshot for each job.

use std::sync::Arc;

use model::{Error, Result};

use super::disk::Disk;
use crate::inbox::Inbox;
use crate::layout::{Layout, layout};
use crate::run::run;
use crate::side::answer;
use crate::{Doc, Key, Range, Table, Tx, Value};

/// What a reading thread owns.
pub(crate) struct Reader {
    pub(crate) layouts: Arc<[Layout]>,
    pub(crate) disk: Disk,
    pub(crate) inbox: Arc<Inbox>,
}

impl Reader {
    /// Runs until the inbox is closed and empty.
    pub(crate) fn run(mut self) {
        while let Some(mut job) = self.inbox.take(1).pop_front() {
            let outcome = self.disk.begin_read().and_then(|()| run(&mut *job, &mut self));
            self.disk.roll_back();
            answer(job, outcome);
        }
    }
}

impl Tx for Reader {
    fn load(&mut self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Doc>>> {
        let layout = layout(&self.layouts, table)?;
        let mut rows = self.disk.rows(layout);
        let mut docs = Vec::with_capacity(keys.len());
        for key in keys {
            let key = layout.key(key)?;
            docs.push(rows.load(&key)?.map(|row| layout.doc(&key, &row)).transpose()?);
        }
        Ok(docs)
    }

    fn save(&mut self, _: &'static Table, _: Vec<Doc>) -> Result<()> {
        Err(Error::Internal("a read may not write".to_owned()))
    }

    fn insert(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.save(table, docs)
    }

    fn remove(&mut self, _: &'static Table, _: &[Key]) -> Result<()> {
        Err(Error::Internal("a read may not write".to_owned()))
    }

    fn scan(
        &mut self,
        table: &'static Table,
        index: usize,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<Doc>> {
        let layout = layout(&self.layouts, table)?;
        let order = layout.order(index)?;
        layout.check_scan(order, false)?;
        if layout.stretch(order, range)?.is_none() {
            return Ok(Vec::new());
        }
        let found = self.disk.scan(layout, index, order, range, limit)?;
        found.iter().map(|(key, row)| layout.doc(key, row)).collect()
    }

    fn first(&mut self, table: &'static Table, index: usize) -> Result<Option<Value>> {
        let layout = layout(&self.layouts, table)?;
        let order = layout.order(index)?;
        layout.check_scan(order, false)?;
        self.disk.first(layout, index, order)
    }
}
