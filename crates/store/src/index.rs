//! The indexes that a store keeps in memory.

use model::Result;

use crate::entries::Entries;
use crate::layout::{Fields, Layout};

/// The indexes of one table; `None` where the store keeps one elsewhere.
#[derive(Debug)]
pub(crate) struct Indexes(pub(crate) Vec<Option<Entries>>);

impl Indexes {
    /// Follows the change of a row.
    pub(crate) fn change(
        &mut self,
        layout: &Layout,
        key: &[u8],
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<()> {
        if self.0.iter().all(Option::is_none) {
            return Ok(());
        }
        // A row that is not there has no entry, as has one of nulls.
        let none = Fields::default();
        let old = old.map_or(Ok(none), |row| layout.fields(key, row))?;
        let new = new.map_or(Ok(none), |row| layout.fields(key, row))?;
        for (order, entries) in layout.orders().iter().zip(&mut self.0) {
            if let (Some(entries), true) = (entries, order.differs(&old, &new)) {
                if let Some(old) = order.entry(&old) {
                    entries.remove(&old);
                }
                if let Some(new) = order.entry(&new) {
                    entries.insert(&new);
                }
            }
        }
        Ok(())
    }

    /// Gives the entries of an index that is kept here.
    pub(crate) fn get(&self, index: usize) -> Option<&Entries> {
        self.0.get(index)?.as_ref()
    }
}
