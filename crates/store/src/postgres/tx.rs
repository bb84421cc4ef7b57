//! A transaction over what is known. What is not known yet is noted as missing; the job is then run
//! again once it was fetched.

use std::sync::Arc;

use model::{Error, Result};

use super::known::{Known, Page};
use super::missing::{Missing, Wanted};
use super::part::{Bytes, Walked, is_global};
use super::spans::End;
use crate::layout::{Layout, Order};
use crate::ordered::{Stretch, damaged};
use crate::run::run;
use crate::{Doc, Job, Key, Range, Table, Tx, Value};

/// Rows that are fetched at once for a stretch of which less was asked for: the next job will ask
/// for the rows behind it.
const AHEAD: u32 = 128;
/// Rows that are fetched at once at most.
const PAGE_MAX: u32 = 10_000;

/// Runs a job; tells whether something was missing, so that its outcome is worth nothing.
pub(crate) fn attempt(
    job: &mut dyn Job,
    known: &mut Known,
    missing: &mut Missing,
    writes: bool,
) -> (Result<()>, bool) {
    let mut tx = KnownTx { known, missing, writes, is_short: false, walked: false };
    let outcome = run(job, &mut tx);
    (outcome, tx.is_short)
}

struct KnownTx<'a> {
    known: &'a mut Known,
    missing: &'a mut Missing,
    writes: bool,
    /// Whether something was missing.
    is_short: bool,
    /// Whether an order that goes through all namespaces was walked, so that its first entry has to
    /// be told exactly.
    walked: bool,
}

