//! The second merge: what both sides changed, against each other.

use std::collections::{HashMap, HashSet};

use super::{
    Case, Conflict, ConflictKind, FolderPlan, Ghost, Plan, Policy, Step, guard,
    moves::{Moved, moves},
    pairing::matching,
};
use crate::{FlagChange, Flags, Key, Pair, Seen, Side, Sides, System};

/// Decides what to do in all folders.
pub(super) fn plan(cases: &[&Case], policy: &Policy) -> Plan {
    let mut folders: Vec<Folder<'_>> = cases.iter().map(|case| Folder::new(case, policy)).collect();
    folders.iter_mut().for_each(Folder::rekey);
    folders.iter_mut().for_each(Folder::pair);
    let taken: Vec<_> = folders.iter().map(|folder| folder.taken.clone()).collect();
    let found = moves(cases, &taken);
    for side in Side::BOTH {
        for moved in found.get(side) {
            follow(&mut folders, side, *moved);
        }
    }
    let mut plan = Plan::default();
    for mut folder in folders {
        folder.expel();
        folder.copy();
        folder.flag();
        folder.gone();
        plan.conflicts.append(&mut folder.conflicts);
        plan.folders.push(folder.plan);
    }
    let known: Vec<usize> = cases.iter().map(|case| case.snapshot.pairs().len()).collect();
    plan.holds = guard::hold(&mut plan.folders, &known, policy);
    plan
}

/// Makes the other side follow a move.
fn follow(folders: &mut [Folder<'_>], origin: Side, moved: Moved) {
    let side = origin.other();
    let Some(to) = folders.get(moved.to.0).map(|folder| folder.case) else { return };
    let Some(seen) = to.deltas.get(origin).new.get(moved.to.1) else { return };
    let Some(from) = folders.get_mut(moved.from.0) else { return };
    let Some(pair) = from.case.snapshot.get(moved.from.1) else { return };
    if !from.policy.writable.get(side) {
        from.plan.complete = false;
        if let Some(to) = folders.get_mut(moved.to.0) {
            to.taken.get_mut(origin).insert(moved.to.1);
            to.plan.complete = false;
        }
        return;
    }
    let ours =
        FlagChange::between(&pair.flags, &seen.flags).storable(&to.deltas.get(origin).storable);
    let mut theirs = from.change(side, moved.from.1);
    // While its folders were looked at one after the other, what is moved can have been taken for
    // removed; the mark of a removal that was cut off must not come along.
    let mark = Flags::new([System::Deleted], []).intersection(&theirs.add);
    theirs.add = theirs.add.minus(&mark);
    let (agreed, mut changes) = from.agree(&pair.flags, &Sides::with(origin, ours, theirs));
    let unmark = changes.get_mut(side);
    unmark.remove = unmark.remove.union(&mark.minus(&agreed));
    from.settled.insert(moved.from.1);
    from.plan.steps.push(Step::Move {
        pair: pair.id,
        side,
        to: to.folder.clone(),
        keys: from.keys(moved.from.1, pair),
        moved: seen.key.clone(),
        stamp: seen.stamp,
        agreed,
        changes,
    });
    if let Some(to) = folders.get_mut(moved.to.0) {
        to.taken.get_mut(origin).insert(moved.to.1);
    }
}

/// One folder while its plan is made.
struct Folder<'a> {
    case: &'a Case,
    policy: &'a Policy,
    plan: FolderPlan,
    conflicts: Vec<Conflict>,
    /// New messages that need nothing more, by place.
    taken: Sides<HashSet<usize>>,
    /// Pairs that need nothing more, by place.
    settled: HashSet<usize>,
    changed: Sides<HashMap<usize, &'a FlagChange>>,
    gone: Sides<HashSet<usize>>,
}

