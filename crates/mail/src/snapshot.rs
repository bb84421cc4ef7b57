//! The agreed state of one folder, as it was when it was loaded.

use std::cmp::Ordering;

use crate::{Flags, Identity, Key, Side, Sides};

/// A message that is on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its number in the state.
    pub id: i64,
    /// What the sides call it.
    pub keys: Sides<Key>,
    /// What stays when a side renames it.
    pub stamps: Sides<Option<u64>>,
    /// The flags that both had when they last agreed.
    pub flags: Flags,
    /// What tells it apart, once that is known.
    pub identity: Option<Identity>,
}

/// All pairs of a folder. It does not change, so both sides read the same one at once.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pairs: Vec<Pair>,
    /// Places of pairs, by the key of each side.
    order: Sides<Vec<u32>>,
}

impl Snapshot {
    /// Makes a snapshot of pairs in any order.
    pub fn new(pairs: Vec<Pair>) -> Self {
        let order = Sides::of(|side| {
            let mut order: Vec<u32> = (0_u32..).take(pairs.len()).collect();
            order.sort_unstable_by(|a, b| key(&pairs, side, *a).cmp(&key(&pairs, side, *b)));
            order
        });
        Self { pairs, order }
    }

    /// Borrows the pairs.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// Borrows the pair at a place.
    pub fn get(&self, place: usize) -> Option<&Pair> {
        self.pairs.get(place)
    }

    /// Finds the place of the pair that a side calls by this key.
    pub fn find(&self, side: Side, wanted: &Key) -> Option<usize> {
        let order = self.order.get(side);
        let compare = |place: &u32| match key(&self.pairs, side, *place) {
            Some(found) => found.cmp(wanted),
            None => Ordering::Less,
        };
        let at = order.binary_search_by(compare).ok()?;
        order.get(at).map(|place| *place as usize)
    }
}

fn key(pairs: &[Pair], side: Side, place: u32) -> Option<&Key> {
    pairs.get(place as usize).map(|pair| pair.keys.get(side))
}
