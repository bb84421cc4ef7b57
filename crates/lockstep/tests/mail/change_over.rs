//! Coming from other programs: what they have synced is taken over, and nothing goes over the wire
//! or appears twice.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    rigs::mail::dovecot::{Dovecot, PASSWORD},
    support::{Said, lockstep, run},
};

/// Folders by the names of their directories on both sides, with their messages. Directories have
/// names in modified UTF-7.
const FOLDERS: [(&str, usize); 3] = [("INBOX", 120), ("Lists/rust", 40), ("Stra&AN8-e", 10)];

/// A server with mail, and a home in which another program has synced it.
struct Move {
    server: Dovecot,
    home: TempDir,
}

impl Move {
    fn new() -> Self {
        let server = Dovecot::start_in(&std::env::temp_dir(), &["mail_fsync = never"]).unwrap();
        let new = Self { server, home: tempfile::tempdir().unwrap() };
        for (folder, messages) in FOLDERS {
            for number in 0..messages {
                new.deliver(folder, &format!("{folder}.{number}"));
            }
        }
        new
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Puts a message onto the server; every third one has been read.
    fn deliver(&self, folder: &str, id: &str) {
        let root = self.server.mail("me");
        let directory = root.join(folder);
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(directory.join(name)).unwrap();
        }
        let flags = if id.len().is_multiple_of(3) { "S" } else { "" };
        let file = directory.join(format!("cur/{}:2,{flags}", id.replace('/', "-")));
        fs::write(&file, message(id)).unwrap();
        // The server's files belong to the user that it runs as.
        let owner = fs::metadata(self.server.file("mail")).unwrap();
        let mut path = file.as_path();
        while path.starts_with(&root) {
            chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
            path = path.parent().unwrap();
        }
    }

    fn other(&self, program: &str, args: &[&str]) {
        let output = Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{program}: {output:?}");
    }

    fn mbsync(&self) {
        let (port, near) = (self.server.ports().0, self.path("Mail"));
        let text = format!(
            "IMAPAccount me\nHost 127.0.0.1\nPort {port}\nUser me\nPass {PASSWORD}\n\
             SSLType None\nAuthMechs PLAIN\n\nIMAPStore far\nAccount me\n\n\
             MaildirStore near\nPath {0}/\nInbox {0}/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\n\
             SyncState *\n",
            near.display(),
        );
        fs::create_dir_all(near).unwrap();
        let file = self.path("mbsyncrc");
        fs::write(&file, text).unwrap();
        self.other("mbsync", &["-q", "-c", file.to_str().unwrap(), "all"]);
    }

    fn offlineimap(&self) {
        let text = format!(
            "[general]\naccounts = Home\nui = quiet\n[Account Home]\nlocalrepository = Here\n\
             remoterepository = There\n[Repository Here]\ntype = Maildir\nlocalfolders = {}\n\
             sep = /\n[Repository There]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = {}\n\
             remoteuser = me\nremotepass = {PASSWORD}\nssl = no\nstarttls = no\n",
            self.path("Mail").display(),
            self.server.ports().0,
        );
        let file = self.path("offlineimaprc");
        fs::write(&file, text).unwrap();
        self.other("offlineimap", &["-o", "-c", file.to_str().unwrap()]);
    }

    fn account(&self) {
        let accounts = self.path(".config/lockstep/mail");
        fs::create_dir_all(&accounts).unwrap();
        let password = self.path("password");
        fs::write(&password, PASSWORD).unwrap();
        let text = format!(
            "[left]\nurl = \"maildir:{}\"\nutf7 = true\n[right]\n\
             url = \"imap+plain://me@127.0.0.1:{}\"\npassword_file = \"{}\"\n",
            self.path("Mail").display(),
            self.server.ports().0,
            password.display(),
        );
        fs::write(accounts.join("home.toml"), text).unwrap();
    }

    fn mail(&self, args: &[&str]) -> Said {
        run(lockstep(self.home.path()).arg("mail"), args)
    }

    /// Takes over, and gives what was found for each folder.
    fn import(&self, program: &str) -> Vec<(String, usize, usize)> {
        let said = self.mail(&["import-state", program, "home", "--json"]).with_code(0).json();
        let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let folders = said["folders"].as_array().unwrap().iter();
        let shown = folders.map(|one| {
            let name = one["folder"].as_str().unwrap().to_owned();
            (name, number(&one["paired"]), number(&one["left"]))
        });
        shown.collect()
    }

    fn sync(&self) -> Value {
        self.mail(&["sync", "home", "--json"]).with_code(0).json()
    }

