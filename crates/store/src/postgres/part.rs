//! What is known of a part of the database: rows, and stretches of their orders.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use foldhash::quality::RandomState;
use model::Result;

use super::spans::{End, Spans};
use crate::PRIMARY;
use crate::layout::{Fields, Layout};
use crate::ordered::{Stretch, damaged};

/// Encoded keys, rows and entries.
pub(crate) type Bytes = Arc<[u8]>;

/// About what maps and the entries of a row need, apart from the row.
const ROW_BYTES: usize = 500;

/// A part of the database, by table.
#[derive(Debug)]
pub(crate) struct Part {
    tables: Vec<Rows>,
    bytes: usize,
}

/// The rows of one table in a part.
#[derive(Debug, Default)]
struct Rows {
    rows: HashMap<Bytes, Row, RandomState>,
    /// One for each index, and the last for the primary key.
    orders: Vec<Walk>,
}

/// The entries of known rows in one order, and where no other rows can be.
#[derive(Debug, Default)]
struct Walk {
    entries: BTreeSet<Bytes>,
    spans: Spans,
}

/// A row as transactions see it, and as it is in the database.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// `None` where there is none.
    pub(crate) now: Option<Bytes>,
    /// `None` where nobody has looked.
    pub(crate) stored: Option<Option<Bytes>>,
    pub(crate) is_changed: bool,
}

/// What a walk through an order found.
pub(crate) enum Walked {
    /// Everything that was asked for: the keys of the rows.
    All(Vec<Bytes>),
    /// Everything from here on is unknown; so many entries before it are known.
    UpTo(End, u32),
}

impl Part {
    /// Makes a part of which nothing is known.
    pub(crate) fn new(layouts: &[Layout]) -> Self {
        let rows = |layout: &Layout| Rows {
            rows: HashMap::default(),
            orders: (0..=layout.orders().len()).map(|_| Walk::default()).collect(),
        };
        Self { tables: layouts.iter().map(rows).collect(), bytes: 0 }
    }

    /// Tells about how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives a row, if it is known.
    pub(crate) fn row(&self, layout: &Layout, key: &[u8]) -> Option<&Row> {
        self.tables.get(layout.table.id)?.rows.get(key)
    }

    /// Gives a row to mark it.
    pub(crate) fn row_mut(&mut self, layout: &Layout, key: &[u8]) -> Option<&mut Row> {
        self.tables.get_mut(layout.table.id)?.rows.get_mut(key)
    }

    /// Takes note of a row as it is in the database, unless something newer is known.
    pub(crate) fn learn(
        &mut self,
        layout: &Layout,
        key: Bytes,
        stored: Option<Bytes>,
    ) -> Result<()> {
        let rows = self.tables.get_mut(layout.table.id).ok_or_else(damaged)?;
        let Entry::Vacant(place) = rows.rows.entry(Arc::clone(&key)) else { return Ok(()) };
        self.bytes += bytes(&key, stored.as_ref());
        let now = stored.clone();
        place.insert(Row { now: now.clone(), stored: Some(stored), is_changed: false });
        follow(&mut rows.orders, layout, &key, None, now.as_deref())
    }

    /// Takes note that a row has changed in the database, known or not.
    pub(crate) fn replace(
        &mut self,
        layout: &Layout,
        key: Bytes,
        stored: Option<Bytes>,
    ) -> Result<()> {
        self.change(layout, &key, stored.clone(), false)?;
        if let Some(row) = self.row_mut(layout, &key) {
            (row.stored, row.is_changed) = (Some(stored), false);
        }
        Ok(())
    }

    /// Changes a row, known or not, and gives what was known of it; with `is_first` there never was
    /// one with this key.
    pub(crate) fn change(
        &mut self,
        layout: &Layout,
        key: &Bytes,
        new: Option<Bytes>,
        is_first: bool,
    ) -> Result<Option<Row>> {
        let rows = self.tables.get_mut(layout.table.id).ok_or_else(damaged)?;
        let old = rows.rows.get(key).cloned();
        let was = old.as_ref().and_then(|row| row.now.as_deref());
        follow(&mut rows.orders, layout, key, was, new.as_deref())?;
        let stored = match &old {
            Some(row) => row.stored.clone(),
            None => is_first.then_some(None),
        };
        match &old {
            None => self.bytes += bytes(key, new.as_ref()),
            Some(old) => {
                let (was, is) = (length(old.now.as_ref()), length(new.as_ref()));
                self.bytes = (self.bytes + is).saturating_sub(was);
            }
        }
        rows.rows.insert(Arc::clone(key), Row { now: new, stored, is_changed: true });
        Ok(old)
    }

    /// Takes a change back.
    pub(crate) fn restore(&mut self, layout: &Layout, key: &Bytes, old: Option<Row>) -> Result<()> {
        let rows = self.tables.get_mut(layout.table.id).ok_or_else(damaged)?;
        let now = rows.rows.get(key).and_then(|row| row.now.clone());
        let was = old.as_ref().and_then(|row| row.now.as_deref());
        follow(&mut rows.orders, layout, key, now.as_deref(), was)?;
        let is = length(now.as_ref());
        match old {
            Some(old) => {
                self.bytes = (self.bytes + length(old.now.as_ref())).saturating_sub(is);
                rows.rows.insert(Arc::clone(key), old);
            }
            None => {
                self.bytes = self.bytes.saturating_sub(bytes(key, now.as_ref()));
                rows.rows.remove(key);
            }
        }
        Ok(())
    }

