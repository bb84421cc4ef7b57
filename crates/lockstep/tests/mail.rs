//! `lockstep mail` between Maildirs, as people run it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Said, lockstep, run};

/// A home with an account of two Maildirs.
struct Home {
    dir: TempDir,
}

/// Messages by folder and content, with their flags, as often as they are there.
type Everything = BTreeMap<(String, Vec<u8>, String), usize>;

impl Home {
    fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        for side in ["left", "right"] {
            for place in ["cur", "new", "tmp"] {
                fs::create_dir_all(home.path(side).join("INBOX").join(place)).unwrap();
            }
        }
        let (left, right) = (home.url("left"), home.url("right"));
        home.mail(&["account", "add", "home", "--left", &left, "--right", &right]).with_code(0);
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn url(&self, side: &str) -> String {
        format!("maildir:{}", self.path(side).display())
    }

    fn mail(&self, args: &[&str]) -> Said {
        run(lockstep(self.dir.path()).arg("mail"), args)
    }

    fn sync(&self) -> Value {
        self.mail(&["sync", "home", "--json"]).with_code(0).json()
    }

    fn deliver(&self, side: &str, folder: &str, number: usize) -> PathBuf {
        let place = self.path(side).join(folder);
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(place.join(name)).unwrap();
        }
        let path = place.join("cur").join(format!("{number}.x:2,"));
        fs::write(&path, format!("Message-ID: <{number}@x>\nSubject: s\n\nbody {number}\n"))
            .unwrap();
        path
    }

    fn everything(&self, side: &str) -> Everything {
        let mut all = Everything::new();
        gather(&self.path(side), &self.path(side), &mut all);
        all
    }

    fn assert_equal(&self) -> Everything {
        let (left, right) = (self.everything("left"), self.everything("right"));
        assert_eq!(left, right);
        left
    }
}

fn gather(root: &Path, place: &Path, all: &mut Everything) {
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(root, &path, all);
            continue;
        }
        let parent = path.parent().unwrap();
        if !matches!(parent.file_name().unwrap().to_str(), Some("cur" | "new")) {
            continue;
        }
        let folder = parent.parent().unwrap().strip_prefix(root).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let flags = name.split_once(":2,").map_or("", |(_, flags)| flags);
        let body: Vec<u8> =
            fs::read(&path).unwrap().into_iter().filter(|byte| *byte != b'\r').collect();
        let key = (folder.display().to_string(), body, flags.to_owned());
        *all.entry(key).or_default() += 1;
    }
}

#[test]
fn two_maildirs_come_to_be_the_same_and_stay_so() {
    let home = Home::new();
    for number in 0..20 {
        home.deliver("left", "INBOX", number);
        home.deliver("right", "Lists/rust", 100 + number);
    }
    // The same message on both sides is one message.
    home.deliver("left", "INBOX", 50);
    home.deliver("right", "INBOX", 50);
    let dry = home.mail(&["sync", "home", "--dry-run"]).with_code(0);
    assert_eq!(dry.out.matches("right + INBOX: ").count(), 20, "{dry:?}");
    assert_eq!(home.everything("right").len(), 21, "a dry run changes nothing");
    let first = home.sync();
    assert_eq!(first["done"]["right"]["copied"], 20);
    assert_eq!(first["done"]["left"]["copied"], 20);
    assert_eq!(first["paired"], 1);
    assert_eq!(home.assert_equal().len(), 41);
    let second = home.mail(&["sync", "home"]).with_code(0);
    assert!(second.out.contains("both sides are the same"), "{second:?}");

    // Changes of both sides meet.
    fs::rename(home.path("left/INBOX/cur/3.x:2,"), home.path("left/INBOX/cur/3.x:2,S")).unwrap();
    fs::remove_file(home.path("left/INBOX/cur/4.x:2,")).unwrap();
    fs::rename(home.path("right/Lists/rust/cur/103.x:2,"), home.path("right/INBOX/cur/103.x:2,F"))
        .unwrap();
    home.deliver("right", "INBOX", 60);
    let third = home.sync();
    assert_eq!(third["done"]["left"]["moved"], 1, "{third}");
    assert_eq!(third["done"]["right"]["removed"], 1, "{third}");
    assert_eq!(third["done"]["left"]["copied"], 1, "{third}");
    let all = home.assert_equal();
    assert_eq!(all.len(), 41);
    let is = |folder: &str, number: usize, flags: &str| {
        let body = format!("Message-ID: <{number}@x>\nSubject: s\n\nbody {number}\n");
        all.contains_key(&(folder.to_owned(), body.into_bytes(), flags.to_owned()))
    };
    assert!(is("INBOX", 3, "S") && is("INBOX", 103, "F") && !is("INBOX", 4, ""));

    // What was removed comes back.
    home.mail(&["undo", "home", "--yes"]).with_code(0);
    home.sync();
    let all = home.assert_equal();
    assert_eq!(all.len(), 42);
    let status = home.mail(&["status", "home", "--json"]).with_code(0).json();
    assert_eq!(status[0]["folders"][0]["folder"], "INBOX");
    // The message was moved, and moved back.
    let events = home.mail(&["events", "home"]).with_code(0).out;
    assert_eq!(events.matches("io.lockstep.mail.message.moved.v1").count(), 2, "{events}");
    home.mail(&["doctor"]).with_code(0);
    home.mail(&["examine", "home"]).with_code(0);
    home.mail(&["account", "test", "home"]).with_code(0);
}

