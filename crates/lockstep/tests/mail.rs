//! `lockstep mail` between Maildirs, as people run it.

mod change_over;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Said, Server, lockstep, run, run_with, terminate, until, wait};

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
        // A file that gets another name meanwhile is found at the next look.
        let Ok(body) = fs::read(&path) else { continue };
        let body: Vec<u8> = body.into_iter().filter(|byte| *byte != b'\r').collect();
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

#[test]
fn a_watch_follows_what_changes_until_it_is_ended() {
    let home = Home::new();
    home.deliver("left", "INBOX", 1);
    let mut command = lockstep(home.dir.path());
    let mut watch = command.args(["mail", "sync", "home", "--watch"]).spawn().unwrap();
    for number in 2..6 {
        let (there, here) = if number % 2 == 0 { ("left", "right") } else { ("right", "left") };
        until("what was there is on both sides", || {
            (home.everything("right").len() == number - 1).then_some(())
        });
        home.deliver(here, "INBOX", number);
        until("what came is on the other side", || {
            (home.everything(there).len() == number).then_some(())
        });
    }
    terminate(&watch);
    wait(&mut watch);
    assert_eq!(home.assert_equal().len(), 5);
}

const FILING: &str = "
document: {dsl: 1.0.3, namespace: post, name: file, version: 1.0.0}
schedule:
  on: {one: {with: {type: io.lockstep.mail.message.arrived.v1, data: '${ .folder == \"INBOX\" }'}}}
input: {from: '${ .[0].data }'}
do:
- read:
    call: mail
    with: {account: home, action: fetch, message: '${ . }'}
    export: {as: '${ {message: $input, text: .text} }'}
- mark:
    call: mail
    with: {account: home, action: flag, message: '${ $context.message }', add: [\\Flagged]}
- file:
    call: mail
    with: {account: home, action: move, message: '${ $context.message }', to: Filed}
- answer:
    call: mail
    with:
      account: home
      action: append
      to: Sent
      content: '${ \"Subject: about \" + $context.message.subject + \"\\n\\n\" + $context.text }'
";

/// Gives the events of the namespace by their types.
fn told(server: &Server) -> BTreeMap<String, usize> {
    let listed = server.json(&["--namespace", "post", "event", "list", "--limit", "0"]);
    let mut told = BTreeMap::new();
    for event in listed["events"].as_array().unwrap() {
        *told.entry(event["event"]["type"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    told
}

#[test]
fn mail_starts_a_workflow_that_acts_on_mail_and_much_waits_for_approval() {
    let home = Home::new();
    let accounts = home.path(".config/lockstep/mail");
    let file = accounts.join("home.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text =
        text.replace("interval = \"5m\"", "interval = \"1s\"").replace("count = 20", "count = 2");
    fs::write(&file, format!("namespace = \"post\"\n{text}")).unwrap();
    for number in 1..6 {
        home.deliver("left", "INBOX", number);
    }
    let server = Server::start();
    let publish = ["--namespace", "post", "workflow", "publish", "-"];
    run_with(&mut server.command(), &publish, FILING).with_code(0);
    // The rounds are made elsewhere, and what they agree on is kept by the server.
    let mut command = lockstep(home.dir.path());
    command.env("LOCKSTEP_URL", &server.url).args(["mail", "worker"]);
    let worker = command.stderr(Stdio::null()).spawn().unwrap();
    until("the first sync is done", || (home.everything("right").len() == 5).then_some(()));
    until("the account is proved", || {
        let shown = server.json(&["--namespace", "post", "mail", "status", "--server"]);
        shown[0]["standing"]["proved"].as_str().map(drop)
    });
    assert!(told(&server).is_empty(), "what was there at first is no news");

    home.deliver("right", "INBOX", 7);
    let filed = |side: &str| {
        let all = home.everything(side);
        let is_filed = |(folder, _, flags): &&(String, Vec<u8>, String)| {
            folder == "Filed" && flags.contains('F')
        };
        let is_sent = |(folder, body, _): &&(String, Vec<u8>, String)| {
            folder == "Sent" && body.windows(7).any(|found| found == b"about s")
        };
        let keys = || all.keys();
        (all.len() == 7 && keys().any(|key| is_filed(&key)) && keys().any(|key| is_sent(&key)))
            .then_some(())
    };
    for side in ["left", "right"] {
        until("the message is filed and answered", || filed(side));
    }
    let instances =
        || server.json(&["--namespace", "post", "instance", "list"])["instances"].clone();
    until("the workflow has ended", || {
        let all = instances();
        assert_eq!(all.as_array().unwrap().len(), 1, "nothing starts itself again: {all}");
        assert_ne!(all[0]["status"], "faulted", "{all}");
        (all[0]["status"] == "finished").then_some(())
    });

    // Much goes at once, and stays until someone lets it go. A round that sees only a part of it
    // would take that for little.
    stop(worker);
    for number in 1..5 {
        fs::remove_file(home.path("left/INBOX/cur").join(format!("{number}.x:2,"))).unwrap();
    }
    let worker = command.spawn().unwrap();
    let token = until("the removals are held", || {
        let shown = server.json(&["--namespace", "post", "mail", "status", "--server"]);
        shown[0]["standing"]["holds"][0]["token"].as_str().map(str::to_owned)
    });
    assert_eq!(home.everything("right").len(), 7);
    let status = server.run(&["--namespace", "post", "mail", "status", "--server"]).with_code(0);
    assert!(status.out.contains(&format!("({token})")), "{status:?}");
    server.run(&["--namespace", "post", "mail", "approve", &token, "--server"]).with_code(0);
    until("what was approved is gone", || (home.everything("right").len() == 3).then_some(()));
    until("all is told", || {
        let removed = told(&server).get("io.lockstep.mail.message.removed.v1").copied();
        (removed == Some(4)).then_some(())
    });
    let told = told(&server);
    assert_eq!(told["io.lockstep.mail.message.arrived.v1"], 1, "{told:?}");
    assert_eq!(told.get("io.lockstep.mail.message.moved.v1"), None, "{told:?}");
    assert_eq!(told["io.lockstep.mail.held.v1"], 1, "{told:?}");
    stop(worker);
    home.assert_equal();
}

/// Tells a worker to end, and waits until it has.
fn stop(mut worker: Child) {
    terminate(&worker);
    assert!(wait(&mut worker).success());
}
