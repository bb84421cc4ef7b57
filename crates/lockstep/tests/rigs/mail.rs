//! Mail as work under a server that is killed again and again: each mail starts its workflow once.

#[path = "../../../mail/tests/main/support/cutter.rs"]
mod cutter;
#[path = "../../src/dovecot.rs"]
pub(crate) mod dovecot;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Server, run_with, until};
use cutter::Cutter;
use dovecot::{Dovecot, PASSWORD};

/// How often the server is killed, and mails between two kills.
const KILLS: usize = 5;
const MAILS: usize = 40;
/// After how many bytes connections are cut between two kills, one cut after the other.
const CUTS: [usize; 4] = [3_000, 6_000, 1_500, 700];

const WORKFLOW: &str = "
document: {dsl: 1.0.3, namespace: post, name: sort, version: 1.0.0}
schedule:
  on: {one: {with: {type: io.lockstep.mail.message.arrived.v1, data: '${ .folder == \"INBOX\" }'}}}
do:
- note: {set: {about: '${ .[0].data.subject }'}}
";

/// A home with an account between a Maildir and a Dovecot.
struct Post {
    dovecot: Dovecot,
    /// Stands between the program and the server.
    cutter: Cutter,
    left: PathBuf,
    accounts: PathBuf,
    home: TempDir,
    sent: usize,
}

impl Post {
    fn new() -> Self {
        let dovecot = Dovecot::start_in(&std::env::temp_dir(), &["mail_fsync = never"]).unwrap();
        let cutter = Cutter::before(dovecot.ports().0, Duration::ZERO);
        let home = tempfile::tempdir().unwrap();
        let (left, accounts) = (home.path().join("left"), home.path().join("accounts"));
        for place in ["cur", "new", "tmp"] {
            fs::create_dir_all(left.join("INBOX").join(place)).unwrap();
        }
        fs::create_dir_all(&accounts).unwrap();
        let password = home.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        let account = format!(
            "namespace = \"post\"\n[left]\nurl = \"maildir:{}\"\n\
             [right]\nurl = \"imap+plain://me@127.0.0.1:{}\"\npassword_file = \"{}\"\n\
             [sync]\ninterval = \"1s\"\ngrace = \"200ms\"\nlease = \"2s\"\n",
            left.display(),
            cutter.port,
            password.display(),
        );
        fs::write(accounts.join("me.toml"), account).unwrap();
        Self { dovecot, cutter, left, accounts, home, sent: 0 }
    }

    fn right(&self) -> PathBuf {
        self.dovecot.mail("me")
    }

    /// Starts the server on the files of the one before it.
    fn serve(&mut self, home: TempDir) -> Server {
        let database = self.home.path().join("queue.db");
        let (store, accounts) = (format!("sqlite:{}", database.display()), self.accounts.clone());
        Server::start_with(home, &["--store", &store, "--mail", accounts.to_str().unwrap()])
    }

    /// Delivers mails, every other one on the right.
    fn deliver(&mut self, mails: usize) {
        for _ in 0..mails {
            self.sent += 1;
            let root = if self.sent.is_multiple_of(2) { self.right() } else { self.left.clone() };
            deliver(&root.join("INBOX"), self.sent);
        }
    }

    /// Gives the mails of a side by their numbers, as often as they are there.
    fn mails(&self, root: &Path) -> BTreeMap<usize, usize> {
        let mut all = BTreeMap::new();
        for place in ["cur", "new"] {
            // Files are renamed meanwhile, and those that are gone are looked for the next time.
            for entry in fs::read_dir(root.join("INBOX").join(place)).into_iter().flatten() {
                let text = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
                let number = text.lines().find_map(|line| line.strip_prefix("Subject: number "));
                if let Some(number) = number {
                    *all.entry(number.parse().unwrap()).or_default() += 1;
                }
            }
        }
        all
    }
}

fn deliver(folder: &Path, number: usize) {
    let name = format!("{number}.test");
    let text = format!(
        "Message-ID: <{number}@example.org>\r\nFrom: someone@example.org\r\n\
         Subject: number {number}\r\n\r\nThis is message {number}.\r\n"
    );
    let draft = folder.join("tmp").join(&name);
    fs::write(&draft, text).unwrap();
    // The server's files belong to the user that it runs as.
    let owner = fs::metadata(folder).unwrap();
    chown(&draft, Some(owner.uid()), Some(owner.gid())).unwrap();
    fs::rename(draft, folder.join("new").join(name)).unwrap();
}

/// Gives all arrivals that the server has told of.
fn arrivals(server: &Server) -> Vec<Value> {
    let listed = server.json(&["--namespace", "post", "event", "list", "--limit", "0"]);
    let events = listed["events"].as_array().unwrap().iter();
    let arrived = |event: &&Value| event["event"]["type"] == "io.lockstep.mail.message.arrived.v1";
    events.filter(arrived).cloned().collect()
}

#[test]
fn each_mail_starts_its_workflow_once_whatever_is_killed() {
    let mut post = Post::new();
    deliver(&post.left.join("INBOX"), 0);
    let mut server = post.serve(tempfile::tempdir().unwrap());
    let publish = ["--namespace", "post", "workflow", "publish", "-"];
    run_with(&mut server.command(), &publish, WORKFLOW).with_code(0);
    // What was there before the account is no arrival.
    until("the first mail is on the right", || post.mails(&post.right()).get(&0).copied());
    let mut told = 0;
    for _ in 0..KILLS {
        for bytes in CUTS {
            let cuts = post.cutter.cuts();
            post.cutter.cut_after(bytes);
            post.deliver(MAILS / CUTS.len());
            until("a connection is cut", || (post.cutter.cuts() > cuts).then_some(()));
        }
        post.cutter.let_pass();
        let some = until("some arrivals are told", || {
            let now = arrivals(&server).len();
            (now > told).then_some(now)
        });
        told = some;
        let home = server.kill_and_keep();
        server = post.serve(home);
    }
    let expected: BTreeMap<usize, usize> = (0..=KILLS * MAILS).map(|number| (number, 1)).collect();
    for root in [post.left.clone(), post.right()] {
        until("all mails are there", || (post.mails(&root).len() >= expected.len()).then_some(()));
    }
    until("all arrivals are told", || (arrivals(&server).len() >= KILLS * MAILS).then_some(()));
    // Those that are told have started what they start a moment later, by themselves.
    let instances = || {
        let all = ["--namespace", "post", "instance", "list", "--limit", "0"];
        server.json(&all)["instances"].as_array().unwrap().len()
    };
    until("all workflows are started", || (instances() >= KILLS * MAILS).then_some(()));
    let mut starts: BTreeMap<String, usize> = BTreeMap::new();
    for arrival in arrivals(&server) {
        let about = arrival["event"]["data"]["subject"].as_str().unwrap().to_owned();
        *starts.entry(about).or_default() +=
            arrival["received"]["started"].as_array().unwrap().len();
    }
    let twice: Vec<Value> = arrivals(&server)
        .into_iter()
        .filter(|one| starts[one["event"]["data"]["subject"].as_str().unwrap()] > 1)
        .collect();
    assert_eq!(twice, Vec::<Value>::new(), "what was told twice");
    assert_eq!(starts.len(), KILLS * MAILS);
    assert!(starts.values().all(|count| *count == 1), "{starts:?}");
    assert_eq!(instances(), KILLS * MAILS);
    assert_eq!(post.mails(&post.left), expected);
    assert_eq!(post.mails(&post.right()), expected);
    let (status, _) = server.terminate();
    assert!(status.success(), "{status}");
}