#[test]
fn an_emptied_side_waits_for_approval() {
    let home = Home::new();
    for number in 0..30 {
        home.deliver("left", "INBOX", number);
    }
    home.sync();
    for entry in fs::read_dir(home.path("left/INBOX/cur")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    home.deliver("right", "INBOX", 77);
    let held = home.mail(&["sync", "home", "--json"]).with_code(3);
    assert!(held.err.contains("lockstep mail approve"), "{held:?}");
    let token = held.json()["held"][0]["token"].as_str().unwrap().to_owned();
    assert_eq!(home.everything("right").len(), 31);
    assert_eq!(home.everything("left").len(), 1, "the rest goes on");
    home.mail(&["approve", "0000"]).with_code(2);
    home.mail(&["approve", &token]).with_code(0);
    home.sync();
    assert_eq!(home.assert_equal().len(), 1);
    home.mail(&["undo", "home", "--yes"]).with_code(0);
    home.sync();
    assert_eq!(home.assert_equal().len(), 31);
}

#[test]
fn a_side_that_is_not_there_changes_nothing() {
    let home = Home::new();
    for number in 0..5 {
        home.deliver("left", "INBOX", number);
    }
    home.sync();
    fs::rename(home.path("left"), home.path("elsewhere")).unwrap();
    let gone = home.mail(&["sync", "home"]).with_code(5);
    assert!(gone.err.contains("mounted"), "{gone:?}");
    // An empty directory in its place, as an empty mount point is.
    fs::create_dir_all(home.path("left")).unwrap();
    home.mail(&["sync", "home"]).with_code(5);
    assert_eq!(home.everything("right").len(), 5);
    fs::remove_dir_all(home.path("left")).unwrap();
    fs::rename(home.path("elsewhere"), home.path("left")).unwrap();
    home.sync();
    assert_eq!(home.assert_equal().len(), 5);
}

#[test]
fn a_written_plan_is_applied_as_far_as_it_holds() {
    let home = Home::new();
    home.deliver("left", "INBOX", 1);
    home.deliver("left", "INBOX", 2);
    let plan = home.mail(&["plan", "home", "--json"]).with_code(0);
    fs::write(home.path("plan.json"), &plan.out).unwrap();
    fs::remove_file(home.path("left/INBOX/cur/2.x:2,")).unwrap();
    home.deliver("left", "INBOX", 3);
    let path = home.path("plan.json");
    let done = home.mail(&["apply", path.to_str().unwrap(), "--json"]).with_code(0).json();
    assert_eq!((&done["done"]["right"]["copied"], &done["outdated"]), (&1.into(), &1.into()));
    assert_eq!(home.everything("right").len(), 1);
    home.sync();
    assert_eq!(home.assert_equal().len(), 2);
}

#[test]
fn a_lost_state_doubles_nothing() {
    let home = Home::new();
    for number in 0..10 {
        home.deliver("left", "INBOX", number);
    }
    home.sync();
    for kind in ["db", "db-wal", "db-shm"] {
        let _absent =
            fs::remove_file(home.path(&format!(".local/share/lockstep/mail/home.{kind}")));
    }
    let again = home.sync();
    assert_eq!(again["paired"], 10);
    assert_eq!(home.assert_equal().len(), 10);
}

#[test]
fn accounts_are_made_shown_and_forgotten() {
    let home = Home::new();
    let left = home.url("left");
    let right = "imaps://me:secret@example.org";
    let refused =
        home.mail(&["account", "add", "x", "--left", &left, "--right", right]).with_code(2);
    assert!(!refused.err.contains("secret"), "{refused:?}");
    let args = ["account", "add", "home", "--left", &left, "--right", &left];
    home.mail(&args).with_code(2);
    let shown = home.mail(&["account", "show", "home"]).with_code(0);
    assert!(shown.out.contains("keep_removed = \"30d\""), "{shown:?}");
    assert_eq!(home.mail(&["account", "list", "--json"]).with_code(0).json()[0]["name"], "home");
    home.mail(&["account", "remove", "home"]).with_code(2);
    home.mail(&["account", "remove", "home", "--yes"]).with_code(0);
    home.mail(&["sync", "home"]).with_code(2);
    home.mail(&["account", "add", "../x", "--left", &left, "--right", &left]).with_code(2);
}
