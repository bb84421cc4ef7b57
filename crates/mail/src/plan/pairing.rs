//! Which new messages of both sides are the same.

use std::collections::BTreeMap;

use crate::{Content, Identity, Key, Side, Sides, plan::Case};

/// Which new messages of a folder are the same. Places are those in the deltas' lists.
#[derive(Debug, Default)]
pub(super) struct Matching {
    /// Those that are.
    pub(super) pairs: Vec<Sides<usize>>,
    /// Keys of those whose content must be known first.
    pub(super) unsure: Sides<Vec<Key>>,
}

/// Matches the new messages of both sides one to one.
pub(super) fn matching(case: &Case) -> Matching {
    let mut groups: BTreeMap<Identity, Sides<Vec<usize>>> = BTreeMap::new();
    for side in Side::BOTH {
        for (place, seen) in case.deltas.get(side).new.iter().enumerate() {
            if let Some(known) = case.identities.get(side).get(&seen.key) {
                groups.entry(known.identity).or_default().get_mut(side).push(place);
            }
        }
    }
    let mut matching = Matching::default();
    for (identity, places) in groups {
        match (places.left.as_slice(), places.right.as_slice()) {
            ([], _) | (_, []) => {}
            ([left], [right]) if identity.is_strong() => {
                matching.pairs.push(Sides { left: *left, right: *right });
            }
            _ => by_content(case, &places, &mut matching),
        }
    }
    matching.pairs.sort_unstable();
    matching
}

/// Tells apart what looks alike: equal contents are the same message, as often as both have it.
fn by_content(case: &Case, places: &Sides<Vec<usize>>, matching: &mut Matching) {
    let mut groups: BTreeMap<Content, Sides<Vec<usize>>> = BTreeMap::new();
    for side in Side::BOTH {
        for place in places.get(side) {
            let Some(seen) = case.deltas.get(side).new.get(*place) else { continue };
            match case.contents.get(side).get(&seen.key) {
                Some(content) => {
                    groups.entry(*content).or_default().get_mut(side).push(*place);
                }
                None => matching.unsure.get_mut(side).push(seen.key.clone()),
            }
        }
    }
    for (_, mut places) in groups {
        // Copies with the same flags belong together.
        for side in Side::BOTH {
            let new = &case.deltas.get(side).new;
            let flags = |place: &usize| new.get(*place).map(|seen| &seen.flags);
            places.get_mut(side).sort_by(|a, b| flags(a).cmp(&flags(b)));
        }
        let Sides { left, right } = places;
        let pairs = left.into_iter().zip(right).map(|(left, right)| Sides { left, right });
        matching.pairs.extend(pairs);
    }
}
