//! Secrets and their keys on the command line.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::listeners;
use crate::support::{Server, lockstep, run, run_with, until};

/// A folder with a store and the file of its keys.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.run(&["secret", "key", &place.keys()]);
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn keys(&self) -> String {
        self.file("keys").display().to_string()
    }

    fn store(&self) -> String {
        format!("sqlite:{}", self.file("lockstep.db").display())
    }

    fn run(&self, args: &[&str]) -> serde_json::Value {
        run(&mut lockstep(self.path()), &[args, &["--json"]].concat()).with_code(0).json()
    }

    fn serve(&self, keys: &str) -> Server {
        let flags = ["--store", &self.store(), "--secrets-key", keys];
        Server::start_with(tempfile::tempdir().unwrap(), &flags)
    }
}

fn set(server: &Server, name: &str, value: &str, code: i32) -> String {
    let args = ["secret", "set", name];
    run_with(&mut server.command(), &args, value).with_code(code).err
}

#[test]
fn secrets_are_set_from_input_and_files_and_never_shown() {
    let place = Place::new();
    let server = place.serve(&place.keys());
    set(&server, "erp", "canary-1", 0);
    let file = place.file("value");
    fs::write(&file, "canary-2").unwrap();
    let args = ["secret", "set", "smtp", "--file", file.to_str().unwrap()];
    assert_eq!(server.json(&args), json!({"set": "smtp"}));
    let list = server.json(&["secret", "list"]);
    let names = ["erp", "smtp"].map(|name| json!(name));
    let listed = list["secrets"].as_array().unwrap().iter().map(|one| one["name"].clone());
    assert!(listed.eq(names), "{list}");
    assert!(list["secrets"][0]["changed"].as_str().unwrap().ends_with('Z'), "{list}");
    let shown = server.run(&["secret", "list"]).with_code(0).out;
    assert!(shown.starts_with("NAME") && !shown.contains("canary"), "{shown}");
    assert!(set(&server, "erp", "", 2).contains("a secret is not empty"));
    let large = "x".repeat(65_537);
    assert!(set(&server, "erp", &large, 2).contains("code: too_large"));
    assert!(set(&server, "a/b", "v", 2).contains("cannot name a secret"));
    let said = server.run(&["secret", "remove", "smtp"]).with_code(2);
    assert!(said.err.contains("--yes"), "{said:?}");
    assert_eq!(server.json(&["secret", "remove", "smtp", "--yes"]), json!({"removed": "smtp"}));
    let said = server.run(&["secret", "remove", "smtp", "--yes"]).with_code(3);
    assert!(said.err.contains("code: no_such_secret"), "{said:?}");
}

#[test]
fn a_wrong_key_is_found_at_the_start() {
    let place = Place::new();
    set(&place.serve(&place.keys()), "erp", "v", 0);
    let other = Place::new();
    let store = place.store();
    let serve = |keys: &str| {
        let args = ["serve", "--store", &store, "--listen", "127.0.0.1:0", "--secrets-key", keys];
        run(&mut lockstep(place.path()), &args)
    };
    let said = serve(&other.keys()).with_code(4);
    assert!(said.err.contains("code: secret_not_opened"), "{said:?}");
    assert!(said.err.contains("secret \"erp\" is sealed under key"), "{said:?}");
    let missing = serve("env:LOCKSTEP_NO_SUCH_VARIABLE").with_code(2);
    assert!(missing.err.contains("no keys for secrets in the variable"), "{missing:?}");
    fs::set_permissions(place.file("keys"), fs::Permissions::from_mode(0o644)).unwrap();
    let open = serve(&place.keys()).with_code(2);
    assert!(open.err.contains("open to others: its mode is 644"), "{open:?}");
    assert!(open.err.contains("chmod 600"), "{open:?}");
    // Without any key a server starts, and says what it cannot do.
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--store", &store]);
    assert!(set(&server, "erp", "v", 4).contains("code: no_secrets_key"));
    assert_eq!(server.json(&["secret", "list"])["secrets"][0]["name"], "erp");
    let (_, lines) = server.terminate();
    assert!(lines.iter().any(|line| line.contains("no secret of the store can be opened")));
}

