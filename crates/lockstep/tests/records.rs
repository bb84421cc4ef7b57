//! Every noun, with its JSON and its exit codes.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use serde_json::{Value, json};

use crate::support::{Server, lockstep, run, run_with};

/// Takes out what differs from run to run.
fn steady(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields.iter_mut() {
                    let varies = ["created", "start", "end", "expiration", "id", "last_update"];
                    if varies.contains(&key.as_str()) && !value.is_null() {
                        *value = json!("*");
                    }
                    walk(value);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    value
}

#[test]
fn namespaces() {
    let server = Server::start();
    let made = server.json(&["namespace", "create", "nightly"]);
    assert_eq!(made["name"], "nightly");
    let listed = server.json(&["namespace", "list"]);
    assert_eq!(listed["namespaces"], json!([made]));
    assert_eq!(listed["next"], Value::Null);
    assert_eq!(server.json(&["namespace", "show", "nightly"]), made);
    server.run(&["namespace", "delete", "nightly"]).with_code(2);
    let gone = server.json(&["namespace", "delete", "nightly", "--yes"]);
    assert_eq!(gone, json!({"deleted": "nightly"}));
    let said = server.run(&["namespace", "show", "nightly"]).with_code(3);
    assert!(said.out.is_empty(), "{said:?}");
    let lines: Vec<_> = said.err.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(lines, ["error", "hint", "code"]);
}

#[test]
fn specs() {
    let server = Server::start();
    let set = ["spec", "set", "name=scan", "weight=50", "then=report", "note={\"a\": [1.5, null]}"];
    let spec = steady(server.json(&set));
    let expected = json!({
        "name": "scan",
        "id": "*",
        "data": {"name": "scan", "weight": 50, "then": "report", "note": {"a": [1.5, null]}},
        "meta": {
            "priority": 0, "weight": 50, "paused": false, "continuous": false,
            "can_be_continuous": false, "interval": 0.0, "next_continuous": null,
            "max_running": 0, "max_getwork": 0, "max_retries": 0, "min_gb": 0.0,
            "then": "report", "runtime": "",
        },
        "counts": {"available": 0, "pending": 0, "finished": 0, "failed": 0, "delayed": 0},
    });
    assert_eq!(spec, expected);
    let yaml = "name: scan\nnice: 5\n";
    let args = ["spec", "set", "--file", "-", "priority=3", "--json"];
    let again = run_with(&mut server.command(), &args, yaml).with_code(0).json();
    assert_eq!((&again["meta"]["weight"], &again["meta"]["priority"]), (&json!(15), &json!(3)));

    let control = ["spec", "control", "scan", "--pause", "--max-running", "8", "--interval", "1m"];
    let meta = &server.json(&control)["meta"];
    assert_eq!((&meta["paused"], &meta["max_running"]), (&json!(true), &json!(8)));
    assert_eq!((&meta["interval"], &meta["weight"]), (&json!(60.0), &json!(15)));
    assert_eq!(server.json(&["spec", "control", "scan", "--resume"])["meta"]["paused"], false);
    server.run(&["spec", "control", "scan"]).with_code(2);
    server.run(&["spec", "set", "name=scan", "priority=high"]).with_code(2);
    assert_eq!(server.json(&["spec", "show", "scan"])["meta"]["priority"], 3);

    let would = server.json(&["spec", "delete", "scan", "--dry-run"]);
    assert_eq!(would, json!({"deleted": "scan", "units": 0, "dry_run": true}));
    server.json(&["spec", "delete", "scan", "--yes"]);
    assert_eq!(server.json(&["spec", "list"]), json!({"specs": [], "next": null}));
    server.run(&["spec", "show", "scan"]).with_code(3);
}

#[test]
fn units_and_attempts() {
    let server = Server::start();
    server.json(&["spec", "set", "name=scan"]);
    let add = ["unit", "add", "scan", "a b", "--data", "{\"n\": 1}", "--priority", "2.5"];
    assert_eq!(server.json(&add), json!({"added": 1}));
    let unit = steady(server.json(&["unit", "show", "scan", "a b"]));
    let expected = json!({
        "spec": "scan", "name": "a b", "id": "*", "status": "available", "priority": 2.5,
        "not_before": null, "attempts": 0, "created": "*", "data": {"n": 1}, "active": null,
        "history": [],
    });
    assert_eq!(unit, expected);

    let work = ["worker", "--exec", "echo '{\"m\": 2}'", "--name", "w", "--until-empty"];
    assert_eq!(server.json(&work)["finished"], 1);
    let unit = steady(server.json(&["unit", "show", "scan", "a b"]));
    let attempt = json!({
        "spec": "scan", "unit": "a b", "id": "*", "worker": "w", "status": "finished",
        "start": "*", "end": "*", "expiration": "*", "active": true, "data": {"m": 2},
    });
    assert_eq!(unit["history"], json!([attempt]));
    let listed = steady(server.json(&["attempt", "list", "scan", "a b"]));
    assert_eq!(listed, json!({"attempts": [attempt], "next": null}));
    let by_worker = server.json(&["attempt", "list", "--worker", "w"]);
    let id = by_worker["attempts"][0]["id"].to_string();
    let none = server.json(&["attempt", "list", "--worker", "w", "--which", "active"]);
    assert_eq!(none["attempts"], json!([]));

    let said = server.run(&["attempt", "retry", "scan", "a b", &id]).with_code(4);
    assert!(said.err.contains("code: not_pending"), "{said:?}");
    server.run(&["attempt", "finish", "scan", "a b", "999999"]).with_code(3);
    let renew = ["attempt", "renew", "scan", "a b", &id, "--lease", "soon"];
    server.run(&renew).with_code(2);

    assert_eq!(server.json(&["unit", "retry", "scan", "a b"]), json!({"retried": 1}));
    assert_eq!(server.json(&["unit", "show", "scan", "a b"])["status"], "available");
    let priority = ["unit", "priority", "scan", "--all", "--adjust", "-0.5"];
    assert_eq!(server.json(&priority), json!({"changed": 1}));
    assert_eq!(server.json(&["unit", "list", "scan"])["units"][0]["priority"], 2.0);
    let would = server.json(&["unit", "delete", "scan", "--status", "available", "--dry-run"]);
    assert_eq!(would, json!({"deleted": 1, "dry_run": true}));
    assert_eq!(server.json(&["unit", "delete", "scan", "a b"]), json!({"deleted": 1}));
    server.run(&["unit", "show", "scan", "a b"]).with_code(3);
}

#[test]
fn lists_go_on_after_any_name() {
    let server = Server::start();
    server.json(&["spec", "set", "name=scan"]);
    let names: [&[u8]; 5] = [b"--limit", b"-x", b"a b", b"\xfe", b"\xff/\xff"];
    for name in names {
        let add = ["unit", "add", "scan", "--"].map(OsStr::new);
        let status = server.command().args(add).arg(OsStr::from_bytes(name)).status().unwrap();
        assert!(status.success());
    }
    let (mut after, mut seen) = (None, 0);
    loop {
        let mut args = vec!["unit", "list", "scan", "--limit", "1"];
        args.extend(after.iter().flat_map(|after: &String| ["--after", after]));
        let page = server.json(&args);
        seen += page["units"].as_array().unwrap().len();
        match &page["next"] {
            Value::String(next) => after = Some(next.clone()),
            _ => break,
        }
        assert!(seen <= names.len(), "{after:?}");
    }
    assert_eq!(seen, names.len());
}

#[test]
fn many_units_come_from_lines_and_go_in_pages() {
    let server = Server::start();
    server.json(&["spec", "set", "name=scan"]);
    let lines: String =
        (0..2_345).map(|n| format!("{{\"name\":\"u{n:04}\",\"data\":{{\"n\":{n}}}}}\n")).collect();
    let add = ["unit", "add", "scan", "--ndjson", "-", "--json"];
    let added = run_with(&mut server.command(), &add, &lines).with_code(0);
    assert_eq!(added.json(), json!({"added": 2_345}));
    assert!(added.err.is_empty(), "no bar without a terminal: {added:?}");

    let page = server.json(&["unit", "list", "scan", "--limit", "2"]);
    assert_eq!(page["next"], "u0001");
    let page = server.json(&["unit", "list", "scan", "--limit", "2", "--after", "u0001"]);
    assert_eq!(page["units"][0]["name"], "u0002");
    let all = server.json(&["unit", "list", "scan", "--limit", "0"]);
    assert_eq!(all["units"].as_array().unwrap().len(), 2_345);
    assert_eq!(all["next"], Value::Null);
    let failed =
        server.json(&["unit", "list", "scan", "--status", "failed", "--status", "pending"]);
    assert_eq!(failed["units"], json!([]));
    server.run(&["unit", "list", "scan", "--status", "odd"]).with_code(2);
    let deleted = server.json(&["unit", "delete", "scan", "--all", "--yes"]);
    assert_eq!(deleted, json!({"deleted": 2_345}));

    let lines = "{\"name\": \"good\", \"delay\": \"1h\", \"priority\": 1}\n\n{\"nmae\": \"bad\"}\n";
    let said = run_with(&mut server.command(), &add, lines).with_code(2);
    assert!(said.err.contains("line 3; 0 units of the lines before were added"), "{said:?}");
}

#[test]
fn unit_names_are_bytes() {
    let server = Server::start();
    server.json(&["spec", "set", "name=scan"]);
    let name = OsStr::from_bytes(b"\xff\x1b[31m");
    run(server.command().args(["unit", "add", "scan"]).arg(name), &[]).with_code(0);
    let shown = run(server.command().args(["unit", "show", "scan", "--json"]).arg(name), &[]);
    assert_eq!(shown.with_code(0).json()["name_base64"], "/xtbMzFt");
    let listed = server.run(&["unit", "list", "scan"]).with_code(0).out;
    assert!(!listed.contains('\u{1b}'), "control characters reach the terminal: {listed:?}");
    let again = "{\"name_base64\": \"/xtbMzFt\"}\n";
    let add = ["unit", "add", "scan", "--ndjson", "-"];
    run_with(&mut server.command(), &add, again).with_code(0);
    assert_eq!(server.json(&["summary", "scan"])["summary"][0]["count"], 1);
}

#[test]
fn summaries_and_flows() {
    let server = Server::start();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/flows");
    let nightly = format!("{examples}/nightly.yaml");
    let common = format!("{examples}/site-config.yaml");
    let load = ["load", &nightly, "--common-config", &common, "--namespace", "site"];
    let loaded = server.json(&load);
    assert_eq!(loaded["specs"].as_array().unwrap().len(), 4);
    let publish = server.json(&["spec", "show", "site.publish", "--namespace", "site"]);
    let config = json!({"target": "production", "contact": "ops@example.com"});
    assert_eq!(publish["data"]["config"], config);
    server.json(&["load", &format!("{examples}/files.yaml")]);
    server.json(&["unit", "add", "scan", "a"]);
    server.json(&["unit", "add", "site.fetch", "b", "--namespace", "site"]);
    let row = |namespace: &str, spec: &str| {
        let (status, count) = ("available", 1);
        json!({"namespace": namespace, "spec": spec, "status": status, "count": count})
    };
    assert_eq!(server.json(&["summary"]), json!({"summary": [row("", "scan")]}));
    let all = server.json(&["summary", "--all-namespaces"]);
    assert_eq!(all, json!({"summary": [row("", "scan"), row("site", "site.fetch")]}));

    let wrong = "flows:\n  a: {min_gb: 1, then: c}\n  b: {min_gb: 1}\n";
    let said = run_with(&mut server.command(), &["load", "-"], wrong).with_code(2);
    assert!(said.err.contains("chains to \"c\""), "{said:?}");
    server.run(&["spec", "show", "a"]).with_code(3);
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let home = tempfile::tempdir().unwrap();
    let said = run(&mut lockstep(home.path()), &["spec", "list", "--url", "http://127.0.0.1:1"]);
    let said = said.with_code(5);
    assert!(said.err.contains("hint: start a server with `lockstep serve`"), "{said:?}");
    let said = run(&mut lockstep(home.path()), &["spec", "list", "--url", "ftp://x"]).with_code(2);
    assert!(said.err.contains("http://HOST:PORT"), "{said:?}");
}
