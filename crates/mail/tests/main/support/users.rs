//! People who change both sides while they are brought in step, and what must come of it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use mail::{Driver, Flags, FolderName, Key};

use super::{
    Mail, anywhere, append, at, change, fetch, flags, folder, list,
    pair::{Everything, Pair},
};

/// A small generator of numbers that a seed determines.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
}

/// A message as it must be in the end.
#[derive(Clone, Debug)]
struct Fate {
    body: Vec<u8>,
    folder: FolderName,
    flags: Flags,
}

/// Those who change both sides. Each message is changed once at most, so that it is certain what
/// must come of it.
pub(crate) struct Users {
    dice: Dice,
    serial: usize,
    /// Messages that both sides have, and that nobody has changed yet.
    settled: Vec<Fate>,
    /// Messages that are new or changed since.
    touched: Vec<Fate>,
    /// How many were removed.
    removed: usize,
    /// What was done to each message, as a number of [`Users::change_one`].
    deeds: BTreeMap<Vec<u8>, usize>,
}

impl Users {
    pub(crate) fn new(seed: u64) -> Self {
        let (settled, touched) = (Vec::new(), Vec::new());
        let deeds = BTreeMap::new();
        Self { dice: Dice(seed), serial: 0, settled, touched, removed: 0, deeds }
    }

    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.dice.roll(sides)
    }

    /// Says what both sides must hold.
    pub(crate) fn expected(&self) -> Everything {
        let mut all = Everything::new();
        for fate in self.settled.iter().chain(&self.touched) {
            let key = (fate.body.clone(), fate.folder.clone(), fate.flags.clone());
            *all.entry(key).or_default() += 1;
        }
        all
    }

    /// Brings the sides in step without any trouble, and holds them against what must be.
    pub(crate) async fn check(&mut self, pair: &Pair<'_>) {
        pair.settle().await;
        self.compare(pair).await;
    }

    /// Holds the sides, which are in step, against what must be.
    pub(crate) async fn compare(&mut self, pair: &Pair<'_>) {
        let all = pair.same().await;
        let expected = self.expected();
        let show = |((body, folder, flags), count): (&(Vec<u8>, FolderName, Flags), &usize)| {
            let deed = self.deeds.get(body);
            let start = &String::from_utf8_lossy(body)[..40];
            format!("{count} × {folder} [{flags}] {start} deed {deed:?}")
        };
        let missing = expected.iter().filter(|(key, count)| all.get(*key) != Some(*count));
        let missing: Vec<String> = missing.map(show).collect();
        let extra = all.iter().filter(|(key, count)| expected.get(*key) != Some(*count));
        let extra: Vec<String> = extra.map(show).collect();
        assert!(missing.is_empty() && extra.is_empty(), "lost: {missing:#?}, more: {extra:#?}");
        self.settled.append(&mut self.touched);
    }

    /// Says what happened, for those who watch.
    pub(crate) fn tell(&self) -> String {
        let there = self.settled.len() + self.touched.len();
        format!("{} messages made, {} removed, {there} there", self.serial, self.removed)
    }

    /// Makes some messages on the left.
    pub(crate) fn write_left(&mut self, pair: &Pair<'_>, messages: usize) {
        for _ in 0..messages {
            let fate = self.message();
            let directory = pair.root().join(fate.folder.as_str());
            for name in ["cur", "new", "tmp"] {
                fs::create_dir_all(directory.join(name)).unwrap();
            }
            let name = format!("local.{}", self.serial);
            let draft = directory.join("tmp").join(&name);
            fs::write(&draft, &fate.body).unwrap();
            let flagged = if fate.flags.is_empty() { "" } else { "S" };
            fs::rename(draft, directory.join(format!("cur/{name}:2,{flagged}"))).unwrap();
            self.touched.push(fate);
        }
    }

    /// Makes some messages on the right.
    pub(crate) async fn write_right(&mut self, right: &mut dyn Driver, messages: usize) {
        for _ in 0..messages {
            let fate = self.message();
            let mail = Mail { body: fate.body.clone(), flags: fate.flags.clone(), date: None };
            append(right, &anywhere(&fate.folder), &[mail]).await.unwrap();
            self.touched.push(fate);
        }
    }

    /// Changes something that both sides have.
    pub(crate) async fn change_one(&mut self, pair: &Pair<'_>, right: &mut dyn Driver) {
        if self.settled.is_empty() {
            return;
        }
        let at = self.dice.roll(self.settled.len());
        let mut fate = self.settled.swap_remove(at);
        let (body, place) = (fate.body.clone(), fate.folder.clone());
        let other = folder(if place.is_inbox() { "Archive" } else { "INBOX" });
        let (seen, marked) = (flags(&["\\Seen"]), flags(&["\\Flagged", "Work"]));
        let deed = self.dice.roll(8);
        self.deeds.insert(body.clone(), deed);
        match deed {
            0 => {
                on_file(pair, &place, &body, |file| fs::remove_file(file));
                self.removed += 1;
                return;
            }
            1 => {
                let keys = find(right, &place, &body).await;
                right.remove(&anywhere(&place), &keys).await.unwrap();
                self.removed += 1;
                return;
            }
            2 => {
                add_letters(pair, &place, &body, "S");
                fate.flags = fate.flags.union(&seen);
            }
            3 => {
                let keys = find(right, &place, &body).await;
                let groups = [change(&keys, &["\\Flagged", "Work"], &[])];
                right.flag(&anywhere(&place), &groups).await.unwrap();
                fate.flags = fate.flags.union(&marked);
            }
            4 => {
                add_letters(pair, &place, &body, "R");
                let keys = find(right, &place, &body).await;
                let groups = [change(&keys, &["\\Flagged", "Work"], &[])];
                right.flag(&anywhere(&place), &groups).await.unwrap();
                fate.flags = fate.flags.union(&marked).union(&flags(&["\\Answered"]));
            }
            5 | 6 => {
                let there = pair.root().join(other.as_str());
                on_file(pair, &place, &body, |file| {
                    let name = file.file_name().unwrap();
                    fs::rename(file, there.join("cur").join(name))
                });
                fate.folder = other;
            }
            _ => {
                let keys = find(right, &place, &body).await;
                right.relocate(&anywhere(&place), &keys, &other).await.unwrap();
                fate.folder = other;
            }
        }
        self.touched.push(fate);
    }

    fn message(&mut self) -> Fate {
        self.serial += 1;
        let serial = self.serial;
        let lines = "all work and no play\r\n".repeat(self.dice.roll(200));
        let body = format!(
            "Message-ID: <{serial:06}@rig>\r\nSubject: {serial}\r\nFrom: rig@example.org\r\n\r\n\
             number {serial}\r\n{lines}"
        );
        let folder = folder(if self.dice.roll(3) == 0 { "Archive" } else { "INBOX" });
        let flags = if self.dice.roll(2) == 0 { flags(&["\\Seen"]) } else { flags(&[]) };
        Fate { body: body.into_bytes(), folder, flags }
    }
}