    /// Counts the messages of a folder on both sides.
    fn counts(&self, folder: &str) -> [usize; 2] {
        [self.path("Mail"), self.server.mail("me")].map(|root| files(&root.join(folder)).len())
    }
}

fn message(id: &str) -> String {
    // All are equally long, so that nothing but their headers tells them apart.
    format!("Message-ID: <{id:0>20}@example.org>\r\nSubject: hello\r\n\r\nhello {id:0>20}\r\n")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in ["cur", "new"] {
        let entries = fs::read_dir(directory.join(name)).unwrap();
        found.extend(entries.map(|entry| entry.unwrap().path()));
    }
    found
}

/// Makes sure that the first sync finds nothing to do, and the next ones whatever changes.
fn goes_on(moved: &Move) {
    let expected = |more: usize| FOLDERS.map(|(folder, messages)| (folder, [messages + more; 2]));
    let first = moved.sync();
    for side in ["left", "right"] {
        for what in ["copied", "flagged", "removed", "moved"] {
            assert_eq!(first["done"][side][what], 0, "{first}");
        }
    }
    assert_eq!(first["paired"], 0, "nothing had to be paired anew: {first}");
    for (folder, counts) in expected(0) {
        assert_eq!(moved.counts(folder), counts, "{folder}");
    }
    for (folder, _) in FOLDERS {
        moved.deliver(folder, &format!("{folder}.new"));
    }
    let read = files(&moved.path("Mail/INBOX"));
    let read = read.iter().find(|path| path.to_str().unwrap().ends_with(":2,")).unwrap();
    let (base, _) = read.to_str().unwrap().split_once(":2,").unwrap();
    fs::rename(read, format!("{base}:2,F")).unwrap();
    let second = moved.sync();
    assert_eq!(second["done"]["left"]["copied"], FOLDERS.len(), "{second}");
    assert_eq!(second["done"]["right"]["flagged"], 1, "{second}");
    for (folder, counts) in expected(1) {
        assert_eq!(moved.counts(folder), counts, "{folder}");
    }
}

/// What is taken over if everything is.
fn all() -> Vec<(String, usize, usize)> {
    let shown = FOLDERS.map(|(folder, messages)| {
        let name = if folder.starts_with("Stra") { "Straße" } else { folder };
        (name.to_owned(), messages, 0)
    });
    shown.into()
}

#[test]
fn what_mbsync_has_synced_is_not_synced_again() {
    let moved = Move::new();
    moved.mbsync();
    moved.account();
    assert_eq!(moved.import("mbsync"), all());
    goes_on(&moved);
    // What is known now is more than the other program knows.
    let again = moved.mail(&["import-state", "mbsync", "home"]);
    assert!(again.code != 0 && again.err.contains("synced before"), "{again:?}");
}

#[test]
fn what_offlineimap_has_synced_is_not_synced_again() {
    let moved = Move::new();
    moved.offlineimap();
    moved.account();
    assert_eq!(moved.import("offlineimap"), all());
    goes_on(&moved);
}

#[test]
fn what_does_not_fit_is_not_believed_and_nothing_is_doubled() {
    let moved = Move::new();
    moved.mbsync();
    moved.account();
    // Numbers of other messages, as after a state was restored from elsewhere.
    let file = moved.path("Mail/INBOX/.mbsyncstate");
    let text = fs::read_to_string(&file).unwrap();
    let (head, rows) = text.split_once("\n\n").unwrap();
    let shifted: String = rows
        .lines()
        .map(|row| {
            let mut words: Vec<String> = row.split(' ').map(str::to_owned).collect();
            let uid: usize = words[0].parse().unwrap();
            words[0] = (uid % FOLDERS[0].1 + 1).to_string();
            words.join(" ") + "\n"
        })
        .collect();
    fs::write(&file, format!("{head}\n\n{shifted}")).unwrap();
    // Another epoch, and a run that was cut off.
    let lists = moved.path("Mail/Lists/rust/.mbsyncstate");
    let text = fs::read_to_string(&lists).unwrap();
    fs::write(&lists, text.replace("FarUidValidity ", "FarUidValidity 1")).unwrap();
    fs::write(moved.path("Mail/Stra&AN8-e/.mbsyncstate.journal"), "").unwrap();
    assert!(moved.import("mbsync").iter().all(|(_, paired, _)| *paired == 0));
    let first = moved.sync();
    assert_eq!(first["paired"], FOLDERS.iter().map(|(_, messages)| messages).sum::<usize>());
    assert_eq!(first["done"]["left"]["copied"], 0, "{first}");
    for (folder, messages) in FOLDERS {
        assert_eq!(moved.counts(folder), [messages; 2], "{folder}");
    }
}
