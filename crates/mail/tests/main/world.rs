//! Two stores in memory, an account of them, and users who change both.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use mail::{
    Flags, FolderName, Key, Side, Sides,
    driver::memory::{Fuse, MemoryOptions, MemoryStore},
    engine::{Account, Context, Mode, Settings, Summary, sync},
    plan::Guard,
    state::{Change, Database, Keeper, State},
};
use model::{Result, Time};

/// A small generator of numbers that a seed determines.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.roll(2) == 0
    }

    pub(crate) fn side(&mut self) -> Side {
        if self.coin() { Side::Left } else { Side::Right }
    }
}

pub(crate) fn folder(name: &str) -> FolderName {
    FolderName::new(name).unwrap()
}

pub(crate) fn flags(names: &[&str]) -> Flags {
    Flags::from_names(names.iter().copied())
}

/// Everything that is on a side, as a multiset.
pub(crate) type Everything = BTreeMap<(String, String, String), usize>;

/// Two stores, the state between them, and what they share.
pub(crate) struct World {
    pub(crate) stores: Sides<MemoryStore>,
    pub(crate) state: State,
    pub(crate) fuse: Arc<Fuse>,
    pub(crate) settings: Settings,
    pub(crate) kept: MemoryStore,
    pub(crate) clock: AtomicI64,
    pub(crate) serial: u64,
    /// What was committed to the state, in order.
    pub(crate) commits: Commits,
}

/// The changes of each commit.
pub(crate) type Commits = Arc<Mutex<Vec<Vec<Change>>>>;

/// Lets commits fail where the fuse says so, and listens to what is committed.
struct Gate(Arc<Fuse>, Commits);

impl Keeper for Gate {
    fn takes_events(&self) -> bool {
        false
    }

    fn keep(&mut self, changes: &[&Change]) -> Result<()> {
        self.0.effect()?;
        let changes = changes.iter().map(|change| (*change).clone()).collect();
        self.1.lock().unwrap().push(changes);
        Ok(())
    }

    fn rest(&mut self, _: serde_json::Value, _: &mut dyn FnMut() -> Result<Vec<u8>>) -> Result<()> {
        Ok(())
    }
}

impl World {
    pub(crate) fn new(options: Sides<MemoryOptions>) -> Self {
        let fuse = Arc::new(Fuse::endless());
        let stores = Sides::of(|side| {
            let fuse = Arc::clone(&fuse);
            MemoryStore::new(side.as_str(), MemoryOptions { fuse, ..options.get(side).clone() })
        });
        let kept = MemoryStore::new(
            "kept",
            MemoryOptions { names: true, fuse: Arc::clone(&fuse), ..MemoryOptions::default() },
        );
        let (commits, gate) = (Commits::default(), Arc::clone(&fuse));
        let gate = Gate(gate, Arc::clone(&commits));
        let state = State::start_kept(Database::in_memory().unwrap(), Box::new(gate)).unwrap();
        let settings = Settings {
            guard: Guard { count: 1_000, percent: 100, emptied: 1_000 },
            grace: Duration::ZERO,
            connections: 2,
            ..Settings::default()
        };
        let clock = AtomicI64::new(1_800_000_000);
        Self { stores, state, fuse, settings, kept, clock, serial: 0, commits }
    }

    pub(crate) fn plain() -> Self {
        Self::new(Sides::default())
    }

    pub(crate) fn account(&self) -> Account {
        Account {
            name: "home".to_owned(),
            stores: Sides {
                left: Arc::new(self.stores.left.clone()),
                right: Arc::new(self.stores.right.clone()),
            },
            retention: Some(Arc::new(self.kept.clone())),
            settings: self.settings.clone(),
        }
    }

    pub(crate) async fn run(&self, mode: Mode) -> Result<Summary> {
        let now = || Time(self.clock.load(Ordering::SeqCst) * 1_000_000_000);
        let context = Context { now: &now, progress: &|_| {} };
        sync(&self.account(), &self.state, &mode, &context).await
    }

    /// Makes a round that must succeed.
    pub(crate) async fn sync(&self) -> Summary {
        let summary = self.run(Mode::Apply).await.unwrap();
        assert_eq!(summary.problems, []);
        summary
    }

    /// Makes rounds until nothing changes any more.
    pub(crate) async fn settle(&self) -> usize {
        for round in 1..=10 {
            if self.sync().await.is_quiet() {
                return round;
            }
        }
        panic!("ten rounds were not enough");
    }

    /// Makes a message that nothing else is like.
    pub(crate) fn message(&mut self) -> Vec<u8> {
        self.serial += 1;
        let n = self.serial;
        format!("Message-ID: <{n}@x>\r\nSubject: s{n}\r\n\r\nbody {n}\r\n").into_bytes()
    }

    pub(crate) fn everything(&self, side: Side) -> Everything {
        let mut all = Everything::new();
        for (folder, _, body, flags) in self.stores.get(side).contents() {
            let body = String::from_utf8_lossy(&body).into_owned();
            *all.entry((folder.to_string(), body, flags.to_string())).or_default() += 1;
        }
        all
    }

    /// Holds both sides against each other.
    pub(crate) fn assert_equal(&self) -> Everything {
        let (left, right) = (self.everything(Side::Left), self.everything(Side::Right));
        assert_eq!(left, right);
        let names = |side| self.stores.get(side).folder_names();
        assert_eq!(names(Side::Left), names(Side::Right));
        left
    }

    pub(crate) fn find(&self, side: Side, body: &[u8]) -> Option<(FolderName, Key)> {
        let mut all = self.stores.get(side).contents().into_iter();
        all.find(|(_, _, found, _)| found == body).map(|(folder, key, ..)| (folder, key))
    }
}
