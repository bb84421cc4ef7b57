//! Moving stores between databases, looking them over, and copying them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{cluster, rig};

use super::traffic;
use crate::support::{Said, Server, lockstep, run, run_with};

/// A folder with a store in it.
struct Place {
    folder: TempDir,
    seed: u64,
}

impl Place {
    /// Makes a store by random traffic.
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), seed: rig::seed("export") };
        traffic::make(&place.at("given.db"), place.seed);
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sqlite(&self, name: &str) -> String {
        format!("sqlite:{}", self.at(name).display())
    }

    fn path(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    fn run(&self, args: &[&str]) -> Said {
        run(&mut lockstep(self.folder.path()), args)
    }

    /// Exports a store into a new file, and gives the file's text.
    fn export(&self, store: &str, file: &str) -> String {
        let args = ["export", "--store", store, "--out", &self.path(file)];
        self.run(&args).with_code(0);
        fs::read_to_string(self.at(file)).unwrap()
    }

    fn import(&self, file: &str, store: &str) -> Said {
        self.run(&["import", &self.path(file), "--store", store])
    }

    fn verify(&self, store: &str) -> Said {
        self.run(&["verify", "--store", store])
    }
}

fn tables(export: &str) -> BTreeSet<String> {
    let lines = export.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| Some(line.get("table")?.as_str()?.to_owned())).collect()
}

#[test]
fn a_store_goes_from_sqlite_to_postgres_and_back() {
    let place = Place::new();
    let (given, back) = (place.sqlite("given.db"), place.sqlite("back.db"));
    let postgres = cluster::url();
    let first = place.export(&given, "first.ndjson");
    // Something of everything was there, but for what is swept away at once.
    let expected = [
        "attempt",
        "counter",
        "history",
        "lock",
        "namespace",
        "request",
        "spec",
        "spec_data",
        "token",
        "unit",
        "worker",
    ];
    assert!(expected.iter().all(|table| tables(&first).contains(*table)), "seed {}", place.seed);
    place.import("first.ndjson", &postgres).with_code(0);
    let second = place.export(&postgres, "second.ndjson");
    assert!(first == second, "PostgreSQL gives back other rows; seed {}", place.seed);
    place.import("second.ndjson", &back).with_code(0);
    let third = place.export(&back, "third.ndjson");
    assert!(first == third, "SQLite gives back other rows; seed {}", place.seed);
    for store in [&given, &postgres, &back] {
        place.verify(store).with_code(0);
    }
}

#[test]
fn a_pipe_does_as_well_as_a_file() {
    let place = Place::new();
    let text = place.run(&["export", "--store", &place.sqlite("given.db")]).with_code(0).out;
    let copy = place.sqlite("copy.db");
    let args = ["import", "-", "--store", &copy];
    run_with(&mut lockstep(place.folder.path()), &args, &text).with_code(0);
    assert!(place.run(&["export", "--store", &copy]).with_code(0).out == text);
}

#[test]
fn what_is_cut_off_or_damaged_leaves_nothing() {
    let place = Place::new();
    let whole = place.export(&place.sqlite("given.db"), "whole.ndjson");
    let (first, rest) = whole.split_once('\n').unwrap();
    let damaged = [
        ("empty", String::new()),
        ("cut", whole[..whole.len() / 2].to_owned()),
        ("without its end", whole.rsplit_once("\n{").unwrap().0.to_owned() + "\n"),
        ("without a row", format!("{first}\n{}", rest.split_once('\n').unwrap().1)),
        ("newer", whole.replacen("\"format\":1", "\"format\":2", 1)),
        ("another file", "{\"name\": \"scan\"}\n".to_owned()),
    ];
    let postgres = cluster::url();
    for (what, text) in damaged {
        fs::write(place.at("damaged.ndjson"), text).unwrap();
        for store in [&place.sqlite("new.db"), &postgres] {
            let said = place.import("damaged.ndjson", store).with_code(2);
            assert!(said.err.contains("code: bad_input"), "{what}: {said:?}");
        }
        assert!(!place.at("new.db").exists(), "{what}");
    }
    // Both are still empty, so that the whole export goes in.
    place.import("whole.ndjson", &postgres).with_code(0);
    place.import("whole.ndjson", &place.sqlite("new.db")).with_code(0);
    for store in [&place.sqlite("new.db"), &postgres] {
        let said = place.import("whole.ndjson", store).with_code(2);
        assert!(said.err.contains("is not empty"), "{said:?}");
    }
}

#[test]
fn an_export_is_of_one_moment_while_others_write() {
    for postgres in [false, true] {
        let place = Place::new();
        let store = if postgres { cluster::url() } else { place.sqlite("live.db") };
        let home = tempfile::tempdir().unwrap();
        let server = Server::start_with(home, &["--store", &store, "--log", "error"]);
        server.json(&["spec", "set", "name=scan"]);
        let mut commands: Vec<_> = (0..40).map(|_| server.command()).collect();
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || {
                let units: Vec<String> =
                    (0..4_000).map(|unit| format!("{{\"name\": \"{unit:05}\"}}\n")).collect();
                let args = ["unit", "add", "scan", "--ndjson", "-"];
                for (part, command) in units.chunks(100).zip(&mut commands) {
                    run_with(command, &args, &part.concat()).with_code(0);
                }
            });
            let mut exports = 0;
            while !writer.is_finished() || exports < 3 {
                exports += 1;
                let (file, copy) = (format!("{exports}.ndjson"), format!("{exports}.db"));
                place.export(&store, &file);
                place.import(&file, &place.sqlite(&copy)).with_code(0);
                // The counts of the spec would not be those of its units.
                place.verify(&place.sqlite(&copy)).with_code(0);
            }
        });
    }
}