impl<'a> Folder<'a> {
    fn new(case: &'a Case, policy: &'a Policy) -> Self {
        let folder = case.folder.clone();
        let changed = |side| {
            let changed = &case.deltas.get(side).changed;
            changed.iter().map(|(place, change)| (*place, change)).collect()
        };
        Self {
            case,
            policy,
            plan: FolderPlan { folder, steps: Vec::new(), complete: true },
            conflicts: Vec::new(),
            taken: Sides::default(),
            settled: HashSet::new(),
            changed: Sides::of(changed),
            gone: Sides::of(|side| case.deltas.get(side).gone.iter().copied().collect()),
        }
    }

    fn rekey(&mut self) {
        for side in Side::BOTH {
            for renamed in &self.case.deltas.get(side).renamed {
                if let Some(pair) = self.case.snapshot.get(renamed.place) {
                    let (pair, key, stamp) = (pair.id, renamed.key.clone(), renamed.stamp);
                    self.plan.steps.push(Step::Rekey { pair, side, key, stamp });
                }
            }
        }
    }

    fn pair(&mut self) {
        for places in matching(self.case).pairs {
            let seen = Sides::of(|side| self.case.deltas.get(side).new.get(*places.get(side)));
            let Sides { left: Some(left), right: Some(right) } = seen else { continue };
            let seen = Sides { left, right };
            let changes = seen.map(|seen| FlagChange::between(&Flags::default(), &seen.flags));
            let (agreed, changes) = self.agree(&Flags::default(), &changes);
            self.taken.left.insert(places.left);
            self.taken.right.insert(places.right);
            self.plan.steps.push(Step::Pair {
                keys: seen.map(|seen| seen.key.clone()),
                stamps: seen.map(|seen| seen.stamp),
                had: seen.map(|seen| seen.flags.clone()),
                agreed,
                changes,
            });
        }
    }

    /// Removes second copies of our own uploads, each as often as it may have happened.
    fn expel(&mut self) {
        for ghost in &self.case.ghosts {
            let side = ghost.side;
            if !self.has_first_copy(ghost) {
                continue;
            }
            let is_ghost = |seen: &Seen| {
                let known = self.case.identities.get(side).get(&seen.key);
                known.is_some_and(|known| known.identity == ghost.identity)
                    && self.case.contents.get(side).get(&seen.key) == Some(&ghost.content)
            };
            let mut new = self.case.deltas.get(side).new.iter().enumerate();
            let found =
                new.find(|(place, seen)| !self.taken.get(side).contains(place) && is_ghost(seen));
            if let Some((place, seen)) = found {
                self.taken.get_mut(side).insert(place);
                self.plan.steps.push(Step::Expel { side, key: seen.key.clone() });
            }
        }
    }

    /// Tells whether the copy that a ghost would be the second of is in this folder.
    ///
    /// If it went elsewhere, what looks like the ghost can be that copy coming back, and no other
    /// may be left.
    fn has_first_copy(&self, ghost: &Ghost) -> bool {
        let side = ghost.side;
        let pairs = self.case.snapshot.pairs().iter().enumerate();
        let mut pairs = pairs.filter(|(_, pair)| pair.identity == Some(ghost.identity));
        let new = self.case.deltas.get(side).new.iter().enumerate();
        let mut taken = new.filter(|(place, _)| self.taken.get(side).contains(place));
        let known = self.case.identities.get(side);
        let is_like = |seen: &Seen| {
            known.get(&seen.key).is_some_and(|known| known.identity == ghost.identity)
        };
        pairs.any(|(place, _)| !self.gone.get(side).contains(&place))
            || taken.any(|(_, seen)| is_like(seen))
    }

    fn copy(&mut self) {
        for origin in Side::BOTH {
            let new = self.case.deltas.get(origin).new.iter().enumerate();
            let taken = self.taken.get(origin);
            let left: Vec<&Seen> =
                new.filter(|(place, _)| !taken.contains(place)).map(|(_, seen)| seen).collect();
            let to = origin.other();
            if !left.is_empty() && !self.policy.writable.get(to) {
                self.plan.complete = false;
                continue;
            }
            self.plan.steps.extend(left.into_iter().map(|seen| Step::Copy {
                to,
                key: seen.key.clone(),
                flags: seen.flags.clone(),
                size: seen.size,
                stamp: seen.stamp,
            }));
        }
    }

