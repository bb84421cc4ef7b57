//! What a group of transactions changed and is not on disk yet, over what was read lately.
//!
//! This process is the only writer, so what was read or written stays true between groups.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, OccupiedEntry};
use std::sync::Arc;

use foldhash::quality::RandomState;
use model::Result;

use super::disk::Rows;
use super::texts::Change;
use crate::entries::Entries;
use crate::index::Indexes;
use crate::layout::Layout;
use crate::ordered::damaged;

/// Bytes of rows that are remembered between groups, in each of two generations.
const GENERATION_BYTES_MAX: usize = 8 << 20;
/// About what a map needs for a row, apart from the row.
const ROW_BYTES: usize = 160;

type Bytes = Arc<[u8]>;

/// Rows by table, with the way back.
pub(crate) struct Overlay {
    tables: Vec<Known>,
    undo: Vec<Undo>,
    /// About how much memory the young generations take.
    bytes: usize,
}

/// What is known of one table.
struct Known {
    /// What was used lately; only here can rows differ from the disk.
    young: HashMap<Bytes, Row, RandomState>,
    /// What was used before that; it is forgotten when the young take its place.
    old: HashMap<Bytes, Row, RandomState>,
    /// The keys of rows that may differ from the disk.
    changed: Vec<Bytes>,
    indexes: Indexes,
}

/// A row as transactions see it and as it is on disk; `None` where there is none.
struct Row {
    now: Option<Bytes>,
    on_disk: Option<Bytes>,
    is_changed: bool,
}

/// A row as it was before a change.
struct Undo {
    table: usize,
    key: Bytes,
    row: Option<Bytes>,
}

impl Overlay {
    /// Takes the indexes that are kept in memory, by table.
    pub(crate) fn new(indexes: Vec<Indexes>) -> Self {
        let known = |indexes| Known {
            young: HashMap::default(),
            old: HashMap::default(),
            changed: Vec::new(),
            indexes,
        };
        Self { tables: indexes.into_iter().map(known).collect(), undo: Vec::new(), bytes: 0 }
    }

    /// Gives an index that is kept in memory.
    pub(crate) fn index(&self, layout: &Layout, index: usize) -> Result<&Entries> {
        let known = self.tables.get(layout.table.id);
        known.and_then(|known| known.indexes.get(index)).ok_or_else(damaged)
    }

    /// Gives a row, read from the disk if it is not known.
    pub(crate) fn row(
        &mut self,
        layout: &Layout,
        key: &[u8],
        disk: &mut Rows<'_>,
    ) -> Result<Option<&[u8]>> {
        let known = self.tables.get_mut(layout.table.id).ok_or_else(damaged)?;
        if !known.young.contains_key(key) {
            let (key, row) = match known.old.remove_entry(key) {
                Some(found) => found,
                None => (key.into(), Row::same(disk.load(key)?)),
            };
            self.bytes += row.bytes(&key);
            known.young.insert(key, row);
        }
        Ok(known.young.get(key).and_then(|row| row.now.as_deref()))
    }

    /// Takes note of a row that was found on disk by a scan.
    pub(crate) fn remember(&mut self, layout: &Layout, key: Vec<u8>, row: Vec<u8>) -> Result<()> {
        let known = self.tables.get_mut(layout.table.id).ok_or_else(damaged)?;
        if !known.young.contains_key(&*key) && !known.old.contains_key(&*key) {
            let row = Row::same(Some(row));
            self.bytes += row.bytes(&key);
            known.young.insert(key.into(), row);
        }
        Ok(())
    }

    /// Changes a row, with its indexes in memory; there can be none on disk if none is given.
    pub(crate) fn change(
        &mut self,
        layout: &Layout,
        key: &[u8],
        new: Option<Bytes>,
        disk: Option<&mut Rows<'_>>,
    ) -> Result<()> {
        let table = layout.table.id;
        let known = self.tables.get_mut(table).ok_or_else(damaged)?;
        let key = Bytes::from(key);
        let row = match known.young.entry(Arc::clone(&key)) {
            Entry::Occupied(row) => row,
            Entry::Vacant(place) => {
                let row = match (known.old.remove(&key), disk) {
                    (Some(row), _) => row,
                    (None, Some(disk)) => Row::same(disk.load(&key)?),
                    (None, None) => Row::same(None),
                };
                self.bytes += row.bytes(&key);
                place.insert_entry(row)
            }
        };
        let row = change(layout, row, new, &mut known.indexes, &mut known.changed)?;
        self.undo.push(Undo { table, key, row });
        Ok(())
    }

