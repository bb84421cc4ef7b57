//! Tokens, from the first one on.

use std::{fs, process::Command};

use crate::support::{Said, Server, lockstep, run};

fn with_token(server: &Server, token: &str) -> Command {
    let mut command = server.command();
    command.env("LOCKSTEP_TOKEN", token);
    command
}

fn create(server: &Server, args: &[&str]) -> String {
    let mut all = vec!["token", "create", "--json"];
    all.extend(args);
    server.run(&all).with_code(0).json()["token"].as_str().unwrap().to_owned()
}

#[test]
fn an_address_for_others_needs_a_token_first() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/queue.db", home.path().display());
    let serve = ["serve", "--listen", "0.0.0.0:0", "--store", &store];
    let said = run(&mut lockstep(home.path()), &serve).with_code(2);
    assert!(said.err.contains("the store has no token"), "{said:?}");
    assert!(said.err.contains("lockstep token create"), "{said:?}");

    let make = ["token", "create", "--all-namespaces", "--scope", "*", "--store", &store];
    let said = run(&mut lockstep(home.path()), &make).with_code(0);
    let token = said.out.trim().to_owned();
    assert!(token.starts_with("lk_") && !said.err.contains(&token), "{said:?}");
    let database = fs::read(home.path().join("queue.db")).unwrap();
    let secret = token.as_bytes();
    assert!(!database.windows(secret.len()).any(|part| part == secret), "stored as it is");

    let server = Server::start_with(home, &["--store", &store, "--listen", "0.0.0.0:0"]);
    let port = server.url.rsplit(':').next().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let list = |token: Option<&str>| -> Said {
        let mut command = server.command();
        if let Some(token) = token {
            let file = server.home.path().join("token");
            fs::write(&file, format!("{token}\n")).unwrap();
            command.env("LOCKSTEP_TOKEN_FILE", file);
        }
        run(&mut command, &["spec", "list", "--url", &url])
    };
    list(Some(&token)).with_code(0);
    let said = list(None).with_code(6);
    assert!(said.err.contains("code: unauthenticated"), "{said:?}");
    list(Some("lk_000000000000_wrong")).with_code(6);
}

#[test]
fn loopback_can_ask_for_tokens_too() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/queue.db", home.path().display());
    let said = run(&mut lockstep(home.path()), &["serve", "--require-token", "--store", &store]);
    let said = said.with_code(2);
    assert!(said.err.contains("everyone is asked for a token, and the store has no"), "{said:?}");
    assert!(said.err.contains("lockstep token create"), "{said:?}");
    assert!(said.err.contains("leave out --require-token"), "{said:?}");

    let make = ["token", "create", "--all-namespaces", "--scope", "*", "--store", &store];
    let token = run(&mut lockstep(home.path()), &make).with_code(0).out;
    let file = home.path().join("serve.toml");
    fs::write(&file, "[serve]\nrequire_token = true\nrate_limit = 3\n").unwrap();
    let server = Server::start_with(home, &["--store", &store, "--config", file.to_str().unwrap()]);
    let said = server.run(&["spec", "list"]).with_code(6);
    assert!(said.err.contains("code: unauthenticated"), "{said:?}");
    run(&mut with_token(&server, token.trim()), &["spec", "list"]).with_code(0);
    let statuses = (0..60).map(|_| crate::support::get(&server.url, "/livez"));
    let statuses: Vec<u16> = statuses.collect();
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
}

#[test]
fn a_token_opens_what_its_scopes_say() {
    let server = Server::start();
    server.json(&["spec", "set", "name=scan", "--namespace", "nightly"]);
    let args = ["--namespace", "nightly", "--scope", "read:*", "--scope", "write:unit"];
    let token = create(&server, &args);
    let may = |args: &[&str]| run(&mut with_token(&server, &token), args).code;
    assert_eq!(may(&["spec", "list", "--namespace", "nightly"]), 0);
    assert_eq!(may(&["unit", "add", "scan", "a", "--namespace", "nightly"]), 0);
    assert_eq!(may(&["spec", "set", "name=other", "--namespace", "nightly"]), 6);
    assert_eq!(may(&["spec", "list"]), 6);
    assert_eq!(may(&["token", "list"]), 6);
}

#[test]
fn tokens_are_listed_without_secrets_and_revoked() {
    let server = Server::start();
    let token = create(&server, &["--all-namespaces", "--scope", "*:*", "--expires", "30d"]);
    let listed = server.json(&["token", "list"]);
    let id = listed["tokens"][0]["id"].as_str().unwrap();
    assert_eq!(token.split('_').nth(1), Some(id));
    assert!(listed["tokens"][0]["expires"].is_string());
    // The secret is the rest, and may have more of these itself.
    assert!(!listed.to_string().contains(token.splitn(3, '_').nth(2).unwrap()));

    run(&mut with_token(&server, &token), &["spec", "list"]).with_code(0);
    server.json(&["token", "revoke", id]);
    server.run(&["token", "revoke", id]).with_code(3);
    // The server may remember a valid token for a second.
    crate::support::until("the token is refused", || {
        let said = run(&mut with_token(&server, &token), &["spec", "list"]);
        (said.code == 6).then_some(())
    });
}

#[test]
fn what_a_token_allows_is_said_in_full() {
    let server = Server::start();
    server.run(&["token", "create", "--scope", "*"]).with_code(2);
    server.run(&["token", "create", "--all-namespaces"]).with_code(2);
    let said = server.run(&["token", "create", "--all-namespaces", "--scope", "eat:cake"]);
    assert!(said.with_code(2).err.contains("unknown scope"), "an odd scope");
}
