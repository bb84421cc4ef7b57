//! The entries of an index in memory, packed into blocks.
//!
//! An entry costs little more than its own bytes, and finding one touches little memory: a tree
//! finds the block, and halving finds the place in it.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::ordered::{Bytes, Stretch};

/// Bytes of entries in one block; only a single entry may be longer.
const BLOCK_MAX: usize = 2_048;
/// Bytes below which a block joins a neighbour, if both together leave half a block empty.
const BLOCK_MIN: usize = BLOCK_MAX / 4;

/// A set of entries in order.
///
/// A block lies under a key that none of its entries is less than; no block is empty.
#[derive(Debug, Default)]
pub(crate) struct Entries(BTreeMap<Bytes, Block>);

impl Entries {
    /// Takes entries in any order; cheaper than adding one after another.
    pub(crate) fn from_all(mut entries: Vec<Bytes>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        let (mut blocks, mut block) = (BTreeMap::new(), Block::default());
        let mut lowest = Bytes::default();
        for entry in entries {
            if block.is_full(&entry) {
                let full = std::mem::take(&mut block).shrunk();
                blocks.insert(std::mem::replace(&mut lowest, entry.clone()), full);
            }
            block.insert(block.ends.len(), &entry);
        }
        if !block.ends.is_empty() {
            blocks.insert(lowest, block.shrunk());
        }
        Self(blocks)
    }

    /// Adds an entry, if it is not there.
    pub(crate) fn insert(&mut self, entry: &[u8]) {
        let Some((_, block)) = self.0.range_mut::<[u8], _>(upto(entry)).next_back() else {
            let mut block = Block::default();
            block.insert(0, entry);
            self.0.insert(Bytes::default(), block);
            return;
        };
        let Err(place) = block.find(entry) else { return };
        if !block.is_full(entry) {
            block.insert(place, entry);
            return;
        }
        // What comes in order leaves full blocks behind, anything else two halves.
        let half = block.ends.len() / 2;
        let mut next = block.split_off(if place == block.ends.len() { place } else { half });
        match place.checked_sub(block.ends.len()) {
            Some(place) if place > 0 || next.ends.is_empty() => next.insert(place, entry),
            _ => block.insert(place, entry),
        }
        if let Some(lowest) = next.get(0) {
            self.0.insert(lowest.into(), next);
        }
    }

    /// Removes an entry, if it is there.
    pub(crate) fn remove(&mut self, entry: &[u8]) {
        let Some((key, block)) = self.0.range_mut::<[u8], _>(upto(entry)).next_back() else {
            return;
        };
        let Ok(place) = block.find(entry) else { return };
        block.remove(place);
        if block.bytes.len() >= BLOCK_MIN {
            return;
        }
        let key = key.clone();
        if block.ends.is_empty() {
            self.0.remove(&key);
            return;
        }
        let room = BLOCK_MAX / 2 - block.bytes.len();
        let fits = |(_, other): &(&Bytes, &Block)| other.bytes.len() <= room;
        let mut before = self.0.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(&*key)));
        let mut after = self.0.range::<[u8], _>((Bound::Excluded(&*key), Bound::Unbounded));
        let (low, high) = match before.next_back().filter(fits) {
            Some((before, _)) => (before.clone(), key),
            None => match after.next().filter(fits) {
                Some((after, _)) => (key.clone(), after.clone()),
                None => return,
            },
        };
        if let Some(high) = self.0.remove(&high)
            && let Some(low) = self.0.get_mut(&low)
        {
            high.from(0).for_each(|entry| low.insert(low.ends.len(), entry));
        }
    }

    /// Gives the least entry.
    pub(crate) fn first(&self) -> Option<&[u8]> {
        self.0.first_key_value().and_then(|(_, block)| block.get(0))
    }

    /// Gives the entries of a stretch in order.
    pub(crate) fn stretch<'a>(&'a self, stretch: &'a Stretch) -> impl Iterator<Item = &'a [u8]> {
        let (start, end) = stretch.parts();
        let key = self.0.range::<[u8], _>(upto(start)).next_back().map_or(start, |(key, _)| key);
        let blocks = self.0.range::<[u8], _>((Bound::Included(key), Bound::Unbounded));
        let entries = blocks.flat_map(move |(_, block)| {
            block.from(block.find(start).unwrap_or_else(|place| place))
        });
        entries.take_while(move |entry| end.is_none_or(|end| *entry < end))
    }
}

fn upto(entry: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Unbounded, Bound::Included(entry))
}

/// Entries in order, one behind the other.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// Where each entry ends.
    ends: Vec<u32>,
}

impl Block {
    fn is_full(&self, entry: &[u8]) -> bool {
        !self.ends.is_empty() && self.bytes.len() + entry.len() > BLOCK_MAX
    }

    fn start(&self, place: usize) -> usize {
        let end = place.checked_sub(1).and_then(|before| self.ends.get(before));
        end.map_or(0, |end| *end as usize)
    }

