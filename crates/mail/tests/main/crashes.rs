//! Rounds that are cut off after every effect, with servers that go on after the client is gone,
//! against what users did.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use mail::{
    Flags, Side, Sides, System,
    driver::memory::{MemoryOptions, MemoryStore},
    engine::Mode,
    state::Change,
};

use crate::world::{Dice, World, folder};

const FOLDERS: [&str; 3] = ["INBOX", "a", "a/b"];

/// What must be true of each message, by its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fate {
    /// A side's user removed it.
    removed: bool,
    /// Sides whose user moved it.
    moved: Sides<bool>,
}

struct Story {
    world: World,
    users: Users,
}

/// Who changes mail on both sides, and what must be true of each message afterwards.
#[derive(Clone)]
struct Users {
    stores: Sides<MemoryStore>,
    fates: Arc<Mutex<BTreeMap<Vec<u8>, Fate>>>,
}

fn options(dice: &mut Dice) -> MemoryOptions {
    let names = dice.roll(3) == 0;
    MemoryOptions {
        names,
        tells_keys: dice.roll(3) > 0,
        incremental: dice.coin(),
        ghosts: !names,
        window: 1 + dice.roll(3) as usize,
        ..MemoryOptions::default()
    }
}

fn some_flags(dice: &mut Dice) -> Flags {
    let system: Vec<_> = System::ALL.into_iter().filter(|_| dice.roll(4) == 0).collect();
    Flags::new(system, [])
}

impl Story {
    /// Lets both sides agree on some messages, and then users change both.
    async fn begin(seed: u64) -> Self {
        Self::begin_with(seed, &[]).await.0
    }

    /// The same where some folders are known from the start; gives how many messages each had when
    /// the users began.
    async fn begin_with(seed: u64, known: &[&str]) -> (Self, BTreeMap<String, i64>) {
        let mut dice = Dice(seed);
        let options = Sides { left: options(&mut dice), right: options(&mut dice) };
        let world = World::new(options);
        let users = Users { stores: world.stores.clone(), fates: Arc::default() };
        let story = Self { world, users };
        known.iter().for_each(|name| story.world.stores.left.add_folder(&folder(name)));
        for _ in 0..dice.roll(6) {
            story.users.deliver(&mut dice);
        }
        story.world.settle().await;
        story.world.commits.lock().unwrap().clear();
        let before = story.counts();
        for _ in 0..1 + dice.roll(6) {
            story.users.act(&mut dice);
        }
        (story, before)
    }

    /// Holds what was told since every folder was known against what there is now: as many messages
    /// in each folder as came less those that went, and no event twice.
    fn check_events(&self, before: &BTreeMap<String, i64>, seed: u64, cut: i64) {
        let mut counts = before.clone();
        let mut ids = BTreeSet::new();
        let commits = self.world.commits.lock().unwrap();
        for change in commits.iter().flatten() {
            let Change::Event { id, kind, body, .. } = change else { continue };
            assert!(ids.insert(id.clone()), "seed {seed}, cut {cut}: {id} is told twice");
            let mut add = |folder: &str, number: i64| {
                let folder = body[folder].as_str().unwrap().to_owned();
                *counts.entry(folder).or_default() += number;
            };
            match kind.trim_start_matches("io.lockstep.mail.message.") {
                "arrived.v1" => add("folder", 1),
                "removed.v1" => add("folder", -1),
                "moved.v1" => {
                    add("from", -1);
                    add("to", 1);
                }
                _ => {}
            }
        }
        counts.retain(|_, count| *count != 0);
        assert_eq!(counts, self.counts(), "seed {seed}, cut {cut}: {commits:#?}");
    }

    /// Makes a round in which nothing is left to do: no side is changed, and the state only notes
    /// that there was a round.
    async fn check_quiet(&self, seed: u64) {
        const MANY: i64 = 1_000;
        self.world.commits.lock().unwrap().clear();
        self.world.fuse.set(MANY);
        self.world.sync().await;
        let effects = MANY - self.world.fuse.left();
        let commits = self.world.commits.lock().unwrap();
        assert_eq!(usize::try_from(effects).unwrap(), commits.len(), "seed {seed}: {commits:#?}");
        for change in commits.iter().flatten() {
            let is_note = matches!(
                change,
                Change::BeginRun(..)
                    | Change::EndRun(..)
                    | Change::Holds(..)
                    | Change::Proved(..)
                    | Change::ProvedBut(..)
            );
            assert!(is_note, "seed {seed}: {change:#?}");
        }
    }

    /// Counts the messages in each folder.
    fn counts(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for ((folder, ..), count) in self.world.everything(Side::Left) {
            *counts.entry(folder).or_default() += i64::try_from(count).unwrap();
        }
        counts
    }

    /// Makes rounds, whatever fails, until one changes nothing.
    async fn settle(&self, seed: u64, cut: i64) {
        for _ in 0..12 {
            let summary = self.world.run(Mode::Apply).await.unwrap();
            if summary.is_quiet() && summary.problems.is_empty() {
                return;
            }
        }
        panic!("seed {seed}, cut {cut}: twelve rounds were not enough");
    }

