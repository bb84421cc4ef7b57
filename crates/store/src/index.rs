//! The indexes that a store keeps in memory.

use model::Result;

use crate::entries::Entries;
use crate::layout::{Fields, Layout};

/// The indexes of one table; `None` where the store keeps one elsewhere.
#[derive(Debug)]
pub(crate) struct Indexes {
    indexes: Vec<Option<Entries>>,
    /// Where an entry is put together.
    entry: Vec<u8>,
}

impl Indexes {
    pub(crate) fn new(indexes: Vec<Option<Entries>>) -> Self {
        Self { indexes, entry: Vec::new() }
    }

    /// Follows the change of a row.
    pub(crate) fn change(
        &mut self,
        layout: &Layout,
        key: &[u8],
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<()> {
        if self.indexes.iter().all(Option::is_none) {
            return Ok(());
        }
        let (was, is) = (old.is_some(), new.is_some());
        let (mut old, mut new) = (columns(layout, old)?, columns(layout, new)?);
        let mut has_key = false;
        for (order, entries) in layout.orders().iter().zip(&mut self.indexes) {
            let Some(entries) = entries else { continue };
            // The key of a row never changes, so what its columns say decides.
            if was == is && !order.differs(&old, &new) {
                continue;
            }
            if !has_key {
                layout.find_key(key, &mut old)?;
                layout.find_key(key, &mut new)?;
                has_key = true;
            }
            if was && let Some(old) = order.write_entry(&old, &mut self.entry) {
                entries.remove(old);
            }
            if is && let Some(new) = order.write_entry(&new, &mut self.entry) {
                entries.insert(new);
            }
        }
        Ok(())
    }

    /// Gives the entries of an index that is kept here.
    pub(crate) fn get(&self, index: usize) -> Option<&Entries> {
        self.indexes.get(index)?.as_ref()
    }
}

/// Finds what a row says apart from its key; one that is not there says nothing.
fn columns<'a>(layout: &Layout, row: Option<&'a [u8]>) -> Result<Fields<'a>> {
    row.map_or(Ok(Fields::default()), |row| layout.columns(row).map(|(fields, _)| fields))
}