    fn get(&self, place: usize) -> Option<&[u8]> {
        self.bytes.get(self.start(place)..*self.ends.get(place)? as usize)
    }

    fn from(&self, place: usize) -> impl Iterator<Item = &[u8]> {
        (place..self.ends.len()).filter_map(|place| self.get(place))
    }

    /// Gives the place of an entry, or where it would be.
    fn find(&self, entry: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.ends.len());
        // What comes in order stands at the end.
        if self.get(high.wrapping_sub(1)).is_some_and(|last| last < entry) {
            return Err(high);
        }
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).cmp(&Some(entry)) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn insert(&mut self, place: usize, entry: &[u8]) {
        let start = self.start(place);
        self.bytes.extend_from_slice(entry);
        if let Some(tail) = self.bytes.get_mut(start..) {
            tail.rotate_right(entry.len());
        }
        self.ends.insert(place, start as u32);
        let moved = self.ends.iter_mut().skip(place);
        moved.for_each(|end| *end += entry.len() as u32);
    }

    fn remove(&mut self, place: usize) {
        let start = self.start(place);
        let end = self.ends.remove(place);
        self.bytes.drain(start..end as usize);
        let moved = self.ends.iter_mut().skip(place);
        moved.for_each(|later| *later -= end - start as u32);
    }

    /// Takes the entries from a place on out.
    fn split_off(&mut self, place: usize) -> Self {
        let start = self.start(place);
        let bytes = self.bytes.split_off(start);
        let mut ends = self.ends.split_off(place);
        ends.iter_mut().for_each(|end| *end -= start as u32);
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
        Self { bytes, ends }
    }

    fn shrunk(mut self) -> Self {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Numbers that look random (xorshift).
    fn numbers() -> impl Iterator<Item = usize> {
        let step = |n: &u64| Some(n ^ (n << 13)).map(|n| n ^ (n >> 7)).map(|n| n ^ (n << 17));
        std::iter::successors(Some(88_172_645_463_325_252_u64), step).map(|n| n as usize)
    }

    fn entry(number: usize) -> Vec<u8> {
        let long = if number.is_multiple_of(97) { BLOCK_MAX + 7 } else { number % 40 };
        [format!("{number:05}").into_bytes(), vec![7; long]].concat()
    }

    fn name(number: usize) -> Vec<u8> {
        format!("{number:032}").into_bytes()
    }

    fn check(entries: &Entries, model: &BTreeSet<Vec<u8>>) {
        let all = Stretch::new(Vec::new(), None, None).unwrap();
        assert!(entries.stretch(&all).eq(model.iter().map(Vec::as_slice)));
        assert_eq!(entries.first(), model.first().map(Vec::as_slice));
        let part = Stretch::new(Vec::new(), Some(entry(300)), Some(entry(1_700))).unwrap();
        let expected = model.iter().filter(|entry| part.holds(entry)).map(Vec::as_slice);
        assert!(entries.stretch(&part).eq(expected));
        assert!(entries.0.values().all(|block| !block.ends.is_empty()));
    }

    #[test]
    fn entries_are_a_sorted_set() {
        let (mut entries, mut model) = (Entries::default(), BTreeSet::new());
        let mut numbers = numbers();
        // It grows, stays about as large, and shrinks to nothing.
        for (rounds, removed) in [(4_000, 1), (4_000, 5), (20_000, 9)] {
            for round in 0..rounds {
                let entry = entry(numbers.next().unwrap() % 2_000);
                if numbers.next().unwrap() % 10 < removed {
                    entries.remove(&entry);
                    model.remove(&entry);
                } else {
                    entries.insert(&entry);
                    model.insert(entry);
                }
                if round % 500 == 0 {
                    check(&entries, &model);
                }
            }
            check(&entries, &model);
        }
        for entry in std::mem::take(&mut model) {
            entries.remove(&entry);
        }
        check(&entries, &model);
    }

    #[test]
    fn what_comes_in_order_fills_its_blocks() {
        let mut entries = Entries::default();
        (0..10_000).for_each(|number| entries.insert(&name(number)));
        let all: Vec<Bytes> = (0..10_000).rev().map(|number| name(number).into()).collect();
        for entries in [entries, Entries::from_all(all)] {
            assert_eq!(entries.0.len(), 10_000_usize.div_ceil(BLOCK_MAX / 32));
        }
    }

    #[test]
    fn blocks_that_are_nearly_empty_join() {
        let removed = || (0..10_000_usize).filter(|number| number % 20 > 0);
        let up: Vec<_> = removed().collect();
        for order in [up, removed().rev().collect()] {
            let mut entries = Entries::default();
            (0..10_000).for_each(|number| entries.insert(&name(number)));
            let blocks = entries.0.len();
            order.into_iter().for_each(|number| entries.remove(&name(number)));
            assert!(entries.0.len() < blocks / 4, "{} of {blocks}", entries.0.len());
        }
    }
}
