//! The one thread that writes: it runs what is queued as one group and commits it once.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use model::Result;

use super::checkpoint::{Checkpointer, Log};
use super::disk::Disk;
use super::overlay::Overlay;
use crate::inbox::Inbox;
use crate::layout::{Layout, layout};
use crate::ordered::damaged;
use crate::run::run;
use crate::side::answer;
use crate::{Doc, Job, Kept, Key, Range, Table, Tx, Value};

/// The longest time to wait for more jobs when there could be some.
const GATHER_MAX: Duration = Duration::from_micros(500);
/// Jobs in one group.
const JOBS_MAX: usize = 512;
/// Changed rows after which a group takes no further job, so that nobody waits for long.
const CHANGES_MAX: usize = 2_048;

/// What the writer thread owns.
pub(crate) struct Writer {
    pub(crate) layouts: Arc<[Layout]>,
    pub(crate) disk: Disk,
    pub(crate) overlay: Overlay,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) log: Log,
    /// Keeps other processes away for as long as the thread lives.
    pub(crate) lock: File,
}

impl Writer {
    /// Runs until the inbox is closed and empty.
    pub(crate) fn run(mut self) {
        let mut expected = 1;
        loop {
            let mut jobs = self.inbox.gather(JOBS_MAX, expected, GATHER_MAX);
            if jobs.is_empty() {
                break;
            }
            // Those who are answered together mostly come again together, and a commit costs the
            // same for few as for many.
            expected = jobs.len().div_ceil(2);
            while !jobs.is_empty() {
                self.group(&mut jobs);
                self.overlay.forget();
            }
        }
        // The last connection to close empties the log into the database; then another may open.
        self.checkpointer.end();
        drop(self.disk);
        drop(self.lock);
    }

    /// Runs jobs from the front in one transaction, and answers them.
    fn group(&mut self, jobs: &mut VecDeque<Box<dyn Job>>) {
        let mut outcomes = Vec::with_capacity(jobs.len());
        match self.run_and_commit(jobs, &mut outcomes) {
            Ok(()) => outcomes.into_iter().for_each(|(job, outcome)| answer(job, outcome)),
            Err(error) => {
                self.disk.roll_back();
                self.overlay.roll_back(&self.layouts);
                // Even a refusal may rest on what did not come to be. Jobs that did not run yet
                // would meet the same error.
                let ran = outcomes.into_iter().map(|(job, _)| job);
                ran.chain(jobs.drain(..)).for_each(|job| answer(job, Err(error.clone())));
            }
        }
    }

    fn run_and_commit(
        &mut self,
        jobs: &mut VecDeque<Box<dyn Job>>,
        outcomes: &mut Vec<(Box<dyn Job>, Result<()>)>,
    ) -> Result<()> {
        self.checkpointer.check()?;
        if self.log.is_long() {
            self.log = self.disk.checkpoint();
        }
        self.disk.begin()?;
        while self.overlay.changes() < CHANGES_MAX {
            let Some(mut job) = jobs.pop_front() else { break };
            let before = self.overlay.changes();
            let Self { layouts, disk, overlay, .. } = self;
            let outcome = run(&mut *job, &mut WriteTx { layouts, disk, overlay });
            if outcome.is_err() {
                self.overlay.undo_to(before, &self.layouts);
            }
            outcomes.push((job, outcome));
            self.disk.check()?;
        }
        for layout in &*self.layouts {
            self.overlay.flush(layout, &mut self.disk.rows(layout))?;
        }
        self.disk.commit()?;
        if self.overlay.changes() > 0 {
            self.log = self.disk.log();
            self.checkpointer.committed(self.log);
        }
        self.overlay.commit();
        Ok(())
    }
}

/// A transaction over the overlay.
struct WriteTx<'a> {
    layouts: &'a [Layout],
    disk: &'a Disk,
    overlay: &'a mut Overlay,
}

impl WriteTx<'_> {
    /// Puts rows into the overlay; of those whose keys are new there can be none on disk.
    fn change_all(&mut self, table: &'static Table, docs: Vec<Doc>, are_new: bool) -> Result<()> {
        let layout = layout(self.layouts, table)?;
        let mut disk = self.disk.rows(layout);
        let mut row = Vec::new();
        for doc in docs {
            let (key, row) = (layout.key(&doc.key)?, layout.write_row(&doc, &mut row)?.into());
            let disk = (!are_new).then_some(&mut disk);
            self.overlay.change(layout, &key, Some(row), disk)?;
        }
        Ok(())
    }
}

impl Tx for WriteTx<'_> {
    fn load(&mut self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Doc>>> {
        let layout = layout(self.layouts, table)?;
        let mut disk = self.disk.rows(layout);
        let mut docs = Vec::with_capacity(keys.len());
        for key in keys {
            let key = layout.key(key)?;
            let row = self.overlay.row(layout, &key, &mut disk)?;
            docs.push(row.map(|row| layout.doc(&key, row)).transpose()?);
        }
        Ok(docs)
    }

    fn save(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.change_all(table, docs, false)
    }

    fn insert(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.change_all(table, docs, true)
    }

    fn remove(&mut self, table: &'static Table, keys: &[Key]) -> Result<()> {
        let layout = layout(self.layouts, table)?;
        let mut disk = self.disk.rows(layout);
        for key in keys {
            self.overlay.change(layout, &layout.key(key)?, None, Some(&mut disk))?;
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
        let layout = layout(self.layouts, table)?;
        let order = layout.order(index)?;
        let Some(stretch) = layout.stretch(order, range)? else { return Ok(Vec::new()) };
        let mut docs = Vec::new();
        if order.kept == Kept::InMemory {
            let entries = self.overlay.index(layout, index)?.stretch(&stretch);
            let keys = entries.take(limit as usize).map(|entry| layout.key_of_entry(order, entry));
            let keys: Vec<_> = keys.collect::<Result<_>>()?;
            let mut disk = self.disk.rows(layout);
            for key in keys {
                let row = self.overlay.row(layout, &key, &mut disk)?.ok_or_else(damaged)?;
                docs.push(layout.doc(&key, row)?);
            }
            return Ok(docs);
        }
        self.overlay.flush(layout, &mut self.disk.rows(layout))?;
        for (key, row) in self.disk.scan(layout, index, order, range, limit)? {
            docs.push(layout.doc(&key, &row)?);
            self.overlay.remember(layout, key, row)?;
        }
        Ok(docs)
    }

    fn first(&mut self, table: &'static Table, index: usize) -> Result<Option<Value>> {
        let layout = layout(self.layouts, table)?;
        let order = layout.order(index)?;
        if order.kept == Kept::InMemory {
            let first = self.overlay.index(layout, index)?.first();
            return first.map(|entry| layout.first_of_entry(order, entry)).transpose();
        }
        self.overlay.flush(layout, &mut self.disk.rows(layout))?;
        self.disk.first(layout, index, order)
    }
}
