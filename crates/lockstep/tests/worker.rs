//! `lockstep worker --exec`.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{Server, terminate, until, wait};

#[test]
fn exit_codes_decide_and_output_chains() {
    let server = Server::start();
    server.json(&["spec", "set", "name=scan", "then=report"]);
    server.json(&["spec", "set", "name=report"]);
    for (name, script) in [("good", "exit 0"), ("bad", "echo oh no >&2; exit 3")] {
        let data = json!({"script": script}).to_string();
        server.json(&["unit", "add", "scan", name, "--data", &data]);
    }
    let exec = "test \"$LOCKSTEP_UNIT\" = good || { echo oh no >&2; exit 3; }; \
                echo \"{\\\"output\\\": {\\\"next\\\": {\\\"of\\\": \\\"$LOCKSTEP_SPEC\\\"}}}\"";
    let args = ["worker", "--exec", exec, "--spec", "scan", "--name", "w", "--until-empty"];
    let tally = server.json(&args);
    assert_eq!((&tally["finished"], &tally["failed"]), (&json!(1), &json!(1)));
    let bad = server.json(&["unit", "show", "scan", "bad"]);
    assert_eq!(bad["status"], "failed");
    assert!(bad["data"]["traceback"].as_str().unwrap().contains("oh no"), "{bad}");
    let next = server.json(&["unit", "show", "report", "next"]);
    assert_eq!(next["data"], json!({"of": "scan"}));
}

#[test]
fn an_idle_worker_whose_server_has_gone_ends_at_once() {
    let server = Server::start();
    server.json(&["spec", "set", "name=scan"]);
    let mut worker = server
        .command()
        .args(["worker", "--exec", "true", "--name", "w"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the worker is known", || (server.run(&["worker", "show", "w"]).code == 0).then_some(()));
    server.kill();
    let asked = Instant::now();
    terminate(&worker);
    assert_eq!(wait(&mut worker).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn a_signal_lets_running_commands_end() {
    let server = Server::start();
    server.json(&["spec", "set", "name=scan"]);
    server.json(&["unit", "add", "scan", "a"]);
    let mark = server.home.path().join("go");
    let exec = format!("until test -e {}; do sleep 0.05; done", mark.display());
    let mut worker = server
        .command()
        .args(["worker", "run", "--exec", &exec, "--name", "w", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    until("the unit is claimed", || {
        (server.json(&["unit", "show", "scan", "a"])["status"] == "pending").then_some(())
    });
    let listed = server.json(&["worker", "list"]);
    assert_eq!(
        (&listed["workers"][0]["name"], &listed["workers"][0]["active"]),
        (&json!("w"), &json!(true))
    );
    terminate(&worker);
    std::fs::write(&mark, "").unwrap();
    assert_eq!(wait(&mut worker).code(), Some(0));
    assert_eq!(server.json(&["unit", "show", "scan", "a"])["status"], "finished");
    let shown = server.json(&["worker", "show", "w"]);
    assert_eq!(shown["active"], false);
    server.run(&["worker", "show", "nobody"]).with_code(3);
    server.run(&["worker", "deactivate", "nobody"]).with_code(3);
    assert_eq!(server.json(&["worker", "deactivate", "w"])["active"], false);
}
