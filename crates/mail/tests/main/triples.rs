//! The plan alone: random triples of agreed state, left and right, without any store.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use mail::{
    Checkpoint, Content, Delta, FlagChange, Flags, Identified, Identity, Key, Pair, Seen, Side,
    Sides, Snapshot, Storable, System,
    driver::{Listing, Rest},
    plan::{Case, Guard, Plan, Policy, Step, contents_wanted, identities_wanted, plan},
};

use crate::world::{Dice, folder};

/// Cases of the property; all together take about as long as the rest of these tests.
const CASES: u64 = 100_000;
const FOLDERS: [&str; 3] = ["INBOX", "a", "b"];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Message {
    content: u8,
    flags: Flags,
}

/// A side: messages by key in each folder.
#[derive(Clone, Debug, Default)]
struct Tree {
    folders: [BTreeMap<u32, Message>; 3],
    next: u32,
}

impl Tree {
    fn put(&mut self, at: usize, message: Message) -> u32 {
        self.next += 1;
        self.folders[at].insert(self.next, message);
        self.next
    }

    fn all(&self) -> BTreeMap<(usize, Message), usize> {
        let mut all = BTreeMap::new();
        for (at, folder) in self.folders.iter().enumerate() {
            for message in folder.values() {
                *all.entry((at, message.clone())).or_default() += 1;
            }
        }
        all
    }

    fn counts(&self) -> HashMap<u8, usize> {
        let mut counts = HashMap::new();
        for message in self.folders.iter().flat_map(BTreeMap::values) {
            *counts.entry(message.content).or_default() += 1;
        }
        counts
    }
}

/// Two sides and what they agreed on last.
#[derive(Clone, Debug)]
struct Triple {
    sides: Sides<Tree>,
    pairs: [Vec<Pair>; 3],
    next: i64,
}

fn some_flags(dice: &mut Dice) -> Flags {
    let system = System::ALL.into_iter().filter(|_| dice.roll(4) == 0).collect::<Vec<_>>();
    Flags::new(system, [])
}

fn identity(content: u8) -> Identity {
    // Some contents look alike, so that only all their bytes tell them apart.
    let mut bytes = [0; 16];
    bytes[0] = u8::from(!content.is_multiple_of(5));
    bytes[1] = if content.is_multiple_of(5) { 0 } else { content };
    Identity(bytes)
}

impl Triple {
    fn random(dice: &mut Dice) -> Self {
        let mut triple = Self { sides: Sides::default(), pairs: Default::default(), next: 0 };
        triple.sides.left.next = 100;
        for _ in 0..dice.roll(6) {
            let at = dice.roll(3) as usize;
            let message = Message { content: dice.roll(12) as u8, flags: some_flags(dice) };
            let keys = Sides {
                left: triple.sides.left.put(at, message.clone()),
                right: triple.sides.right.put(at, message.clone()),
            };
            triple.agree(at, keys.map(Key::Uid), message.flags, message.content);
        }
        for side in Side::BOTH {
            for _ in 0..dice.roll(5) {
                perturb(triple.sides.get_mut(side), dice);
            }
        }
        triple
    }

    fn agree(&mut self, at: usize, keys: Sides<Key>, flags: Flags, content: u8) {
        self.next += 1;
        let identity = Some(identity(content));
        let stamps = Sides::default();
        self.pairs[at].push(Pair { id: self.next, keys, stamps, flags, identity });
    }

    fn cases(&self) -> Vec<Case> {
        let case = |at: usize| {
            let snapshot = Arc::new(Snapshot::new(self.pairs[at].clone()));
            let delta = |side: Side| {
                let messages = self.sides.get(side).folders[at].iter();
                let seen = |(key, message): (&u32, &Message)| Seen {
                    key: Key::Uid(*key),
                    flags: message.flags.clone(),
                    size: Some(1),
                    date: None,
                    stamp: None,
                };
                let checkpoint = Checkpoint { epoch: "1".into(), token: None };
                let messages = messages.map(seen).collect();
                let (rest, storable) = (Rest::Gone, Storable::Any);
                let listing = Listing { checkpoint, messages, rest, storable };
                let mut delta = Delta::between(&snapshot, side, listing);
                delta.follow_renames(&snapshot, side);
                delta
            };
            Case {
                folder: folder(FOLDERS[at]),
                deltas: Sides::of(delta),
                snapshot: Arc::clone(&snapshot),
                identities: Sides::default(),
                contents: Sides::default(),
                ghosts: Vec::new(),
            }
        };
        let mut cases: Vec<Case> = (0..3).map(case).collect();
        let wanted = identities_wanted(&cases.iter().collect::<Vec<_>>());
        for (at, (case, wanted)) in cases.iter_mut().zip(wanted).enumerate() {
            for side in Side::BOTH {
                for key in wanted.get(side) {
                    let identity = identity(self.message(side, at, key).content);
                    let known = Identified { key: key.clone(), size: 1, identity };
                    case.identities.get_mut(side).insert(key.clone(), known);
                }
            }
        }
        let wanted = contents_wanted(&cases.iter().collect::<Vec<_>>());
        for (at, (case, wanted)) in cases.iter_mut().zip(wanted).enumerate() {
            for side in Side::BOTH {
                for key in wanted.get(side) {
                    let content = Content([self.message(side, at, key).content; 16]);
                    case.contents.get_mut(side).insert(key.clone(), content);
                }
            }
        }
        cases
    }