#[test]
fn what_is_wrong_is_found() {
    let edits = [
        ("UPDATE unit SET ready = 7 WHERE ready IS NOT NULL", "columns are not those"),
        (
            "DELETE FROM unit WHERE namespace = (SELECT live FROM namespace WHERE name = 'last')",
            "counts",
        ),
        ("UPDATE unit SET body = x'ff'", "is damaged"),
        ("DELETE FROM history WHERE revision = 3", "has a gap"),
        ("UPDATE namespace SET revision = revision + 1", "its history at"),
        ("DELETE FROM spec_data", "has no data"),
        ("DELETE FROM attempt WHERE busy IS NOT NULL", "which is not there"),
        ("DELETE FROM namespace", "belongs to nothing"),
        ("UPDATE unit SET id = 999999999", "never given"),
    ];
    let place = Place::new();
    for (edit, says) in edits {
        fs::copy(place.at("given.db"), place.at("edited.db")).unwrap();
        let connection = rusqlite::Connection::open(place.at("edited.db")).unwrap();
        let changed = connection.execute(edit, []).unwrap();
        drop(connection);
        let said = place.verify(&place.sqlite("edited.db")).with_code(1);
        assert!(changed > 0 && said.out.contains(says), "{edit}: {said:?}");
        assert!(said.err.contains("code: differs"), "{said:?}");
    }
}

#[test]
fn an_index_that_lies_is_found() {
    let place = Place::new();
    let connection = rusqlite::Connection::open(place.at("given.db")).unwrap();
    // The schema of an index is put to another column, while its pages stay.
    connection.pragma_update(None, "writable_schema", true).unwrap();
    let edit = "UPDATE sqlite_schema SET sql = replace(sql, ', parent,', ', id,') \
                WHERE name = 'worker_parent'";
    assert_eq!(connection.execute(edit, []).unwrap(), 1);
    drop(connection);
    let said = place.verify(&place.sqlite("given.db")).with_code(1);
    assert!(said.out.contains("worker_parent"), "{said:?}");
}

#[test]
fn a_backup_is_taken_while_a_server_runs_and_comes_back() {
    let place = Place::new();
    let store = place.sqlite("given.db");
    let home = tempfile::tempdir().unwrap();
    let server = Server::start_with(home, &["--store", &store, "--log", "error"]);
    place.run(&["backup", "--store", &store, &place.path("copy.db")]).with_code(0);
    server.json(&["spec", "set", "name=new"]);
    let restore = ["restore", &place.path("copy.db"), "--store", &store, "--force"];
    let said = place.run(&restore).with_code(5);
    assert!(said.err.contains("is open in another process"), "{said:?}");
    server.terminate();
    let said = place.run(&restore[..4]).with_code(2);
    assert!(said.err.contains("--force"), "{said:?}");
    place.run(&restore).with_code(0);
    place.verify(&store).with_code(0);
    let after = place.export(&store, "after.ndjson");
    assert!(after == place.export(&place.sqlite("copy.db"), "copy.ndjson"));
    assert!(!after.contains("\"key\":[1,\"new\"]"), "it came after the backup");
    let said = place.run(&["backup", "--store", &store, &place.path("copy.db")]).with_code(2);
    assert!(said.err.contains("exists already"), "{said:?}");
}

#[test]
fn what_cannot_be_is_refused() {
    let place = Place::new();
    let postgres = cluster::url();
    let (new, given) = (place.path("new"), place.path("given.db"));
    for args in [
        &["export", "--store", "memory"][..],
        &["verify", "--store", "memory"],
        &["backup", "--store", "memory", &new],
        &["backup", "--store", &postgres, &new],
        &["restore", &given, "--store", &postgres],
        &["export", "--store", &place.sqlite("none.db")],
        &["verify", "--store", &postgres],
        &["restore", &place.path("none.db"), "--store", &place.sqlite("new.db")],
        &["export", "--store", &place.sqlite("given.db"), "--out", &given],
    ] {
        let said = place.run(args).with_code(2);
        assert!(said.err.contains("hint: "), "{args:?}: {said:?}");
    }
    assert!(!Path::new(&new).exists() && !place.at("new.db").exists());
}

#[test]
fn a_server_says_whether_it_is_ready() {
    let server = Server::start();
    assert_eq!(server.run(&["health"]).with_code(0).out, "ready\n");
    let mut nobody = lockstep(server.home.path());
    nobody.env("LOCKSTEP_URL", "http://127.0.0.1:1");
    let said = run(&mut nobody, &["health"]).with_code(5);
    assert!(said.err.contains("code: unavailable"), "{said:?}");
}