impl KnownTx<'_> {
    /// The answer of an operation that could not be done yet; nobody above the store sees it.
    fn short(&mut self) -> Error {
        self.is_short = true;
        Error::Unavailable("rows are still being fetched".to_owned())
    }

    fn may_write(&self) -> Result<()> {
        if self.writes { Ok(()) } else { Err(Error::Internal("a read may not write".to_owned())) }
    }

    fn put(&mut self, table: &'static Table, docs: Vec<Doc>, is_first: bool) -> Result<()> {
        self.may_write()?;
        let layout = self.known.layout(table)?;
        for doc in docs {
            let (key, row) = (layout.key(&doc.key)?, layout.row(&doc)?);
            self.known.change(table.id, key.into(), Some(row.into()), is_first)?;
        }
        Ok(())
    }

    fn docs(&self, layout: &Layout, keys: &[Bytes]) -> Result<Vec<Doc>> {
        let doc = |key: &Bytes| {
            let row = self.known.row(layout, key)?.and_then(|row| row.now.as_ref());
            layout.doc(key, row.ok_or_else(damaged)?)
        };
        keys.iter().map(doc).collect()
    }

    /// Walks through an order within one namespace.
    fn walk(
        &mut self,
        layout: &Layout,
        index: usize,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<Bytes>> {
        let order = layout.order(index)?;
        let Some(stretch) = layout.stretch(order, range)? else { return Ok(Vec::new()) };
        let namespace = range.prefix.first().map(Value::as_int).transpose()?;
        match self.known.part(layout, namespace).walk(layout, index, &stretch, limit)? {
            Walked::All(keys) => Ok(keys),
            Walked::UpTo(reached, count) => {
                let limit = limit.saturating_sub(count).max(AHEAD);
                let mut wanted = wanted(layout, index, range, &stretch, limit)?;
                // Known rows may all have left the stretch, so it is the place that tells.
                if reached.0.as_ref() != Some(&wanted.start) {
                    go_on(layout, order, range, &mut wanted, &reached);
                }
                self.missing.stretch(wanted);
                Err(self.short())
            }
        }
    }

    /// Walks through an order of all namespaces: what is in the database, and what was changed.
    fn walk_all(
        &mut self,
        layout: &Layout,
        index: usize,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<Bytes>> {
        self.walked = true;
        let order = layout.order(index)?;
        let Some(stretch) = layout.stretch(order, range)? else { return Ok(Vec::new()) };
        let mut wanted = wanted(layout, index, range, &stretch, limit)?;
        let is_it = |page: &&Page| {
            (page.table, page.index) == (wanted.table, wanted.index)
                && page.start == wanted.start
                && page.wanted_end == wanted.end
        };
        let Some(page) = self.known.pages.iter().find(is_it) else {
            self.missing.stretch(wanted);
            return Err(self.short());
        };
        let mut entries = Vec::with_capacity(page.keys.len());
        for key in page.keys.iter().chain(self.known.changed(layout.table.id)) {
            entries.extend(self.entry(layout, order, &stretch, key)?);
        }
        entries.sort_unstable();
        entries.dedup();
        if let Some(last) = &page.last {
            // Behind the page there may be other rows, before what was changed.
            entries.retain(|(entry, _)| entry <= last);
            if entries.len() < limit as usize {
                let fetched = u32::try_from(page.keys.len()).unwrap_or(u32::MAX);
                wanted.limit = fetched.saturating_mul(2).max(limit);
                self.missing.stretch(wanted);
                return Err(self.short());
            }
        }
        entries.truncate(limit as usize);
        Ok(entries.into_iter().map(|(_, key)| key).collect())
    }

    /// Gives the entry of a row as it is now, if it lies in a stretch.
    fn entry(
        &self,
        layout: &Layout,
        order: &Order,
        stretch: &Stretch,
        key: &Bytes,
    ) -> Result<Option<(Vec<u8>, Bytes)>> {
        let Some(row) = self.known.row(layout, key)?.and_then(|row| row.now.as_ref()) else {
            return Ok(None);
        };
        let entry = order.entry(&layout.fields(key, row)?);
        Ok(entry.filter(|entry| stretch.holds(entry)).map(|entry| (entry, Arc::clone(key))))
    }
}

/// Says what to fetch for a range.
pub(crate) fn wanted(
    layout: &Layout,
    index: usize,
    range: &Range,
    stretch: &Stretch,
    limit: u32,
) -> Result<Wanted> {
    let (start, end) = stretch.parts();
    Ok(Wanted {
        table: layout.table.id,
        index,
        prefix: range.prefix.clone(),
        above: range.after.iter().cloned().collect(),
        upto: range.upto.clone(),
        start: start.to_vec(),
        end: End(end.map(<[u8]>::to_vec)),
        limit: limit.min(PAGE_MAX),
    })
}

/// Starts where what is known ends, if that is just behind an entry; else it starts over, with so
/// many rows that it comes further.
fn go_on(layout: &Layout, order: &Order, range: &Range, wanted: &mut Wanted, reached: &End) {
    let entry = reached.0.as_deref().and_then(|end| end.strip_suffix(&[0]));
    match entry.map(|entry| layout.values_of_entry(order, entry)) {
        Some(Ok(mut values)) => {
            wanted.above = values.split_off(range.prefix.len().min(values.len()));
            wanted.start = reached.0.clone().unwrap_or_default();
        }
        // The end of another stretch is no entry.
        Some(Err(_)) | None => wanted.limit = PAGE_MAX,
    }
}

impl Tx for KnownTx<'_> {
    fn load(&mut self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Doc>>> {
        let layout = self.known.layout(table)?;
        let mut docs = Vec::with_capacity(keys.len());
        let mut is_short = false;
        for key in keys {
            let key = layout.key(key)?;
            if self.writes
                && self.known.row(layout, &key)?.is_none()
                && !self.known.assume(layout, &key)?
            {
                self.known.guess(layout, &key)?;
            }
            match self.known.row(layout, &key)? {
                Some(row) => {
                    docs.push(row.now.as_ref().map(|row| layout.doc(&key, row)).transpose()?);
                }
                None => {
                    self.missing.row(table.id, key);
                    is_short = true;
                }
            }
        }
        if is_short { Err(self.short()) } else { Ok(docs) }
    }

    fn save(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.put(table, docs, false)
    }

    fn insert(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.put(table, docs, true)
    }

    fn remove(&mut self, table: &'static Table, keys: &[Key]) -> Result<()> {
        self.may_write()?;
        let layout = self.known.layout(table)?;
        for key in keys {
            self.known.change(table.id, layout.key(key)?.into(), None, false)?;
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
        let layout = self.known.layout(table)?;
        layout.check_scan(layout.order(index)?, self.writes)?;
        // A page of no rows would be taken for one behind which there are none.
        if limit == 0 {
            return layout.stretch(layout.order(index)?, range).map(|_| Vec::new());
        }
        let keys = if is_global(layout, index)? || range.prefix.is_empty() {
            self.walk_all(layout, index, range, limit)?
        } else {
            self.walk(layout, index, range, limit)?
        };
        self.docs(layout, &keys)
    }

    fn first(&mut self, table: &'static Table, index: usize) -> Result<Option<Value>> {
        let layout = self.known.layout(table)?;
        let order = layout.order(index)?;
        if self.walked || !is_global(layout, index)? || layout.is_head() {
            let keys = self.walk_all(layout, index, &Range::default(), 1)?;
            let Some(key) = keys.first() else {
                self.known.learn_first(table.id, index, None);
                return Ok(None);
            };
            let all = layout.stretch(order, &Range::default())?.ok_or_else(damaged)?;
            let (entry, _) = self.entry(layout, order, &all, key)?.ok_or_else(damaged)?;
            let first = layout.first_of_entry(order, &entry)?;
            self.known.learn_first(table.id, index, Some(layout.first_field(order, &entry)?));
            return Ok(Some(first));
        }
        match self.known.first(table.id, index) {
            Some(first) => first.map(|entry| layout.first_of_entry(order, entry)).transpose(),
            None => {
                self.missing.firsts = true;
                Err(self.short())
            }
        }
    }
}