    /// Cuts a round off after some effects, and lets others and ghosts go on; tells whether it had
    /// that many.
    async fn cut(&self, seed: u64, cut: i64) -> bool {
        self.world.fuse.set(cut);
        let outcome = self.world.run(Mode::Apply).await;
        let was_cut = self.world.fuse.left() < 0;
        self.world.fuse.set(i64::MAX);
        self.settle(seed, cut).await;
        for side in Side::BOTH {
            self.world.stores.get(side).let_ghosts_finish();
        }
        self.settle(seed, cut).await;
        self.check(seed, cut);
        assert!(was_cut || outcome.is_ok(), "seed {seed}");
        was_cut
    }

    fn check(&self, seed: u64, cut: i64) {
        let sides = Sides::of(|side| self.world.everything(side));
        assert_eq!(sides.left, sides.right, "seed {seed}, cut {cut}");
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for ((_, body, _), count) in &sides.left {
            *counts.entry(body).or_default() += count;
        }
        for (body, fate) in self.users.fates.lock().unwrap().iter() {
            let body = std::str::from_utf8(body).unwrap();
            let count = counts.remove(body).unwrap_or(0);
            let both = fate.moved.left && fate.moved.right;
            let moved = fate.moved.left || fate.moved.right;
            // Who moves what the other side moves or removes has both.
            let allowed = match (fate.removed, moved) {
                (true, true) => 0..=1,
                (true, _) => 0..=0,
                (false, _) if both => 1..=2,
                (false, _) => 1..=1,
            };
            assert!(
                allowed.contains(&count),
                "seed {seed}, cut {cut}: {count} times {body:?}, {fate:?}"
            );
        }
        assert_eq!(counts, BTreeMap::new(), "seed {seed}, cut {cut}: nobody wrote that");
    }
}

impl Users {
    fn deliver(&self, dice: &mut Dice) {
        let mut fates = self.fates.lock().unwrap();
        let n = fates.len() + 1;
        let body = format!("Message-ID: <{n}@x>\r\nSubject: s\r\n\r\nbody {n}\r\n").into_bytes();
        let at = folder(FOLDERS[dice.roll(3) as usize]);
        self.stores.get(dice.side()).deliver(&at, &body, some_flags(dice));
        fates.insert(body, Fate::default());
    }

    fn act(&self, dice: &mut Dice) {
        let side = dice.side();
        let store = self.stores.get(side);
        let all = store.contents();
        let some = all.get(dice.roll(1 + all.len() as u64) as usize);
        let to = folder(FOLDERS[dice.roll(3) as usize]);
        let fate = |body: &[u8], change: &dyn Fn(&mut Fate)| {
            change(self.fates.lock().unwrap().get_mut(body).unwrap());
        };
        match (dice.roll(6), some) {
            (0 | 1, _) | (_, None) => self.deliver(dice),
            (2, Some((at, key, body, _))) => {
                store.take(at, key);
                fate(body, &|fate| fate.removed = true);
            }
            (3, Some((at, key, body, _))) if *at != to => {
                store.shift(at, key, &to);
                fate(body, &|fate| *fate.moved.get_mut(side) = true);
            }
            (_, Some((at, key, ..))) => store.set_flags(at, key, some_flags(dice)),
        }
    }
}

#[tokio::test]
async fn random_histories_converge() {
    for seed in 0..300 {
        let story = Story::begin(seed).await;
        story.settle(seed, -1).await;
        story.check(seed, -1);
        story.check_quiet(seed).await;
    }
}

#[tokio::test]
async fn a_cut_after_any_effect_loses_and_doubles_nothing() {
    for seed in 0..60 {
        for cut in 0..80 {
            let story = Story::begin(seed).await;
            if !story.cut(seed, cut).await {
                break;
            }
        }
    }
}

#[tokio::test]
async fn whatever_is_cut_off_events_tell_all_that_changed() {
    for seed in 0..40 {
        for cut in (0..80).step_by(1 + seed as usize % 2) {
            let (story, before) = Story::begin_with(2_000 + seed, &FOLDERS).await;
            let was_cut = story.cut(seed, cut).await;
            story.check_events(&before, seed, cut);
            if !was_cut {
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_users_do_during_a_round_is_neither_lost_nor_undone() {
    for seed in 0..60 {
        for calls in 0..30 {
            let story = Story::begin(1_000 + seed).await;
            let users = story.users.clone();
            story.world.fuse.surprise(calls, move || {
                let mut dice = Dice(seed * 100 + u64::from(calls));
                for _ in 0..3 {
                    users.act(&mut dice);
                }
            });
            // It may come late, in a round that found nothing to do; the next one sees it.
            for _ in 0..8 {
                story.settle(seed, calls.into()).await;
            }
            story.check(seed, calls.into());
        }
    }
}
