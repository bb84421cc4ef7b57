//! Users on the command line.

use std::{fs, process::Command};

use serde_json::json;

use crate::support::{Said, Server, lockstep, run, run_with};

const PASSWORD: &str = "correct horse battery\n";

fn add(server: &Server, args: &[&str]) -> Said {
    run_with(&mut server.command(), &[&["user", "add"], args].concat(), PASSWORD)
}

#[test]
fn a_user_is_added_changed_and_removed() {
    let server = Server::start();
    let said = add(&server, &["ann", "--role", "operate", "--namespace", "nightly"]).with_code(0);
    assert!(said.out.contains("added user ann: operate in namespace \"nightly\""), "{said:?}");
    add(&server, &["ann", "--role", "view", "-A"]).with_code(4);
    let file = server.home.path().join("password");
    fs::write(&file, PASSWORD).unwrap();
    let file = file.to_str().unwrap();
    server.json(&["user", "add", "bob", "--role", "view", "-A", "--password-file", file]);
    server.json(&["user", "add", "eve", "--role", "view", "-A", "--no-password"]);

    server.json(&["user", "grant", "ann", "--role", "author", "--namespace", "nightly"]);
    server.json(&["user", "grant", "ann", "--role", "view", "--all-namespaces"]);
    let shown = server.json(&["user", "show", "ann"]);
    let grants = json!([
        {"role": "view", "namespace": null}, {"role": "author", "namespace": "nightly"},
    ]);
    assert_eq!(shown["grants"], grants);
    assert_eq!((&shown["has_password"], &shown["sessions"]), (&json!(true), &json!([])));
    server.json(&["user", "ungrant", "ann", "--all-namespaces"]);
    server.run(&["user", "ungrant", "ann", "--all-namespaces"]).with_code(2);
    assert_eq!(server.json(&["user", "disable", "bob"])["is_disabled"], true);
    assert_eq!(server.json(&["user", "enable", "bob"])["is_disabled"], false);
    server.json(&["user", "passwd", "eve", "--password-file", file]);
    server.json(&["user", "sign-out", "eve"]);

    let listed = server.json(&["user", "list"]);
    assert!(!listed.to_string().contains("argon2"), "{listed}");
    let users = listed["users"].as_array().unwrap();
    let names: Vec<_> = users.iter().map(|user| &user["name"]).collect();
    assert_eq!(names, ["ann", "bob", "eve"]);
    assert!(users.iter().all(|user| user["has_password"] == true), "{listed}");
    let part = server.json(&["user", "list", "--limit", "2"]);
    assert_eq!(part["next"], "bob");
    server.json(&["user", "remove", "bob"]);
    for args in [["user", "show", "bob"], ["user", "remove", "bob"], ["user", "disable", "bob"]] {
        let said = server.run(&args).with_code(3);
        assert!(said.err.contains("code: no_such_user"), "{said:?}");
    }
    // No namespace comes into being by naming it in a role.
    assert_eq!(server.json(&["namespace", "list"])["namespaces"][0]["name"], "");
}

#[test]
fn what_a_user_needs_is_said_in_full() {
    let server = Server::start();
    let weak =
        run_with(&mut server.command(), &["user", "add", "ann", "--role", "view", "-A"], "short\n");
    assert!(weak.with_code(2).err.contains("needs 12"), "a short password");
    add(&server, &["ann", "--role", "view"]).with_code(2);
    add(&server, &["ann", "-A"]).with_code(2);
    let said = add(&server, &["ann", "--role", "king", "-A"]).with_code(2);
    assert!(said.err.contains("unknown role"), "{said:?}");
    let said = add(&server, &[" ann", "--role", "view", "-A"]).with_code(2);
    assert!(said.err.contains("cannot be the name of a user"), "{said:?}");
}

#[test]
fn the_first_user_opens_a_server_that_asks_everyone() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/queue.db", home.path().display());
    let serve = ["serve", "--require-token", "--store", &store];
    let said = run(&mut lockstep(home.path()), &serve).with_code(2);
    assert!(said.err.contains("no token and no user"), "{said:?}");
    assert!(said.err.contains("lockstep user add"), "{said:?}");
    let args = ["user", "add", "ann", "--role", "admin", "-A", "--store", &store];
    run_with(&mut lockstep(home.path()), &args, PASSWORD).with_code(0);
    // What was written last may still stand in the log beside the database.
    let files = ["queue.db", "queue.db-wal"].map(|name| fs::read(home.path().join(name)));
    let files: Vec<Vec<u8>> = files.into_iter().flatten().collect();
    let holds =
        |text: &[u8]| files.iter().any(|file| file.windows(text.len()).any(|it| it == text));
    assert!(holds(b"$argon2id$v=19$m=19456,t=2,p=1$") && !holds(b"correct horse"), "in the store");
    let server = Server::start_with(home, &["--store", &store, "--require-token"]);
    server.run(&["user", "list"]).with_code(6);
    // A reader of everything cannot look at users, and one of tokens cannot change them.
    server.run(&["spec", "list"]).with_code(6);
}

#[test]
fn a_provider_whose_groups_give_roles_opens_one_as_well() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/queue.db", home.path().display());
    let (issuer, address) = ("http://127.0.0.1:9", "http://127.0.0.1:8");
    let flags = ["--store", &store, "--require-token", "--oidc-issuer", issuer];
    let flags = [&flags[..], &["--oidc-client-id", "lockstep", "--oidc-address", address]].concat();
    let said = run(&mut lockstep(home.path()), &[&["serve"], &flags[..]].concat()).with_code(2);
    assert!(said.err.contains("no token and no user"), "{said:?}");
    let flags = [&flags[..], &["--oidc-grants", "ops=admin@*"]].concat();
    let server = Server::start_with(home, &flags);
    server.run(&["spec", "list"]).with_code(6);
}

#[test]
fn users_are_for_those_who_may_see_them() {
    let server = Server::start();
    add(&server, &["ann", "--role", "view", "-A"]).with_code(0);
    let token = |scope: &str| {
        let made = server.json(&["token", "create", "--all-namespaces", "--scope", scope]);
        made["token"].as_str().unwrap().to_owned()
    };
    let with = |token: &str| -> Command {
        let mut command = server.command();
        command.env("LOCKSTEP_TOKEN", token);
        command
    };
    let (reader, other) = (token("read:user"), token("*:token"));
    run(&mut with(&reader), &["user", "list"]).with_code(0);
    run(&mut with(&reader), &["user", "disable", "ann"]).with_code(6);
    run(&mut with(&other), &["user", "list"]).with_code(6);
    run(&mut with(&other), &["user", "disable", "ann"]).with_code(6);
}