    /// Walks through an order.
    pub(crate) fn walk(
        &self,
        layout: &Layout,
        index: usize,
        stretch: &Stretch,
        limit: u32,
    ) -> Result<Walked> {
        let walk = self.order(layout, index)?;
        let (start, end) = stretch.parts();
        let Some(known) = walk.spans.end_of(start) else {
            return Ok(Walked::UpTo(End(Some(start.to_vec())), 0));
        };
        let is_whole = known.reaches(end);
        let stop = if is_whole { end } else { known.0.as_deref() };
        let stop = stop.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = walk.entries.range::<[u8], _>((Bound::Included(start), stop));
        let entries: Vec<_> = entries.take(limit as usize).collect();
        if !is_whole && entries.len() < limit as usize {
            let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            return Ok(Walked::UpTo(known.clone(), count));
        }
        let order = layout.order(index)?;
        let key = |entry: &&Bytes| layout.key_of_entry(order, entry).map(Bytes::from);
        Ok(Walked::All(entries.iter().map(key).collect::<Result<_>>()?))
    }

    /// Takes note that all rows of a stretch are known.
    pub(crate) fn cover(
        &mut self,
        layout: &Layout,
        index: usize,
        start: &[u8],
        end: End,
    ) -> Result<()> {
        let walk = self.tables.get_mut(layout.table.id).ok_or_else(damaged)?;
        walk.orders.get_mut(place(layout, index)).ok_or_else(damaged)?.spans.add(start, end);
        Ok(())
    }

    /// Forgets that there is no row with a key.
    pub(crate) fn forget_row(&mut self, layout: &Layout, key: &[u8]) -> Result<()> {
        let rows = self.tables.get_mut(layout.table.id).ok_or_else(damaged)?;
        if let Some((key, row)) = rows.rows.remove_entry(key) {
            self.bytes = self.bytes.saturating_sub(bytes(&key, row.now.as_ref()));
            follow(&mut rows.orders, layout, &key, row.now.as_deref(), None)?;
        }
        Ok(())
    }

    /// Forgets a table, but not its changes.
    pub(crate) fn forget(&mut self, layout: &Layout) -> Result<()> {
        self.retain(layout, |row| row.is_changed)
    }

    /// Forgets rows, and all stretches.
    pub(crate) fn retain(
        &mut self,
        layout: &Layout,
        mut keep: impl FnMut(&Row) -> bool,
    ) -> Result<()> {
        let Rows { rows, orders } = self.tables.get_mut(layout.table.id).ok_or_else(damaged)?;
        orders.iter_mut().for_each(|walk| walk.spans.clear());
        let gone: Vec<_> = rows.extract_if(|_, row| !keep(row)).collect();
        for (key, row) in gone {
            self.bytes = self.bytes.saturating_sub(bytes(&key, row.now.as_ref()));
            follow(orders, layout, &key, row.now.as_deref(), None)?;
        }
        Ok(())
    }

    fn order(&self, layout: &Layout, index: usize) -> Result<&Walk> {
        let rows = self.tables.get(layout.table.id);
        rows.and_then(|rows| rows.orders.get(place(layout, index))).ok_or_else(damaged)
    }
}

/// Tells about how much memory a row takes.
fn bytes(key: &Bytes, row: Option<&Bytes>) -> usize {
    ROW_BYTES + key.len() + length(row)
}

fn length(row: Option<&Bytes>) -> usize {
    row.map_or(0, |row| row.len())
}

fn place(layout: &Layout, index: usize) -> usize {
    if index == PRIMARY { layout.orders().len() } else { index }
}

/// Tells whether an order goes through all namespaces, one after another or mixed.
pub(crate) fn is_global(layout: &Layout, index: usize) -> Result<bool> {
    let first = layout.order(index)?.fields.first();
    Ok(layout.is_head() || first != Some(&0))
}

/// Lets the orders follow the change of a row.
fn follow(
    orders: &mut [Walk],
    layout: &Layout,
    key: &[u8],
    old: Option<&[u8]>,
    new: Option<&[u8]>,
) -> Result<()> {
    let none = Fields::default();
    let (was, is) = (old.is_some(), new.is_some());
    let old = old.map_or(Ok(none), |row| layout.fields(key, row))?;
    let new = new.map_or(Ok(none), |row| layout.fields(key, row))?;
    for (order, walk) in layout.orders().iter().zip(orders.iter_mut()) {
        // What goes through all namespaces is never walked through here.
        if order.fields.first() == Some(&0) && order.differs(&old, &new) {
            if let Some(old) = order.entry(&old) {
                walk.entries.remove(&*old);
            }
            if let Some(new) = order.entry(&new) {
                walk.entries.insert(new.into());
            }
        }
    }
    if let (Some(primary), true) = (orders.last_mut(), was != is) {
        match is {
            true => drop(primary.entries.insert(key.into())),
            false => drop(primary.entries.remove(key)),
        }
    }
    Ok(())
}