    fn flag(&mut self) {
        let mut places: Vec<usize> =
            self.changed.left.keys().chain(self.changed.right.keys()).copied().collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            let is_gone = self.gone.left.contains(&place) || self.gone.right.contains(&place);
            if is_gone || self.settled.contains(&place) {
                continue;
            }
            let Some(pair) = self.case.snapshot.get(place) else { continue };
            let changes = Sides::of(|side| self.change(side, place));
            let (agreed, changes) = self.agree(&pair.flags, &changes);
            let keys = self.keys(place, pair);
            self.plan.steps.push(Step::Flag { pair: pair.id, keys, agreed, changes });
        }
    }

    fn gone(&mut self) {
        let mut places: Vec<usize> =
            self.gone.left.iter().chain(self.gone.right.iter()).copied().collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            let Some(pair) = self.case.snapshot.get(place) else { continue };
            if self.settled.contains(&place) {
                continue;
            }
            match (self.gone.left.contains(&place), self.gone.right.contains(&place)) {
                (true, true) => {
                    let keys = self.keys(place, pair);
                    self.plan.steps.push(Step::Forget { pair: pair.id, keys });
                }
                (true, false) => self.remove(place, pair, Side::Right),
                (false, _) => self.remove(place, pair, Side::Left),
            }
        }
    }

    /// Lets a side follow a removal, or the other get the message back.
    fn remove(&mut self, place: usize, pair: &Pair, side: Side) {
        let change = self.change(side, place);
        let key = self.keys(place, pair).get(side).clone();
        let flags = change.of(&pair.flags);
        let flagged = change.add.has(System::Flagged) || !change.add.keywords().is_empty();
        if self.policy.keep_flagged && flagged && *self.policy.writable.get(side.other()) {
            let keys = self.keys(place, pair);
            let stamp = *pair.stamps.get(side);
            self.plan.steps.push(Step::Forget { pair: pair.id, keys });
            self.plan.steps.push(Step::Copy {
                to: side.other(),
                key: key.clone(),
                flags,
                size: None,
                stamp,
            });
            let (folder, kind) = (self.case.folder.clone(), ConflictKind::RemovedButFlagged);
            self.conflicts.push(Conflict { folder, side, key, kind });
        } else if *self.policy.writable.get(side) {
            self.plan.steps.push(Step::Remove { pair: pair.id, side, key, flags });
        } else {
            self.plan.complete = false;
        }
    }

    /// Gives what a side changed in the flags of a pair.
    fn change(&self, side: Side, place: usize) -> FlagChange {
        self.changed
            .get(side)
            .get(&place)
            .map_or_else(FlagChange::default, |change| (*change).clone())
    }

    /// Gives the keys of a pair as they are now.
    fn keys(&self, place: usize, pair: &Pair) -> Sides<Key> {
        Sides::of(|side| {
            let mut renamed = self.case.deltas.get(side).renamed.iter();
            let now = renamed.find(|renamed| renamed.place == place);
            now.map_or_else(|| pair.keys.get(side).clone(), |renamed| renamed.key.clone())
        })
    }

    /// Gives the flags that both sides will have, and what that changes on each.
    fn agree(&mut self, base: &Flags, made: &Sides<FlagChange>) -> (Flags, Sides<FlagChange>) {
        let mut learned = made.left.and(&made.right);
        let changes = Sides::of(|side| {
            let change = made.get(side.other()).beyond(made.get(side));
            let change = change.storable(&self.case.deltas.get(side).storable);
            if *self.policy.writable.get(side) || change.is_empty() {
                return change;
            }
            // What cannot be changed here is not agreed on.
            self.plan.complete = false;
            learned = made.get(side).clone();
            FlagChange::default()
        });
        (learned.of(base), changes)
    }
}
