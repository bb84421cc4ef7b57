//! What a connection knows of the database, and what a group of jobs changed in it.
//!
//! All rows of a namespace are guarded by the lock on its own row: whoever holds it is the only one
//! who changes them, and raises the namespace's revision with every change. So what was learned
//! under the lock holds as long as it is held, and again at the next time if the revision is the
//! same. If it is another, what the other nodes shipped with their commits brings it up to date; if
//! something of that is missing, all of it is forgotten. What was read without the lock is loose:
//! it is forgotten as soon as a new lock is taken.
//!
//! Where no other node has written for a while, the namespace's row is assumed to be as it was.
//! Then the lock is only taken along with the commit, which comes to nothing if that is not so.

mod guesses;
mod heads;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::quality::RandomState;
use model::Result;

use super::missing::Missing;
use super::part::{Bytes, Part, Row, is_global};
use super::shipment::Shipment;
use super::spans::End;
use crate::layout::{Layout, layout};
use crate::ordered::damaged;
use crate::{Table, Value, tables};
use guesses::Guesses;
use heads::Head;
pub(crate) use heads::{Seen, ids, seen};

/// Bytes of rows that are kept between groups.
const KEPT_BYTES_MAX: usize = 96 << 20;
/// The tables of which nothing is kept: an answer may be kept under a key without a change of the
/// revision, and nobody who writes looks at the history.
const NEVER_KEPT: [&Table; 2] = [&tables::REQUEST, &tables::HISTORY];

/// Rows by namespace, with the way back.
pub(crate) struct Known {
    pub(crate) layouts: &'static [Layout],
    /// By incarnation or lasting id of the namespace.
    kept: HashMap<i64, Part, RandomState>,
    /// The namespaces whose rows are locked, by the same ids.
    locked: HashSet<i64, RandomState>,
    /// Rows of namespaces that are not locked.
    loose: Part,
    /// Rows of tables that belong to no namespace.
    heads: Part,
    /// Stretches of orders that go through all namespaces.
    pub(crate) pages: Vec<Page>,
    /// Each namespace as it was when it was unlocked.
    seen: HashMap<Bytes, Head, RandomState>,
    /// The namespaces that this group assumes to be as they were.
    assumed: Vec<Bytes>,
    /// Whether more may be assumed: not once a transaction is open.
    may_assume: bool,
    /// What other nodes have shipped, until it is taken in.
    shipments: Vec<Shipment>,
    pub(crate) guesses: Guesses,
    changed: Vec<(usize, Bytes)>,
    undo: Vec<Undo>,
    /// At most the first field, encoded, of each order that goes through all namespaces.
    firsts: HashMap<(usize, usize), Option<Bytes>, RandomState>,
}

/// A stretch of an order that goes through all namespaces, as it is in the database.
pub(crate) struct Page {
    pub(crate) table: usize,
    pub(crate) index: usize,
    pub(crate) start: Vec<u8>,
    pub(crate) wanted_end: End,
    pub(crate) keys: Vec<Bytes>,
    /// The last entry; none if the page goes on to the end of the stretch.
    pub(crate) last: Option<Vec<u8>>,
}

struct Undo {
    table: usize,
    key: Bytes,
    old: Option<Row>,
}

/// A row that has to be written, or deleted if there is none now.
pub(crate) struct Difference {
    pub(crate) table: usize,
    pub(crate) key: Bytes,
    pub(crate) now: Option<Bytes>,
    /// Whether it is certain that there is none in the database.
    pub(crate) is_new: bool,
}

impl Known {
    /// Knows nothing.
    pub(crate) fn new(layouts: &'static [Layout]) -> Self {
        Self {
            loose: Part::new(layouts),
            heads: Part::new(layouts),
            layouts,
            kept: HashMap::default(),
            locked: HashSet::default(),
            pages: Vec::new(),
            seen: HashMap::default(),
            assumed: Vec::new(),
            may_assume: true,
            shipments: Vec::new(),
            guesses: Guesses::default(),
            changed: Vec::new(),
            undo: Vec::new(),
            firsts: HashMap::default(),
        }
    }

    /// Tells whether rows of a table are forgotten at the end of each group.
    pub(crate) fn is_never_kept(table: usize) -> bool {
        NEVER_KEPT.iter().any(|never| never.id == table)
    }