    fn plan(&self, policy: &Policy) -> Plan {
        let cases = self.cases();
        plan(&cases.iter().collect::<Vec<_>>(), policy)
    }

    fn message(&self, side: Side, at: usize, key: &Key) -> &Message {
        &self.sides.get(side).folders[at][&uid(key)]
    }

    fn change(&mut self, at: usize, keys: &Sides<Key>, changes: &Sides<FlagChange>) {
        for side in Side::BOTH {
            let message = self.sides.get_mut(side).folders[at].get_mut(&uid(keys.get(side)));
            let message = message.unwrap();
            message.flags = changes.get(side).of(&message.flags);
        }
    }

    fn apply(&mut self, at: usize, step: &Step) {
        match step {
            Step::Pair { keys, agreed, changes, .. } => {
                self.change(at, keys, changes);
                let content = self.message(Side::Left, at, &keys.left).content;
                self.agree(at, keys.clone(), agreed.clone(), content);
            }
            Step::Copy { to, key, flags, .. } => {
                let message = self.message(to.other(), at, key).clone();
                let content = message.content;
                let new = Key::Uid(self.sides.get_mut(*to).put(at, message));
                self.agree(at, Sides::with(*to, new, key.clone()), flags.clone(), content);
            }
            Step::Flag { pair, keys, agreed, changes } => {
                self.change(at, keys, changes);
                let row = self.pairs[at].iter_mut().find(|row| row.id == *pair).unwrap();
                row.flags = agreed.clone();
            }
            Step::Move { pair, side, to, keys, moved, agreed, changes, .. } => {
                let there = FOLDERS.iter().position(|name| *name == to.as_str()).unwrap();
                let tree = self.sides.get_mut(*side);
                let message = tree.folders[at].remove(&uid(keys.get(*side))).unwrap();
                let content = message.content;
                let new = Key::Uid(tree.put(there, message));
                self.pairs[at].retain(|row| row.id != *pair);
                let keys = Sides::with(*side, new, moved.clone());
                self.change(there, &keys, changes);
                self.agree(there, keys, agreed.clone(), content);
            }
            Step::Remove { pair, side, key, .. } => {
                self.sides.get_mut(*side).folders[at].remove(&uid(key)).unwrap();
                self.pairs[at].retain(|row| row.id != *pair);
            }
            Step::Forget { pair, .. } => self.pairs[at].retain(|row| row.id != *pair),
            Step::Rekey { .. } | Step::Expel { .. } => panic!("nothing here asks for {step:?}"),
        }
    }
}

fn uid(key: &Key) -> u32 {
    match key {
        Key::Uid(uid) => *uid,
        Key::Name(_) => panic!("there are no names here"),
    }
}

fn perturb(tree: &mut Tree, dice: &mut Dice) {
    let at = dice.roll(3) as usize;
    let some = tree.folders[at].keys().nth(dice.roll(4) as usize).copied();
    match (dice.roll(5), some) {
        (0 | 1, _) => {
            let message = Message { content: dice.roll(14) as u8, flags: some_flags(dice) };
            tree.put(at, message);
        }
        (2, Some(key)) => {
            tree.folders[at].remove(&key);
        }
        (3, Some(key)) => {
            tree.folders[at].get_mut(&key).unwrap().flags = some_flags(dice);
        }
        (_, Some(key)) => {
            let message = tree.folders[at].remove(&key).unwrap();
            tree.put(dice.roll(3) as usize, message);
        }
        (_, None) => {}
    }
}

fn policy() -> Policy {
    Policy {
        writable: Sides { left: true, right: true },
        keep_flagged: false,
        guard: Guard { count: 1_000, percent: 100, emptied: 1_000 },
        known: 0,
        approved: HashSet::new(),
    }
}