    /// Counts the changes of this group so far.
    pub(crate) fn changes(&self) -> usize {
        self.undo.len()
    }

    /// Takes back all changes but the first `count`.
    pub(crate) fn undo_to(&mut self, count: usize, layouts: &[Layout]) {
        for Undo { table, key, row } in self.undo.drain(count..).rev() {
            if let (Some(known), Some(layout)) = (self.tables.get_mut(table), layouts.get(table))
                && let Entry::Occupied(found) = known.young.entry(key)
            {
                // What was encoded before can be decoded again, so this cannot fail.
                let _ = change(layout, found, row, &mut known.indexes, &mut known.changed);
            }
        }
    }

    /// Brings the disk's rows of a table up to date, within its open transaction.
    pub(crate) fn flush(&mut self, layout: &Layout, disk: &mut Rows<'_>) -> Result<()> {
        let known = self.tables.get_mut(layout.table.id).ok_or_else(damaged)?;
        // Neighbours share pages.
        known.changed.sort_unstable();
        for key in known.changed.drain(..) {
            let row = known.young.get_mut(&key).ok_or_else(damaged)?;
            if let Some((change, bytes)) = row.difference(layout, &key)? {
                disk.write(change, &key, bytes)?;
            }
            row.on_disk.clone_from(&row.now);
            row.is_changed = false;
        }
        Ok(())
    }

    /// Ends a group that is on disk.
    pub(crate) fn commit(&mut self) {
        self.undo.clear();
    }

    /// Forgets what was not used for long; for between two groups, as it takes a while.
    pub(crate) fn forget(&mut self) {
        if self.bytes > GENERATION_BYTES_MAX {
            for Known { young, old, .. } in &mut self.tables {
                std::mem::swap(young, old);
                young.clear();
            }
            self.bytes = 0;
        }
    }

    /// Ends a group of which nothing reached the disk.
    pub(crate) fn roll_back(&mut self, layouts: &[Layout]) {
        self.undo_to(0, layouts);
        for known in &mut self.tables {
            known.young.clear();
            known.old.clear();
            known.changed.clear();
        }
        self.bytes = 0;
    }
}

/// Changes a row and gives what it was.
fn change(
    layout: &Layout,
    mut found: OccupiedEntry<'_, Bytes, Row>,
    new: Option<Bytes>,
    indexes: &mut Indexes,
    changed: &mut Vec<Bytes>,
) -> Result<Option<Bytes>> {
    indexes.change(layout, found.key(), found.get().now.as_deref(), new.as_deref())?;
    if !found.get().is_changed {
        changed.push(Arc::clone(found.key()));
    }
    let row = found.get_mut();
    row.is_changed = true;
    Ok(std::mem::replace(&mut row.now, new))
}

impl Row {
    fn same(row: Option<Vec<u8>>) -> Self {
        let row: Option<Bytes> = row.map(Bytes::from);
        Self { on_disk: row.clone(), now: row, is_changed: false }
    }

    fn bytes(&self, key: &[u8]) -> usize {
        ROW_BYTES + key.len() + self.now.as_ref().map_or(0, |row| row.len())
    }

    /// Tells what has to be done on disk, and for which row.
    fn difference<'a>(&'a self, layout: &Layout, key: &[u8]) -> Result<Option<(Change, &'a [u8])>> {
        Ok(match (self.on_disk.as_deref(), self.now.as_deref()) {
            (None, None) => None,
            (None, Some(new)) => Some((Change::Insert, new)),
            (Some(old), None) => Some((Change::Delete, old)),
            (Some(old), Some(new)) if old == new => None,
            (Some(old), Some(new)) => {
                let (old, fields) = (layout.fields(key, old)?, layout.fields(key, new)?);
                let pairs = old.iter().zip(&fields).skip(layout.table.key.len()).enumerate();
                let differ = pairs.filter(|(_, (old, new))| old != new);
                Some((Change::Update(differ.map(|(place, _)| 1 << place).sum()), new))
            }
        })
    }
}
