//! The first merge: what one side changed since the agreed state.

use std::collections::{HashMap, HashSet};

use crate::{
    Checkpoint, FlagChange, Identified, Identity, Key, Seen, Side, Storable,
    driver::{Listing, Rest},
    snapshot::Snapshot,
};

/// What one side changed in a folder since the agreed state. Places are those of the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Messages that the state does not know.
    pub new: Vec<Seen>,
    /// Flags that differ from the agreed ones.
    pub changed: Vec<(usize, FlagChange)>,
    /// Messages that are no longer there.
    pub gone: Vec<usize>,
    /// Messages that have another key now.
    pub renamed: Vec<Renamed>,
    /// How far the side has been looked at; none if it was not looked at, as nothing changed.
    pub checkpoint: Option<Checkpoint>,
    /// Which flags the side can keep.
    pub storable: Storable,
}

/// A message that has another key now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The place of its pair.
    pub place: usize,
    /// Its key now.
    pub key: Key,
    /// What stays when it is renamed again.
    pub stamp: Option<u64>,
}

impl Delta {
    /// Compares what a side lists with the agreed state, but for what was renamed.
    pub fn between(snapshot: &Snapshot, side: Side, listing: Listing) -> Self {
        let Listing { checkpoint, messages, rest, storable } = listing;
        let mut delta = Self { checkpoint: Some(checkpoint), storable, ..Self::default() };
        let mut present = vec![false; snapshot.pairs().len()];
        let mut unknown = HashSet::new();
        for seen in messages {
            match snapshot.find(side, &seen.key) {
                Some(place) => {
                    if let Some(present) = present.get_mut(place) {
                        *present = true;
                    }
                    delta.compare(snapshot, place, &seen);
                }
                None => {
                    // A store that lists a message twice has it once.
                    if unknown.insert(seen.key.clone()) {
                        delta.new.push(seen);
                    }
                }
            }
        }
        delta.gone = absent(snapshot, side, &present, &rest);
        delta
    }

    /// Gives the messages of which it is not known what stays when they are renamed.
    pub fn unstamped(&self) -> Vec<Key> {
        let unstamped = self.new.iter().filter(|seen| seen.stamp.is_none());
        unstamped.map(|seen| seen.key.clone()).collect()
    }

    /// Learns what stays of messages when they are renamed.
    pub fn stamp(&mut self, stamps: &HashMap<Key, u64>) {
        for seen in self.new.iter_mut().filter(|seen| seen.stamp.is_none()) {
            seen.stamp = stamps.get(&seen.key).copied();
        }
    }

    /// Says which messages seemed to be gone, so that the driver can look again.
    pub fn suspects(&self, snapshot: &Snapshot, side: Side) -> Vec<Key> {
        let pairs = self.gone.iter().filter_map(|place| snapshot.get(*place));
        pairs.map(|pair| pair.keys.get(side).clone()).collect()
    }

    /// Keeps only those of the suspects that are really gone.
    pub fn confirm(&mut self, snapshot: &Snapshot, side: Side, gone: &[Key]) {
        let gone: HashSet<&Key> = gone.iter().collect();
        self.gone.retain(|place| {
            snapshot.get(*place).is_some_and(|pair| gone.contains(pair.keys.get(side)))
        });
    }

    /// Tells whether something seems to be gone of which the side has not told what it calls it.
    pub fn has_untold(&self, snapshot: &Snapshot, side: Side) -> bool {
        let mut gone = self.gone.iter().filter_map(|place| snapshot.get(*place));
        gone.any(|pair| pair.keys.get(side).is_untold())
    }

    /// Recognises such messages, by what tells them apart.
    pub fn tell(&mut self, snapshot: &Snapshot, side: Side, known: &HashMap<Key, Identified>) {
        let mut untold: HashMap<Identity, Vec<usize>> = HashMap::new();
        for place in &self.gone {
            let pair = snapshot.get(*place).filter(|pair| pair.keys.get(side).is_untold());
            if let Some(identity) = pair.and_then(|pair| pair.identity) {
                untold.entry(identity).or_default().push(*place);
            }
        }
        if untold.is_empty() {
            return;
        }
        let (mut new, mut found) = (Vec::new(), HashSet::new());
        for seen in std::mem::take(&mut self.new) {
            let places = known.get(&seen.key).and_then(|known| untold.get_mut(&known.identity));
            match places.and_then(Vec::pop) {
                Some(place) => {
                    self.compare(snapshot, place, &seen);
                    found.insert(place);
                    self.renamed.push(Renamed { place, key: seen.key, stamp: seen.stamp });
                }
                None => new.push(seen),
            }
        }
        self.new = new;
        self.gone.retain(|place| !found.contains(place));
    }

    fn compare(&mut self, snapshot: &Snapshot, place: usize, seen: &Seen) {
        let Some(pair) = snapshot.get(place) else { return };
        let change = FlagChange::between(&pair.flags, &seen.flags).storable(&self.storable);
        if !change.is_empty() {
            self.changed.push((place, change));
        }
    }

    /// Recognises messages under new names by what stays when a file is renamed.
    pub fn follow_renames(&mut self, snapshot: &Snapshot, side: Side) {
        let mut stamps = HashMap::new();
        for place in &self.gone {
            if let Some(stamp) = snapshot.get(*place).and_then(|pair| *pair.stamps.get(side)) {
                stamps.insert(stamp, *place);
            }
        }
        if stamps.is_empty() {
            return;
        }
        let (mut new, mut found) = (Vec::new(), HashSet::new());
        for seen in std::mem::take(&mut self.new) {
            match seen.stamp.and_then(|stamp| stamps.remove(&stamp)) {
                Some(place) => {
                    self.compare(snapshot, place, &seen);
                    found.insert(place);
                    self.renamed.push(Renamed { place, key: seen.key, stamp: seen.stamp });
                }
                None => new.push(seen),
            }
        }
        self.new = new;
        self.gone.retain(|place| !found.contains(place));
    }
}

/// Gives the places of messages of which a side has not told what it calls them.
fn untold(snapshot: &Snapshot, side: Side) -> impl Iterator<Item = usize> + '_ {
    let pairs = snapshot.pairs().iter().enumerate();
    pairs.filter(move |(_, pair)| pair.keys.get(side).is_untold()).map(|(place, _)| place)
}

fn absent(snapshot: &Snapshot, side: Side, present: &[bool], rest: &Rest) -> Vec<usize> {
    let unseen = |place: &usize| !present.get(*place).copied().unwrap_or(false);
    let all = 0..snapshot.pairs().len();
    match rest {
        Rest::Gone => all.filter(unseen).collect(),
        Rest::SameExcept(keys) => {
            let named = keys.iter().filter_map(|key| snapshot.find(side, key));
            // No listing has those whose keys nobody knows.
            let known: HashSet<usize> = named.chain(untold(snapshot, side)).collect();
            let mut gone: Vec<usize> = known.into_iter().filter(unseen).collect();
            gone.sort_unstable();
            gone
        }
        Rest::SameWithin(ranges) => {
            let there = |place: &usize| match snapshot.get(*place).map(|pair| pair.keys.get(side)) {
                Some(Key::Uid(uid)) => {
                    let after = ranges.partition_point(|(first, _)| first <= uid);
                    let range = after.checked_sub(1).and_then(|at| ranges.get(at));
                    range.is_some_and(|(_, last)| uid <= last)
                }
                Some(Key::Name(_)) | None => false,
            };
            all.filter(unseen).filter(|place| !there(place)).collect()
        }
    }
}