/// Applies plans until there is nothing to do: at first only some steps of each.
fn settle(triple: &mut Triple, dice: &mut Dice, policy: &Policy) -> usize {
    for round in 1..=10 {
        let plan = triple.plan(policy);
        assert_eq!(plan.holds, []);
        if plan.folders.iter().all(|folder| folder.steps.is_empty()) {
            return round;
        }
        let mut steps: Vec<(usize, &Step)> = Vec::new();
        for (at, folder) in plan.folders.iter().enumerate() {
            steps.extend(folder.steps.iter().map(|step| (at, step)));
        }
        // Moves first, as the engine does.
        steps.sort_by_key(|(_, step)| !matches!(step, Step::Move { .. }));
        for (at, step) in steps {
            if round > 4 || dice.coin() {
                triple.apply(at, step);
            }
        }
    }
    panic!("ten rounds were not enough: {triple:?}");
}

#[test]
fn random_triples_end_equal_and_lose_and_double_nothing() {
    let policy = policy();
    for seed in 0..CASES {
        let mut dice = Dice(seed);
        let mut triple = Triple::random(&mut dice);
        let before = triple.clone();
        settle(&mut triple, &mut dice, &policy);
        let (left, right) = (triple.sides.left.all(), triple.sides.right.all());
        assert_eq!(left, right, "seed {seed}: {before:?}");
        assert_kept(&before, &triple, seed);
    }
}

/// No content goes unless a side removed it, and none comes to be there more often than before.
fn assert_kept(before: &Triple, after: &Triple, seed: u64) {
    let was = before.sides.as_ref().map(Tree::counts);
    let is = after.sides.left.counts();
    let agreed: usize = before.pairs.iter().map(Vec::len).sum();
    for content in 0..14 {
        let count = |counts: &HashMap<u8, usize>| counts.get(&content).copied().unwrap_or(0);
        let (left, right, now) = (count(&was.left), count(&was.right), count(&is));
        if agreed == 0 {
            // Nobody can have removed anything.
            let most = (0..3).map(|at| {
                let at_side = |side: Side| {
                    let folder = before.sides.get(side).folders[at].values();
                    folder.filter(|message| message.content == content).count()
                };
                at_side(Side::Left).max(at_side(Side::Right))
            });
            assert_eq!(now, most.sum::<usize>(), "seed {seed}, content {content}: {before:?}");
        }
        let known = before.pairs.iter().flatten();
        let known = known.filter(|pair| pair.identity == Some(identity(content))).count();
        assert!(now <= left + right, "seed {seed}, content {content}: {before:?}");
        if known == 0 {
            assert!(now >= left.max(right), "seed {seed}, content {content}: {before:?}");
        }
    }
}

#[test]
fn a_message_moved_here_and_flagged_there_is_both() {
    let mut triple = Triple { sides: Sides::default(), pairs: Default::default(), next: 0 };
    let message = Message { content: 1, flags: Flags::default() };
    let keys = Sides {
        left: triple.sides.left.put(0, message.clone()),
        right: triple.sides.right.put(0, message.clone()),
    };
    triple.agree(0, keys.map(Key::Uid), Flags::default(), 1);
    triple.sides.left.folders[0].clear();
    triple.sides.left.put(1, message);
    let seen = Flags::new([System::Seen], []);
    triple.sides.right.folders[0].get_mut(&keys.right).unwrap().flags = seen.clone();
    settle(&mut triple, &mut Dice(1), &policy());
    let expected = BTreeMap::from([((1, Message { content: 1, flags: seen }), 1)]);
    assert_eq!(triple.sides.left.all(), expected);
    assert_eq!(triple.sides.right.all(), expected);
}

#[test]
fn removals_beat_flags_unless_flagged_messages_are_to_be_kept() {
    for keep_flagged in [false, true] {
        let mut triple = Triple { sides: Sides::default(), pairs: Default::default(), next: 0 };
        let message = Message { content: 1, flags: Flags::default() };
        let keys = Sides {
            left: triple.sides.left.put(0, message.clone()),
            right: triple.sides.right.put(0, message),
        };
        triple.agree(0, keys.map(Key::Uid), Flags::default(), 1);
        triple.sides.left.folders[0].clear();
        let flagged = Flags::new([System::Flagged], []);
        triple.sides.right.folders[0].get_mut(&keys.right).unwrap().flags = flagged;
        let policy = Policy { keep_flagged, ..policy() };
        assert_eq!(triple.plan(&policy).conflicts.len(), usize::from(keep_flagged));
        settle(&mut triple, &mut Dice(1), &policy);
        assert_eq!(triple.sides.left.all(), triple.sides.right.all());
        assert_eq!(triple.sides.left.all().len(), usize::from(keep_flagged));
    }
}