#[test]
fn keys_are_rotated_while_nothing_is_lost() {
    let place = Place::new();
    let server = place.serve(&place.keys());
    for (name, value) in [("erp", "v1"), ("smtp", "v2")] {
        set(&server, name, value, 0);
    }
    let before = server.json(&["secret", "list"]);
    server.kill();
    let old = fs::read_to_string(place.file("keys")).unwrap();
    let newer = place.run(&["secret", "key", "--first", &place.keys()]);
    assert!(fs::read_to_string(place.file("keys")).unwrap().ends_with(&old));
    let server = place.serve(&place.keys());
    let rotated = server.json(&["secret", "rotate", "--all-namespaces"]);
    assert_eq!(rotated["resealed"], 2, "{rotated}");
    assert_eq!(server.json(&["secret", "rotate"])["resealed"], 0);
    let after = server.json(&["secret", "list"]);
    for at in [0, 1] {
        let (before, after) = (&before["secrets"][at], &after["secrets"][at]);
        assert_eq!(after["key"], newer["id"]);
        assert_eq!(
            (&before["revision"], &before["changed"]),
            (&after["revision"], &after["changed"])
        );
    }
    server.kill();
    // The old key is of no use any more.
    let text = fs::read_to_string(place.file("keys")).unwrap();
    fs::write(place.file("keys"), text.lines().next().unwrap()).unwrap();
    assert_eq!(place.serve(&place.keys()).json(&["secret", "rotate"])["resealed"], 0);
}

#[test]
fn sealed_secrets_travel_with_their_store_and_the_key_apart() {
    let place = Place::new();
    set(&place.serve(&place.keys()), "erp", "v", 0);
    let (file, copy) =
        (place.file("export"), format!("sqlite:{}", place.file("copy.db").display()));
    let export = ["export", "--store", &place.store(), "--out", file.to_str().unwrap()];
    run(&mut lockstep(place.path()), &export).with_code(0);
    let import = ["import", file.to_str().unwrap(), "--store", &copy];
    let imported = run(&mut lockstep(place.path()), &import);
    assert_eq!(imported.code, 0, "{imported:?}");
    // That it is sealed anew shows that it could be opened.
    place.run(&["secret", "key", "--first", &place.keys()]);
    let flags = ["--store", &copy, "--secrets-key", &place.keys()];
    let server = Server::start_with(tempfile::tempdir().unwrap(), &flags);
    assert_eq!(server.json(&["secret", "rotate"])["resealed"], 1);
}

#[test]
fn mail_accounts_take_passwords_from_the_store() {
    let place = Place::new();
    let server = place.serve(&place.keys());
    set(&server, "mail", "canary-1\n", 0);
    let (address, heard) = listeners::mail();
    let (left, right) = (
        format!("imap+plain://me@{address}"),
        format!("maildir:{}", place.file("maildir").display()),
    );
    place.run(&[
        "mail",
        "account",
        "add",
        "home",
        "--left",
        &left,
        "--left-password-secret",
        "mail",
        "--right",
        &right,
    ]);
    let test = |more: &[&str]| {
        let args = ["mail", "account", "test", "home", "--store", &place.store()];
        run(&mut lockstep(place.path()), &[&args[..], more].concat())
    };
    let keys = ["--secrets-key", &place.keys()];
    // The store is the server's as long as that runs.
    test(&keys).with_code(5);
    server.kill();
    let refused = test(&[]).with_code(2);
    assert!(refused.err.contains("secret \"mail\" cannot be used: no key is given"), "{refused:?}");
    let tried = test(&keys);
    assert!(tried.err.contains("does not accept the login"), "{tried:?}");
    assert!(!tried.err.contains("canary-"), "{tried:?}");
    until("the password was tried", || {
        heard.try_iter().any(|line| line.contains("canary-1")).then_some(())
    });
    let sync = ["mail", "sync", "home", "--store", &place.store(), "--secrets-key", &place.keys()];
    let synced = run(&mut lockstep(place.path()), &sync);
    assert!(synced.code != 0 && !synced.err.contains("canary-"), "{synced:?}");
    assert!(heard.try_iter().any(|line| line.contains("canary-1")));
    // A worker elsewhere is given no secret.
    let none = format!("sqlite:{}", place.file("none.db").display());
    let args = ["mail", "sync", "home", "--store", &none, "--secrets-key", &place.keys()];
    let said = run(&mut lockstep(place.path()), &args).with_code(2);
    assert!(said.err.contains("there is no store"), "{said:?}");
    assert!(!place.file("none.db").exists());
}
