//! Sets of message numbers, kept as ranges so that none can fill the memory.

use std::fmt;

/// A set of message numbers, as ranges in ascending order that neither meet nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uids(Vec<(u32, u32)>);

impl Uids {
    /// Makes a set of ranges in any order; a range may be given from either end.
    pub fn of_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut ranges: Vec<(u32, u32)> =
            ranges.into_iter().map(|(one, other)| (one.min(other), one.max(other))).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len().min(1024));
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// Makes a set of single numbers in any order.
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        Self::of_ranges(numbers.into_iter().map(|number| (number, number)))
    }

    /// Reads a set such as `1,3:5`; `*` is not a number.
    pub fn parse(text: &str) -> Option<Self> {
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once(':').unwrap_or((part, part));
            ranges.push((number(first)?, number(last)?));
        }
        Some(Self::of_ranges(ranges))
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells how many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Tells whether a number is among them.
    pub fn contains(&self, number: u32) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        let before = after.checked_sub(1).and_then(|at| self.0.get(at));
        before.is_some_and(|(_, last)| number <= *last)
    }

    /// Gives all, in ascending order; ask for [`Uids::count`] first if a server named them.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// Gives the ranges.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// Adds the numbers of another set.
    pub fn extend(&mut self, other: &Self) {
        if !other.is_empty() {
            *self = Self::of_ranges(self.0.drain(..).chain(other.0.iter().copied()));
        }
    }

    /// Gives the same set as several whose texts are no longer than so many bytes.
    pub fn split(&self, bytes_max: usize) -> Vec<Self> {
        let mut sets = Vec::new();
        let mut set = Vec::new();
        let mut bytes = 0;
        for range in &self.0 {
            // Two numbers of ten digits, a colon and a comma.
            if bytes + 22 > bytes_max && !set.is_empty() {
                sets.push(Self(std::mem::take(&mut set)));
                bytes = 0;
            }
            bytes += 22;
            set.push(*range);
        }
        if !set.is_empty() {
            sets.push(Self(set));
        }
        sets
    }
}

fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| *number > 0)
}

impl fmt::Display for Uids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}:{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_and_written_in_their_shortest_form() {
        let set = Uids::of([5, 1, 3, 4, 9, 9]);
        assert_eq!(set.to_string(), "1,3:5,9");
        assert_eq!(Uids::parse("9,5:3,1"), Some(set.clone()));
        assert_eq!(set.count(), 5);
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 3, 4, 5, 9]);
        assert!(set.contains(4) && !set.contains(2) && !set.contains(10) && !set.contains(0));
        for text in ["", "0", "1,", "1:*", "a", "+1", "4294967296", "1::2", "-1"] {
            assert_eq!(Uids::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_range_of_all_numbers_takes_no_memory() {
        let set = Uids::parse("1:4294967295").unwrap();
        assert_eq!(set.count(), 4_294_967_295);
        assert!(set.contains(u32::MAX));
        assert_eq!(set.ranges().len(), 1);
    }

    #[test]
    fn long_sets_are_split_without_losing_any() {
        let set = Uids::of((1..20_000).step_by(2));
        let parts = set.split(8_000);
        assert!(parts.len() > 10);
        assert!(parts.iter().all(|part| part.to_string().len() <= 8_000));
        let mut all = Uids::default();
        for part in &parts {
            all.extend(part);
        }
        assert_eq!(all, set);
    }
}
