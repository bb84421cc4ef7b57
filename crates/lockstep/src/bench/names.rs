//! Names of units, all of one length.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

/// Bytes of a name.
pub(super) const LENGTH: usize = 16;

/// In which order names come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// In their own order, as names with a date or a number do.
    Ordered,
    /// In no order, as hashes do.
    Random,
}

/// Gives names that were not given before.
#[derive(Debug)]
pub(super) struct Names {
    order: Order,
    next: AtomicU64,
}

impl Names {
    /// Starts with the first name.
    pub(super) fn new(order: Order) -> Self {
        Self { order, next: AtomicU64::new(0) }
    }

    /// Takes the numbers of the next names.
    pub(super) fn take(&self, count: usize) -> std::ops::Range<u64> {
        let first = self.next.fetch_add(count as u64, Ordering::Relaxed);
        first..first + count as u64
    }

    /// Writes the name with a number.
    pub(super) fn write(&self, number: u64, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self.order {
            Order::Ordered => write!(text, "u{number:015}"),
            Order::Random => write!(text, "{:016x}", scatter(number)),
        };
    }

    /// Gives the name with a number.
    pub(super) fn name(&self, number: u64) -> String {
        let mut name = String::with_capacity(LENGTH);
        self.write(number, &mut name);
        name
    }
}

/// Maps each number to another one that looks random (the end of SplitMix64, which loses nothing).
fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_have_one_length() {
        for order in [Order::Ordered, Order::Random] {
            let names = Names::new(order);
            let mut given: Vec<_> =
                names.take(600).chain(names.take(400)).map(|number| names.name(number)).collect();
            assert!(given.iter().all(|name| name.len() == LENGTH));
            assert_eq!(given.is_sorted(), order == Order::Ordered);
            given.sort();
            given.dedup();
            assert_eq!(given.len(), 1_000);
        }
    }
}
