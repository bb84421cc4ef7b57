//! The audit log: who is named in it, and that tampering with SQL is found.

use std::fs;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use testkit::cluster;

use crate::support::{Said, Server, lockstep, run};

/// A folder with a store in which there are chains.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let live = format!("sqlite:{}", place.file("live.db"));
        let server = Server::start_with(tempfile::tempdir().unwrap(), &["--store", &live]);
        for namespace in ["left", "right"] {
            let set = ["spec", "set", "name=s", "--namespace", namespace];
            server.run(&set).with_code(0);
            for flag in ["--pause", "--resume", "--pause", "--resume"] {
                server.run(&["spec", "control", "s", flag, "--namespace", namespace]).with_code(0);
            }
        }
        let create = ["token", "create", "--all-namespaces", "--scope", "*", "--json"];
        let token = server.run(&create).with_code(0).json();
        let mut known = server.command();
        known.env("LOCKSTEP_TOKEN", token["token"].as_str().unwrap());
        run(&mut known, &["spec", "control", "s", "--pause", "--namespace", "left"]).with_code(0);
        let list = server.json(&["audit", "list", "--namespace", "left"]);
        let row = |at: usize, what: &str| list["rows"][at][what].as_str().unwrap().to_owned();
        assert_eq!((row(0, "actor"), row(0, "kind")), (id(&token), "spec.control".to_owned()));
        assert_eq!((row(1, "actor"), row(5, "kind")), ("loopback".into(), "spec.set".into()));
        let list = server.json(&["audit", "list", "--server", "--kind", "token."]);
        assert_eq!(list["rows"][0]["record"], format!("token/{}", id(&token)));
        let whole = server.run(&["audit", "verify"]).with_code(0);
        assert_eq!(whole.out.lines().filter(|line| line.starts_with("whole")).count(), 3);
        server.terminate();
        // One file, with what was still beside the other.
        place.run(&["backup", "--store", &live, &place.file("given.db")]).with_code(0);
        place
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn store(&self) -> String {
        format!("sqlite:{}", self.file("given.db"))
    }

    fn run(&self, args: &[&str]) -> Said {
        run(&mut lockstep(self.0.path()), args)
    }
}

fn id(token: &serde_json::Value) -> String {
    token["id"].as_str().unwrap().to_owned()
}

/// What somebody may do with a shell, and what is said of it. Chain 1 is that of `left`.
const EDITS: &[(&str, &str)] = &[
    ("DELETE FROM audit WHERE namespace = 1 AND seq = 3", "row 3 was removed"),
    ("DELETE FROM audit WHERE namespace = 1 AND seq BETWEEN 1 AND 2", "rows 1 to 2 were removed"),
    ("DELETE FROM audit WHERE namespace = 1 AND seq > 4", "rows 5 to 6 are not there"),
    (
        "DELETE FROM audit WHERE namespace = 1 AND seq = 6;
         UPDATE audit_head SET seq = 5 WHERE namespace = 1",
        "row 5 is not the one that the head row names",
    ),
    ("DELETE FROM audit_head WHERE namespace = 1", "its head row was removed"),
    ("DELETE FROM audit WHERE namespace = 2", "the end was cut off"),
    (
        "DELETE FROM audit WHERE namespace = 2; DELETE FROM audit_head WHERE namespace = 2",
        "the whole chain was removed",
    ),
    (
        "INSERT INTO audit SELECT namespace, 7, hash, body FROM audit
         WHERE namespace = 1 AND seq = 6",
        "row 7 was changed",
    ),
    (
        "UPDATE audit SET seq = seq + 100 WHERE namespace = 1 AND seq > 3;
         UPDATE audit SET seq = seq - 99 WHERE namespace = 1 AND seq > 100;
         INSERT INTO audit SELECT namespace, 4, hash, body FROM audit
         WHERE namespace = 1 AND seq = 3;
         UPDATE audit_head SET seq = 7 WHERE namespace = 1",
        "row 4 was changed",
    ),
    (
        "UPDATE audit SET seq = 99 WHERE namespace = 1 AND seq = 2;
         UPDATE audit SET seq = 2 WHERE namespace = 1 AND seq = 4;
         UPDATE audit SET seq = 4 WHERE namespace = 1 AND seq = 99",
        "row 2 was changed",
    ),
    (
        "UPDATE audit SET hash = (SELECT hash FROM audit WHERE namespace = 1 AND seq = 1)
         WHERE namespace = 1 AND seq = 2",
        "row 2 was changed",
    ),
    ("UPDATE audit SET namespace = 9 WHERE namespace = 1 AND seq = 6", "rows 6 to 6 are not"),
];