    /// Gives the layout of a table.
    pub(crate) fn layout(&self, table: &'static Table) -> Result<&'static Layout> {
        layout(self.layouts, table)
    }

    /// Tells whether a row belongs to a namespace that is locked.
    fn is_guarded(&self, layout: &Layout, key: &[u8]) -> Result<bool> {
        Ok(layout.namespace(key)?.is_some_and(|id| self.locked.contains(&id)))
    }

    /// Gives the part in which the rows of a namespace are, or those of tables that have none.
    pub(crate) fn part(&self, layout: &Layout, namespace: Option<i64>) -> &Part {
        match namespace {
            _ if layout.is_head() => &self.heads,
            Some(id) if self.locked.contains(&id) => self.kept.get(&id).unwrap_or(&self.loose),
            _ => &self.loose,
        }
    }

    fn part_mut(
        &mut self,
        table: usize,
        namespace: Option<i64>,
    ) -> Result<(&mut Part, &'static Layout)> {
        let layout = self.layouts.get(table).ok_or_else(damaged)?;
        let part = match namespace {
            _ if layout.is_head() => &mut self.heads,
            Some(id) if self.locked.contains(&id) => {
                self.kept.entry(id).or_insert_with(|| Part::new(self.layouts))
            }
            _ => &mut self.loose,
        };
        Ok((part, layout))
    }

    /// Gives a row, if it is known.
    pub(crate) fn row(&self, layout: &Layout, key: &[u8]) -> Result<Option<&Row>> {
        Ok(self.part(layout, layout.namespace(key)?).row(layout, key))
    }

    /// Takes note of a row as it is in the database; a head row is locked from now on.
    pub(crate) fn learn(&mut self, table: usize, key: Bytes, row: Option<Bytes>) -> Result<()> {
        let layout = self.layouts.get(table).ok_or_else(damaged)?;
        let namespace = layout.namespace(&key)?;
        if table == tables::NAMESPACE.id
            && let Some(row) = &row
        {
            let doc = layout.doc(&key, row)?;
            self.lock(&key, seen(&doc)?, row)?;
        }
        let (part, layout) = self.part_mut(table, namespace)?;
        part.learn(layout, key, row)
    }

    /// Tells whether a head row is locked.
    pub(crate) fn is_locked(&self, layout: &Layout, key: &[u8]) -> bool {
        self.heads.row(layout, key).is_some_and(|row| matches!(row.stored, Some(Some(_))))
    }

    /// Forgets what was read without a lock, because a new one was taken.
    pub(crate) fn drop_loose(&mut self) -> Result<()> {
        self.pages.clear();
        for layout in self.layouts {
            self.loose.retain(layout, |row| row.is_changed)?;
            self.heads
                .retain(layout, |row| row.is_changed || matches!(row.stored, Some(Some(_))))?;
        }
        Ok(())
    }

    /// Takes note that all rows in a stretch of a namespace's order are known.
    pub(crate) fn cover(
        &mut self,
        table: usize,
        index: usize,
        namespace: Option<i64>,
        start: &[u8],
        end: End,
    ) -> Result<()> {
        let (part, layout) = self.part_mut(table, namespace)?;
        part.cover(layout, index, start, end)
    }

    /// Changes a row; with `is_first` there never was one with this key.
    pub(crate) fn change(
        &mut self,
        table: usize,
        key: Bytes,
        new: Option<Bytes>,
        is_first: bool,
    ) -> Result<()> {
        self.lower_firsts(table, &key, new.as_deref())?;
        let layout = self.layouts.get(table).ok_or_else(damaged)?;
        let namespace = layout.namespace(&key)?;
        let (part, layout) = self.part_mut(table, namespace)?;
        let old = part.change(layout, &key, new, is_first)?;
        if !old.as_ref().is_some_and(|row| row.is_changed) {
            self.changed.push((table, Arc::clone(&key)));
        }
        self.undo.push(Undo { table, key, old });
        Ok(())
    }

    /// Counts the changes of this group so far.
    pub(crate) fn changes(&self) -> usize {
        self.undo.len()
    }

    /// Takes back all changes but the first `count`.
    pub(crate) fn undo_to(&mut self, count: usize) -> Result<()> {
        while self.undo.len() > count
            && let Some(Undo { table, key, old }) = self.undo.pop()
        {
            if !old.as_ref().is_some_and(|row| row.is_changed) {
                self.changed.pop();
            }
            let layout = self.layouts.get(table).ok_or_else(damaged)?;
            let namespace = layout.namespace(&key)?;
            let (part, layout) = self.part_mut(table, namespace)?;
            part.restore(layout, &key, old)?;
        }
        Ok(())
    }

    /// Gives the changed rows of a table, with the keys of those whose entry may be in a stretch.
    pub(crate) fn changed(&self, table: usize) -> impl Iterator<Item = &Bytes> {
        self.changed.iter().filter(move |(id, _)| *id == table).map(|(_, key)| key)
    }

    /// Gives what has to be done in the database.
    pub(crate) fn differences(&self) -> Result<Vec<Difference>> {
        let mut differences = Vec::with_capacity(self.changed.len());
        for (table, key) in &self.changed {
            let layout = self.layouts.get(*table).ok_or_else(damaged)?;
            let row = self.row(layout, key)?.ok_or_else(damaged)?;
            if row.stored.as_ref() != Some(&row.now) {
                // Nothing can lock a row that is not there: of two nodes that both add one that
                // belongs to no namespace, the primary key stops the second. Other rows that
                // nothing guards may come from several nodes, and are the same.
                let is_new = row.stored == Some(None)
                    && (layout.is_head() || self.is_guarded(layout, key)?);
                let (key, now) = (Arc::clone(key), row.now.clone());
                differences.push(Difference { table: *table, key, now, is_new });
            }
        }
        // Rows are written in one order by everyone, and neighbours share pages.
        differences.sort_unstable_by(|a, b| (a.table, &a.key).cmp(&(b.table, &b.key)));
        Ok(differences)
    }

    /// Ends a group that is in the database; what is known of the locked namespaces is kept.
    pub(crate) fn commit(&mut self) -> Result<()> {
        let namespaces = self.layouts.get(tables::NAMESPACE.id).ok_or_else(damaged)?;
        for (table, key) in std::mem::take(&mut self.changed) {
            let layout = self.layouts.get(table).ok_or_else(damaged)?;
            let namespace = layout.namespace(&key)?;
            if table == tables::NAMESPACE.id
                && let Some(row) = self.heads.row(namespaces, &key).and_then(|row| row.now.clone())
            {
                let seen = seen(&namespaces.doc(&key, &row)?)?;
                let contested = self.seen.get(&key).map_or(0, |head| head.contested);
                let contested = contested.saturating_sub(1);
                self.seen.insert(Arc::clone(&key), Head { seen, row, contested });
            }
            let (part, layout) = self.part_mut(table, namespace)?;
            if let Some(row) = part.row_mut(layout, &key) {
                row.stored = Some(row.now.clone());
                row.is_changed = false;
            }
        }
        self.end_group()
    }

    fn end_group(&mut self) -> Result<()> {
        self.undo.clear();
        self.pages.clear();
        self.assumed.clear();
        self.shipments.clear();
        self.guesses.end_group();
        self.may_assume = true;
        self.loose = Part::new(self.layouts);
        self.heads = Part::new(self.layouts);
        for id in self.locked.drain() {
            let Some(part) = self.kept.get_mut(&id) else { continue };
            for table in NEVER_KEPT {
                part.forget(layout(self.layouts, table)?)?;
            }
        }
        Ok(())
    }

    /// Tells whether more is kept than should be.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.values().map(Part::bytes).sum::<usize>() > KEPT_BYTES_MAX
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        let guesses = std::mem::take(&mut self.guesses);
        *self = Self::new(self.layouts);
        self.guesses = guesses.forgotten();
    }

