//! What has to be known of new messages before a plan can be made.

use std::collections::HashSet;

use super::{Case, pairing};
use crate::{Identity, Key, Seen, Side, Sides};

/// Says for each case which new messages must be looked at to know what tells them apart.
///
/// A message needs it if the other side has a new one of the same size, if something is gone
/// that it might be, moved here, or if it might be the second copy of an upload.
pub fn identities_wanted(cases: &[&Case]) -> Vec<Sides<Vec<Key>>> {
    let gone = Sides::of(|side| cases.iter().any(|case| has_lone_gone(case, side)));
    let wanted = |case: &Case, side: Side| -> Vec<Key> {
        let new = &case.deltas.get(side).new;
        let theirs = &case.deltas.get(side.other()).new;
        let any = *gone.get(side)
            || case.deltas.get(side).has_untold(&case.snapshot, side)
            || case.ghosts.iter().any(|ghost| ghost.side == side);
        let sizes: HashSet<Option<u64>> = theirs.iter().map(|seen| seen.size).collect();
        // Where nothing is agreed yet, copies may be those of another program, which made them
        // a little larger.
        let anew = case.snapshot.pairs().is_empty();
        let like = |seen: &&Seen| {
            let alike = anew || sizes.contains(&None) || sizes.contains(&seen.size);
            any || !theirs.is_empty() && (alike || seen.size.is_none())
        };
        let unknown = |seen: &&Seen| !case.identities.get(side).contains_key(&seen.key);
        new.iter().filter(like).filter(unknown).map(|seen| seen.key.clone()).collect()
    };
    cases.iter().map(|case| Sides::of(|side| wanted(case, side))).collect()
}

/// Says for each case of which new messages the whole content must be known.
pub fn contents_wanted(cases: &[&Case]) -> Vec<Sides<Vec<Key>>> {
    let wanted = |case: &Case| {
        let mut keys = pairing::matching(case).unsure;
        for side in Side::BOTH {
            let ghosts = case.ghosts.iter().filter(|ghost| ghost.side == side);
            let ghosts: HashSet<Identity> = ghosts.map(|ghost| ghost.identity).collect();
            let known = case.identities.get(side).values();
            let like = known.filter(|known| ghosts.contains(&known.identity));
            let unknown = like.filter(|known| !case.contents.get(side).contains_key(&known.key));
            let mut more: Vec<Key> = unknown.map(|known| known.key.clone()).collect();
            more.sort_unstable();
            let keys = keys.get_mut(side);
            more.retain(|key| !keys.contains(key));
            keys.extend(more);
        }
        keys
    };
    cases.iter().copied().map(wanted).collect()
}

/// Tells whether a side lacks a message that the other side still has.
fn has_lone_gone(case: &Case, side: Side) -> bool {
    let theirs: HashSet<usize> = case.deltas.get(side.other()).gone.iter().copied().collect();
    case.deltas.get(side).gone.iter().any(|place| !theirs.contains(place))
}
