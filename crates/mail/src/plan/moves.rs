//! Which messages were moved from one folder to another.

use std::collections::{HashMap, HashSet};

use super::Case;
use crate::{Identity, Side, Sides};

/// A message that one side has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// The case that it left, and the place of its pair there.
    pub(super) from: (usize, usize),
    /// The case that it came to, and its place among the new messages there.
    pub(super) to: (usize, usize),
}

/// Finds what each side has moved: gone in one folder and new in another, if there is no doubt.
///
/// What looks alike several times is not taken for moved; it is copied and removed instead.
pub(super) fn moves(cases: &[&Case], taken: &[Sides<HashSet<usize>>]) -> Sides<Vec<Moved>> {
    Sides::of(|side| {
        let gone = gone(cases, side);
        if gone.is_empty() {
            return Vec::new();
        }
        let new = new(cases, taken, side);
        let mut moves: Vec<Moved> = gone
            .iter()
            .filter_map(|(identity, from)| match (from.as_slice(), new.get(identity)?.as_slice()) {
                ([from], [to]) if from.0 != to.0 => Some(Moved { from: *from, to: *to }),
                _ => None,
            })
            .collect();
        moves.sort_unstable_by_key(|moved| moved.from);
        moves
    })
}

fn gone(cases: &[&Case], side: Side) -> HashMap<Identity, Vec<(usize, usize)>> {
    let mut found: HashMap<Identity, Vec<(usize, usize)>> = HashMap::new();
    for (number, case) in cases.iter().enumerate() {
        let theirs: HashSet<usize> = case.deltas.get(side.other()).gone.iter().copied().collect();
        for place in &case.deltas.get(side).gone {
            let identity = case.snapshot.get(*place).and_then(|pair| pair.identity);
            match identity {
                Some(identity) if identity.is_strong() && !theirs.contains(place) => {
                    found.entry(identity).or_default().push((number, *place));
                }
                Some(_) | None => {}
            }
        }
    }
    found
}

fn new(
    cases: &[&Case],
    taken: &[Sides<HashSet<usize>>],
    side: Side,
) -> HashMap<Identity, Vec<(usize, usize)>> {
    let mut found: HashMap<Identity, Vec<(usize, usize)>> = HashMap::new();
    for (number, (case, taken)) in cases.iter().zip(taken).enumerate() {
        for (place, seen) in case.deltas.get(side).new.iter().enumerate() {
            let known = case.identities.get(side).get(&seen.key);
            if let Some(known) = known.filter(|_| !taken.get(side).contains(&place)) {
                found.entry(known.identity).or_default().push((number, place));
            }
        }
    }
    found
}
