//! Guesses that a row is not there, which save looking.
//!
//! Nearly every unit that is added has a new name. So a writer that takes itself to be alone
//! guesses that a unit of which it knows nothing is not there. If it is then inserted, the primary
//! key says whether that was right; a guess that nothing proves is taken back before the group is
//! sent.

use model::Result;

use super::Known;
use crate::layout::Layout;
use crate::ordered::damaged;
use crate::postgres::part::Bytes;
use crate::tables;

/// Groups for which nothing is guessed after a wrong guess.
const CAREFUL: u32 = 4_096;

/// What this group has guessed, and whether it may.
#[derive(Default)]
pub(crate) struct Guesses {
    made: Vec<Bytes>,
    /// For so many groups still, nothing is guessed.
    careful: u32,
}

impl Guesses {
    pub(super) fn end_group(&mut self) {
        self.made.clear();
        self.careful = self.careful.saturating_sub(1);
    }

    /// What is left of it once everything is forgotten.
    pub(super) fn forgotten(self) -> Self {
        Self { made: Vec::new(), ..self }
    }

    /// Guesses nothing for some time.
    pub(crate) fn be_careful(&mut self) {
        self.careful = CAREFUL;
    }
}

impl Known {
    /// Guesses that a row is not there, if that is worth it; tells whether it was guessed.
    pub(crate) fn guess(&mut self, layout: &Layout, key: &[u8]) -> Result<bool> {
        let is_unit = layout.table.id == tables::UNIT.id;
        if !is_unit || self.guesses.careful > 0 || !self.may_assume {
            return Ok(false);
        }
        if !self.is_guarded(layout, key)? {
            return Ok(false);
        }
        let key = Bytes::from(key);
        self.learn(layout.table.id, Bytes::clone(&key), None)?;
        self.guesses.made.push(key);
        Ok(true)
    }

    /// Takes the guesses of this group back if one of them is not proved by what it inserts, or if
    /// `all` are to be; tells whether it has to run again.
    pub(crate) fn take_back_guesses(&mut self, all: bool) -> Result<bool> {
        let layout = self.layouts.get(tables::UNIT.id).ok_or_else(damaged)?;
        let mut is_open = all && !self.guesses.made.is_empty();
        for key in &self.guesses.made {
            is_open |= self.row(layout, key)?.is_none_or(|row| row.now.is_none());
        }
        if !is_open {
            return Ok(false);
        }
        self.undo_to(0)?;
        for key in std::mem::take(&mut self.guesses.made) {
            let (part, layout) = self.part_mut(layout.table.id, layout.namespace(&key)?)?;
            part.forget_row(layout, &key)?;
        }
        self.guesses.be_careful();
        Ok(true)
    }
}