#[track_caller]
fn found(place: &Place, store: &str, edit: &str, says: &str) {
    let said = place.run(&["audit", "verify", "--store", store]).with_code(1);
    assert!(said.out.contains(says), "{edit}: {said:?}");
    assert!(said.err.contains("code: differs"), "{said:?}");
    place.run(&["verify", "--store", store]).with_code(1);
}

#[test]
fn each_tampering_in_sqlite_is_found() {
    let place = Place::new();
    place.run(&["verify", "--store", &place.store()]).with_code(0);
    let store = format!("sqlite:{}", place.file("edited.db"));
    let edited = || {
        fs::copy(place.file("given.db"), place.file("edited.db")).unwrap();
        rusqlite::Connection::open(place.file("edited.db")).unwrap()
    };
    for (edit, says) in EDITS {
        edited().execute_batch(edit).unwrap();
        found(&place, &store, edit, says);
    }
    // A word in a row, by itself and then with a hash that is right again.
    for with_hash in [false, true] {
        let connection = edited();
        let read = "SELECT body FROM audit WHERE namespace = 1 AND seq = 2";
        let body: Vec<u8> = connection.query_row(read, [], |row| row.get(0)).unwrap();
        let body = String::from_utf8(body).unwrap().replace("loopback", "somebody");
        let hash = with_hash.then(|| Sha256::digest(&body).to_vec());
        let edit = "UPDATE audit SET body = ?1, hash = coalesce(?2, hash)
                    WHERE namespace = 1 AND seq = 2";
        assert_eq!(connection.execute(edit, (body.as_bytes(), hash)).unwrap(), 1);
        drop(connection);
        let says = if with_hash { "row 3 does not follow row 2" } else { "row 2 was changed" };
        found(&place, &store, edit, says);
    }
}

#[test]
fn each_tampering_in_postgres_is_found() {
    let place = Place::new();
    let (base, file) = (cluster::url(), place.file("store.ndjson"));
    place.run(&["export", "--store", &place.store(), "--out", &file]).with_code(0);
    place.run(&["import", &file, "--store", &base]).with_code(0);
    // What is exported is the same, so the chains went along.
    let again = place.file("again.ndjson");
    place.run(&["export", "--store", &base, "--out", &again]).with_code(0);
    assert_eq!(fs::read(&file).unwrap(), fs::read(&again).unwrap());
    place.run(&["audit", "verify", "--store", &base]).with_code(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (address, schema) = base.split_once("?schema=").unwrap();
    let client = runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(address, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("SET search_path = {schema}")).await.unwrap();
        client
    });
    let sql = |text: &str| runtime.block_on(client.batch_execute(text)).unwrap();
    sql("CREATE TABLE audit_kept AS SELECT * FROM audit;
         CREATE TABLE audit_head_kept AS SELECT * FROM audit_head");
    let word = "UPDATE audit SET body = convert_to(replace(convert_from(body, 'UTF8'), 'loopback', \
                'somebody'), 'UTF8') WHERE namespace = 1 AND seq = 2";
    for (edit, says) in EDITS.iter().copied().chain([(word, "row 2 was changed")]) {
        sql(edit);
        found(&place, &base, edit, says);
        sql("DELETE FROM audit; DELETE FROM audit_head;
             INSERT INTO audit SELECT * FROM audit_kept;
             INSERT INTO audit_head SELECT * FROM audit_head_kept");
    }
    place.run(&["audit", "verify", "--store", &base]).with_code(0);
}

#[test]
fn an_end_that_was_kept_elsewhere_shows_a_chain_made_anew() {
    let server = Server::start();
    server.run(&["spec", "set", "name=s"]).with_code(0);
    let chains = server.json(&["audit", "verify", "--only"]);
    let end = chains["chains"][0]["end"].as_str().unwrap().to_owned();
    server.run(&["spec", "control", "s", "--pause"]).with_code(0);
    server.run(&["audit", "verify", "--only", "--end", &end]).with_code(0);
    let other = end.replace(':', ":0");
    let said = server.run(&["audit", "verify", "--only", "--end", &other]).with_code(1);
    assert!(said.out.contains("row 1 is not the one with the hash 0"), "{said:?}");
    server.run(&["audit", "verify", "--only", "--end", "nonsense"]).with_code(2);
}