    /// Tells whether all that is missing belongs to namespaces that are locked, or assumed to be
    /// as they were and to be locked in the end.
    pub(crate) fn guards(&self, missing: &Missing) -> Result<bool> {
        for (table, keys) in &missing.rows {
            let layout = self.layouts.get(*table).ok_or_else(damaged)?;
            for key in keys {
                if !self.is_guarded(layout, key)? {
                    return Ok(false);
                }
            }
        }
        for wanted in &missing.stretches {
            let layout = self.layouts.get(wanted.table).ok_or_else(damaged)?;
            if is_global(layout, wanted.index)? {
                return Ok(false);
            }
            let id = wanted.prefix.first().map(Value::as_int).transpose()?;
            if id.is_none_or(|id| !self.locked.contains(&id)) {
                return Ok(false);
            }
        }
        Ok(!missing.firsts)
    }

    /// Gives at most the first field of an order that goes through all namespaces; outer `None`
    /// where nobody has looked.
    pub(crate) fn first(&self, table: usize, index: usize) -> Option<Option<&Bytes>> {
        self.firsts.get(&(table, index)).map(Option::as_ref)
    }

    /// Takes note of the first field of an order that goes through all namespaces.
    pub(crate) fn learn_first(&mut self, table: usize, index: usize, first: Option<Bytes>) {
        self.firsts.insert((table, index), first);
    }

    /// Takes note of the first fields of all orders that go through all namespaces. What this group
    /// changed is not in the database yet.
    pub(crate) fn learn_firsts(
        &mut self,
        firsts: Vec<(usize, usize, Option<Bytes>)>,
    ) -> Result<()> {
        self.firsts = firsts.into_iter().map(|(table, index, it)| ((table, index), it)).collect();
        for (table, key) in std::mem::take(&mut self.changed) {
            let layout = self.layouts.get(table).ok_or_else(damaged)?;
            let row = self.row(layout, &key)?.and_then(|row| row.now.clone());
            self.lower_firsts(table, &key, row.as_deref())?;
            self.changed.push((table, key));
        }
        Ok(())
    }

    /// A row that comes first is noted at once; one that goes is only noted when somebody looks.
    fn lower_firsts(&mut self, table: usize, key: &[u8], new: Option<&[u8]>) -> Result<()> {
        let Some(new) = new else { return Ok(()) };
        let layout = self.layouts.get(table).ok_or_else(damaged)?;
        let mut fields = None;
        for (index, order) in layout.orders().iter().enumerate() {
            let Some(first) = self.firsts.get_mut(&(table, index)) else { continue };
            let fields = match &fields {
                Some(fields) => fields,
                None => fields.insert(layout.fields(key, new)?),
            };
            let field = order.fields.first().and_then(|field| fields.get(*field).copied());
            if let Some(Some(field)) = field
                && first.as_ref().is_none_or(|first| *field < **first)
            {
                *first = Some(field.into());
            }
        }
        Ok(())
    }
}