/// Does something with the file of a message, which may get another name at any moment.
fn on_file(
    pair: &Pair<'_>,
    folder: &FolderName,
    body: &[u8],
    mut act: impl FnMut(&Path) -> io::Result<()>,
) {
    for _ in 0..100 {
        let Some(file) = file_of(&pair.root().join(folder.as_str()), body) else { continue };
        match act(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => return done.unwrap(),
        }
    }
    panic!("a message that both sides had is not in {folder}");
}

fn file_of(directory: &Path, body: &[u8]) -> Option<PathBuf> {
    for name in ["cur", "new"] {
        for entry in fs::read_dir(directory.join(name)).ok()? {
            let path = entry.ok()?.path();
            if fs::read(&path).is_ok_and(|found| found == body) {
                return Some(path);
            }
        }
    }
    None
}

/// Adds flags to a file's name, as a mail program does.
fn add_letters(pair: &Pair<'_>, folder: &FolderName, body: &[u8], more: &str) {
    on_file(pair, folder, body, |file| {
        let name = file.file_name().unwrap().to_str().unwrap();
        let (base, letters) = name.split_once(":2,").unwrap_or((name, ""));
        let mut letters: Vec<char> = letters.chars().chain(more.chars()).collect();
        letters.sort_unstable();
        letters.dedup();
        let letters: String = letters.into_iter().collect();
        let cur = file.parent().unwrap().parent().unwrap().join("cur");
        fs::rename(file, cur.join(format!("{base}:2,{letters}")))
    });
}

/// Finds a message on the server.
async fn find(right: &mut dyn Driver, folder: &FolderName, body: &[u8]) -> Vec<Key> {
    let (listing, seen) = list(right, folder, None).await.unwrap();
    let keys: Vec<Key> = seen.into_keys().collect();
    let fetched: BTreeMap<_, _> = fetch(right, &at(folder, &listing), &keys).await.unwrap();
    let is_it = |found: &Option<(Vec<u8>, _)>| found.as_ref().is_some_and(|one| one.0 == body);
    let found = fetched.into_iter().filter(|(_, found)| is_it(found)).map(|(key, _)| key);
    let found: Vec<Key> = found.collect();
    assert!(!found.is_empty(), "a message that both sides had is not in {folder} of the server");
    found
}
