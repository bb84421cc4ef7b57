//! Workflows, run from the outside: published, started by hand, by events and schedules, done by
//! workers, steered, and killed in between.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Server, run_with, until};

/// Publishes a document.
fn publish(server: &Server, document: &str) -> Value {
    let args = ["workflow", "publish", "-", "--json", "--namespace", "shop"];
    run_with(&mut server.command(), &args, document).with_code(0).json()
}

fn head(name: &str, version: &str) -> String {
    format!("document: {{dsl: 1.0.3, namespace: shop, name: {name}, version: {version}}}\n")
}

/// Runs the program in the namespace of the tests.
fn shop(server: &Server, args: &[&str]) -> Value {
    server.json(&[&["--namespace", "shop"], args].concat())
}

fn instance(server: &Server, id: u64) -> Value {
    shop(server, &["instance", "show", &id.to_string()])
}

/// Waits until an instance has a status, and gives it.
fn wait_for(server: &Server, id: u64, status: &str) -> Value {
    until(&format!("instance {id} is {status}"), || {
        let shown = instance(server, id);
        (shown["status"] == status).then_some(shown)
    })
}

fn start(server: &Server, name: &str, input: &Value) -> u64 {
    let started = shop(server, &["run", name, "--input", &input.to_string()]);
    started["instance"].as_u64().unwrap()
}

const ORDER: &str = "
do:
- price:
    set: {total: '${ .count * 12 }', count: '${ .count }'}
- pack:
    call: work
    with: {spec: packing, data: {count: '${ .count }'}}
    output: {as: '${ { packed: .packed, total: $input.total } }'}
";

#[test]
fn a_step_is_a_unit_for_any_worker() {
    let server = Server::start();
    publish(&server, &(head("order", "1.0.0") + ORDER));
    shop(&server, &["spec", "set", "name=packing"]);
    let id = start(&server, "order", &json!({"count": 3}));
    wait_for(&server, id, "waiting");
    let worker =
        ["worker", "--exec", "echo '{\"packed\": true}'", "--spec", "packing", "--until-empty"];
    shop(&server, &worker);
    let done = wait_for(&server, id, "finished");
    // What the step took is not what it gave, so the total comes from before.
    assert_eq!(done["output"]["packed"], json!(true), "{done}");
    let journal = shop(&server, &["instance", "journal", &id.to_string()]);
    assert!(journal["journal"].as_array().unwrap().len() >= 2, "{journal}");
}

#[test]
fn a_failed_step_is_retried_with_another_input_or_skipped() {
    let server = Server::start();
    publish(&server, &(head("order", "1.0.0") + ORDER));
    shop(&server, &["spec", "set", "name=packing"]);
    let fail =
        ["worker", "--exec", "echo broken >&2; exit 1", "--spec", "packing", "--until-empty"];
    let good = ["worker", "--exec", "echo '{\"packed\": 1}'", "--spec", "packing", "--until-empty"];
    let first = start(&server, "order", &json!({"count": 3}));
    wait_for(&server, first, "waiting");
    shop(&server, &fail);
    let failed = wait_for(&server, first, "faulted");
    assert!(failed["error"]["detail"].as_str().unwrap().contains("broken"), "{failed}");
    shop(&server, &["instance", "retry", &first.to_string(), "--input", "{\"count\": 4}"]);
    wait_for(&server, first, "waiting");
    shop(&server, &good);
    assert_eq!(wait_for(&server, first, "finished")["output"]["packed"], json!(1));

    let second = start(&server, "order", &json!({"count": 1}));
    wait_for(&server, second, "waiting");
    shop(&server, &fail);
    wait_for(&server, second, "faulted");
    shop(&server, &["instance", "skip", &second.to_string(), "--output", "{\"packed\": 0}"]);
    wait_for(&server, second, "finished");
}

const APPROVAL: &str = "
schedule: {on: {one: {with: {type: order.placed, data: '${ .total > 10 }'}}}}
do:
- approve:
    listen: {to: {one: {with: {type: order.approved, subject: '${ . == \"7\" }'}}}}
";

#[test]
fn events_start_instances_once_and_resume_those_that_wait() {
    let server = Server::start();
    publish(&server, &(head("approval", "1.0.0") + APPROVAL));
    let send = |id: &str, data: &str| {
        let args =
            ["event", "send", "order.placed", "--source", "shop", "--id", id, "--data", data];
        shop(&server, &args)
    };
    assert_eq!(send("1", "{\"total\": 5}")["started"], json!([]));
    let started = send("2", "{\"total\": 50}");
    let id = started["started"][0].as_u64().unwrap();
    let again = send("2", "{\"total\": 50}");
    assert_eq!((&again["is_duplicate"], &again["started"]), (&json!(true), &json!([id])));
    wait_for(&server, id, "waiting");
    let why = shop(&server, &["workflow", "match", "order.placed", "--data", "{\"total\": 1}"]);
    assert_eq!(why["explained"][0]["is_match"], json!(false), "{why}");
    // One that is not wanted changes nothing; the one that is wanted ends the wait.
    shop(&server, &["event", "send", "order.approved", "--subject", "6"]);
    shop(&server, &["event", "send", "order.approved", "--subject", "7", "--data", "{\"by\": 1}"]);
    let done = wait_for(&server, id, "finished");
    assert_eq!(done["output"], json!([{"by": 1}]), "{done}");
    assert_eq!(shop(&server, &["instance", "list"])["instances"].as_array().unwrap().len(), 1);
}

#[test]
fn a_schedule_on_all_of_several_events_starts_once_for_those_that_belong_together() {
    let server = Server::start();
    let document = "
schedule:
  on:
    all:
    - with: {type: order.paid}
      correlate: {order: {from: '${ .data.order }'}}
    - with: {type: order.packed}
      correlate: {order: {from: '${ .data.order }'}}
do:
- note: {set: {types: '${ [$workflow.input[].type] }'}}
";
    publish(&server, &(head("ship", "1.0.0") + document));
    let send = |kind: &str, order: u64| {
        let data = json!({"order": order}).to_string();
        shop(&server, &["event", "send", kind, "--source", "shop", "--data", &data])["started"]
            .clone()
    };
    assert_eq!(send("order.paid", 1), json!([]));
    assert_eq!(send("order.packed", 2), json!([]));
    assert_eq!(send("order.paid", 1), json!([]));
    let started = send("order.packed", 1);
    let id = started[0].as_u64().unwrap();
    let done = wait_for(&server, id, "finished");
    assert_eq!(done["output"], json!({"types": ["order.paid", "order.packed"]}), "{done}");
    // The second payment of the same order waits for another parcel.
    assert_eq!(send("order.packed", 1).as_array().unwrap().len(), 1);
    assert_eq!(send("order.packed", 1), json!([]));
}

#[test]
fn a_restart_from_a_step_takes_what_the_step_took_or_is_refused() {
    let server = Server::start();
    let document = "
do:
- small: {set: {n: '${ .n + 1 }'}}
- double: {set: {n: '${ .n * 2 }'}}
- large: {set: {text: '${ [range(2000)] | map(\"x\") | join(\"\") }'}}
- last: {set: {length: '${ .text | length }'}}
";
    publish(&server, &(head("steps", "1.0.0") + document));
    let id = start(&server, "steps", &json!({"n": 3}));
    assert_eq!(wait_for(&server, id, "finished")["output"], json!({"length": 2000}));
    let id = id.to_string();
    let again = shop(&server, &["instance", "restart", &id, "--from", "double"]);
    let again = again["id"].as_u64().unwrap();
    wait_for(&server, again, "finished");
    let journal = shop(&server, &["instance", "journal", &again.to_string()]);
    assert!(journal.to_string().contains("{\"n\":8}"), "{journal}");
    let from = ["--namespace", "shop", "instance", "restart", &id, "--from", "last"];
    let refused = server.run(&from).with_code(2);
    assert!(refused.err.contains("too large for its journal"), "{refused:?}");
}

#[test]
fn an_event_that_came_before_its_wait_is_kept_for_it() {
    let server = Server::start();
    shop(&server, &["spec", "set", "name=packing"]);
    let document = "
do:
- pack: {call: work, with: {spec: packing, data: {}}}
- approve:
    listen: {to: {one: {with: {type: order.approved}}}}
";
    publish(&server, &(head("late", "1.0.0") + document));
    let id = start(&server, "late", &json!({}));
    wait_for(&server, id, "waiting");
    shop(&server, &["event", "send", "order.approved", "--data", "{\"by\": 2}"]);
    shop(&server, &["worker", "--exec", "echo '{}'", "--spec", "packing", "--until-empty"]);
    assert_eq!(wait_for(&server, id, "finished")["output"], json!([{"by": 2}]));
}

#[test]
fn time_passes_children_run_and_branches_join() {
    let server = Server::start();
    publish(&server, &(head("child", "1.0.0") + "do:\n- double: {set: '${ { n: (.n * 2) } }'}\n"));
    let document = "
do:
- pause: {wait: PT0.2S}
- both:
    fork:
      branches:
      - left:
          run: {workflow: {namespace: shop, name: child, version: 1.0.0, input: {n: 4}}}
      - right: {set: {n: 1}}
";
    publish(&server, &(head("parent", "1.0.0") + document));
    let id = start(&server, "parent", &json!({}));
    let done = wait_for(&server, id, "finished");
    assert_eq!(done["output"], json!([{"n": 8}, {"n": 1}]), "{done}");
}

#[test]
fn a_schedule_fires_pauses_and_can_be_filled() {
    let server = Server::start();
    let document = "schedule: {every: PT1S}\ndo:\n- note: {set: {ran: true}}\n";
    publish(&server, &(head("tick", "1.0.0") + document));
    let fired = |least: u64| {
        let listed = shop(&server, &["schedule", "list", "tick"]);
        let trigger = &listed["triggers"][0];
        (trigger["fired"].as_u64().unwrap() >= least).then(|| trigger.clone())
    };
    until("it has fired twice", || fired(2));
    let paused = shop(&server, &["schedule", "pause", "tick", "every"]);
    assert_eq!(paused["triggers"][0]["is_paused"], json!(true));
    assert_eq!(paused["triggers"][0]["next"], Value::Null);
    let listed = shop(&server, &["instance", "list", "--definition", "tick"]);
    let count = listed["instances"].as_array().unwrap().len();
    assert_eq!(count as u64, paused["triggers"][0]["fired"].as_u64().unwrap());
}

#[test]
fn running_instances_keep_their_version_and_new_ones_take_the_new() {
    let server = Server::start();
    shop(&server, &["spec", "set", "name=packing"]);
    let document = |say: &str| {
        format!(
            "do:\n- pack: {{call: work, with: {{spec: packing, data: {{}}}}}}\n\
             - say: {{set: {{said: {say}}}}}\n"
        )
    };
    publish(&server, &(head("talk", "1.0.0") + &document("old")));
    let old = start(&server, "talk", &json!({}));
    wait_for(&server, old, "waiting");
    publish(&server, &(head("talk", "2.0.0") + &document("new")));
    let new = start(&server, "talk", &json!({}));
    wait_for(&server, new, "waiting");
    shop(&server, &["worker", "--exec", "echo '{}'", "--spec", "packing", "--until-empty"]);
    assert_eq!(wait_for(&server, old, "finished")["output"], json!({"said": "old"}));
    assert_eq!(wait_for(&server, new, "finished")["output"], json!({"said": "new"}));
    assert_eq!(instance(&server, old)["version"], "1.0.0");
    shop(&server, &["workflow", "retract", "talk"]);
    server.run(&["--namespace", "shop", "run", "talk"]).with_code(3);
}

#[test]
fn what_is_retracted_or_deleted_pauses_or_cancels_what_runs() {
    let server = Server::start();
    shop(&server, &["spec", "set", "name=packing"]);
    publish(&server, &(head("order", "1.0.0") + ORDER));
    let id = start(&server, "order", &json!({"count": 3}));
    wait_for(&server, id, "waiting");
    let withdraw = |verb: &[&str], running: &str| {
        let how = ["--running", running, "--until", "settled"];
        let told = shop(&server, &[&["workflow"], verb, &how[..]].concat());
        assert_eq!(told["published"][0]["state"], "settled", "{told}");
    };
    withdraw(&["retract", "order"], "pause");
    wait_for(&server, id, "paused");
    withdraw(&["delete", "order", "--yes"], "cancel");
    wait_for(&server, id, "cancelled");
    let listed = shop(&server, &["instance", "list", "--definition", "order"]);
    assert_eq!(listed["instances"].as_array().unwrap().len(), 1);
    assert_eq!(shop(&server, &["unit", "list", "packing"])["units"], json!([]));
}

#[test]
fn cancelling_takes_the_work_back() {
    let server = Server::start();
    publish(&server, &(head("order", "1.0.0") + ORDER));
    shop(&server, &["spec", "set", "name=packing"]);
    let id = start(&server, "order", &json!({"count": 3}));
    wait_for(&server, id, "waiting");
    shop(&server, &["instance", "cancel", &id.to_string()]);
    wait_for(&server, id, "cancelled");
    let units = shop(&server, &["unit", "list", "packing"]);
    assert_eq!(units["units"], json!([]), "{units}");
}

#[test]
fn a_server_that_is_killed_goes_on_where_it_was() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", home.path().join("store.db").display());
    let server = Server::start_with(home, &["--store", &store]);
    publish(&server, &(head("order", "1.0.0") + ORDER));
    shop(&server, &["spec", "set", "name=packing"]);
    let ids: Vec<u64> = (0..20).map(|n| start(&server, "order", &json!({"count": n}))).collect();
    let home = server.kill_and_keep();
    let server = Server::start_with(home, &["--store", &store]);
    let mut worker = server
        .command()
        .args(["--namespace", "shop", "worker", "--exec", "echo '{\"packed\": 1}'"])
        .args(["--spec", "packing"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for id in ids {
        wait_for(&server, id, "finished");
    }
    let _gone = worker.kill();
    let _reaped = worker.wait();
}

/// Waits until a definition has so many instances, and all of them have ended.
fn wait_for_count(server: &Server, definition: &str, count: usize) {
    until(&format!("{definition} has {count} instances"), || {
        let list = shop(server, &["instance", "list", "--definition", definition]);
        let list = list["instances"].as_array().unwrap();
        let over = list.iter().filter(|instance| instance["status"] == "finished").count();
        assert!(list.len() <= count, "{list:?}");
        (over == count).then_some(())
    });
}

const FOLLOWS: &str = "
schedule:
  overlap: allow
  on: {one: {with: {type: io.serverlessworkflow.workflow.completed.v1}}}
do: [{note: {set: {of: '${ .[0].data.name }'}}}]
";

#[test]
fn the_end_of_an_instance_is_an_event_that_starts_others_but_never_itself() {
    let server = Server::start();
    publish(&server, &(head("followed", "1.0.0") + "do: [{x: {set: {a: 1}}}]\n"));
    // Nobody asks for such events yet, so there are none.
    let first = start(&server, "followed", &json!({}));
    wait_for(&server, first, "finished");
    assert_eq!(shop(&server, &["event", "list"])["events"], json!([]));
    publish(&server, &(head("follows", "1.0.0") + FOLLOWS));
    for round in 1..=3 {
        start(&server, "followed", &json!({}));
        wait_for_count(&server, "follows", round);
    }
    let id = shop(&server, &["instance", "list", "--definition", "follows"]);
    let id = id["instances"][0]["id"].as_u64().unwrap();
    let of = instance(&server, id)["output"]["of"].as_str().unwrap().to_owned();
    assert!(of.starts_with("followed-"), "{of}");
    // Two that follow each other end, too: at each depth there is one of each.
    publish(&server, &(head("also", "1.0.0") + FOLLOWS));
    start(&server, "followed", &json!({}));
    wait_for_count(&server, "also", 8);
    wait_for_count(&server, "follows", 3 + 8);
    until("what was left out is counted", || {
        let triggers = shop(&server, &["schedule", "list"]).to_string();
        (triggers.matches("\"missed\":2").count() == 2).then_some(())
    });
}

#[test]
fn instances_take_turns_by_key() {
    let server = Server::start();
    let rest = |beyond: &str| {
        format!(
            "concurrency: {{limit: 1, key: '${{ .customer }}', beyond: {beyond}}}\n\
             do: [{{x: {{listen: {{to: {{one: {{with: {{type: go.v1}}}}}}}}}}}}]\n"
        )
    };
    for beyond in ["wait", "refuse", "cancel"] {
        publish(&server, &(head(beyond, "1.0.0") + &rest(beyond)));
    }
    let run = |name: &str, customer: &str| {
        let input = json!({"customer": customer}).to_string();
        server.run(&["--namespace", "shop", "run", name, "--input", &input, "--json"])
    };
    let begin = |name: &str, customer: &str| {
        run(name, customer).with_code(0).json()["instance"].as_u64().unwrap()
    };
    let at = |id: u64| instance(&server, id)["at"].as_array().unwrap().len();
    let [first, second, third] = [(); 3].map(|()| begin("wait", "a"));
    let other = begin("wait", "b");
    until("the first of each is at its step", || (at(first) + at(other) == 2).then_some(()));
    assert_eq!((at(second), at(third)), (0, 0));
    shop(&server, &["instance", "cancel", &second.to_string()]);
    wait_for(&server, second, "cancelled");
    assert_eq!(at(third), 0, "who never began has no turn to give");
    shop(&server, &["instance", "cancel", &first.to_string()]);
    until("the third has its turn", || (at(third) == 1).then_some(()));

    begin("refuse", "a");
    begin("refuse", "b");
    let said = run("refuse", "a");
    assert!(said.err.contains("under way already"), "{said:?}");

    let [first, second] = [(); 2].map(|()| begin("cancel", "a"));
    wait_for(&server, first, "cancelled");
    until("the second has its turn", || (at(second) == 1).then_some(()));
}

#[test]
fn what_ended_long_ago_is_forgotten_with_its_units() {
    let flags = ["--store", "memory", "--keep-instances", "1s"];
    let server = Server::start_with(tempfile::tempdir().unwrap(), &flags);
    publish(&server, &(head("order", "1.0.0") + ORDER));
    shop(&server, &["spec", "set", "name=packing"]);
    publish(&server, &(head("stays", "1.0.0") + "do: [{x: {wait: {hours: 1}}}]\n"));
    let gone = start(&server, "order", &json!({"count": 3}));
    let stays = start(&server, "stays", &json!({}));
    wait_for(&server, stays, "waiting");
    wait_for(&server, gone, "waiting");
    let worker =
        ["worker", "--exec", "echo '{\"packed\": true}'", "--spec", "packing", "--until-empty"];
    server.run(&[&["--namespace", "shop"], &worker[..]].concat()).with_code(0);
    until("one of them is forgotten", || {
        let list = shop(&server, &["instance", "list"]);
        (list["instances"].as_array().unwrap().len() == 1).then_some(())
    });
    let units = shop(&server, &["unit", "list", "packing"]);
    assert_eq!(units["units"], json!([]), "{units}");
    let args = ["--namespace", "shop", "instance", "journal", &gone.to_string()];
    let said = server.run(&args);
    assert!(said.err.contains("no_such_instance"), "{said:?}");
    assert_eq!(instance(&server, stays)["status"], "waiting");
}

#[test]
fn hooks_and_http_steps_reach_this_server_only_where_it_is_allowed() {
    let server = Server::start();
    let document = format!(
        "
schedule: {{on: {{one: {{with: {{type: io.lockstep.http.request.v1, subject: orders}}}}}}}}
do:
- ask:
    try:
    - look: {{call: http, with: {{method: get, endpoint: '{}/version'}}}}
    catch:
      as: problem
      do:
      - note: {{set: {{status: '${{ $problem.status }}'}}}}
",
        server.url
    );
    publish(&server, &(head("hooked", "1.0.0") + &document));
    let status = crate::support::post(&server.url, "/hooks/shop/orders", "{\"n\": 1}");
    assert_eq!(status, 202);
    let id = until("the hook has started one", || {
        shop(&server, &["instance", "list"])["instances"][0]["id"].as_u64()
    });
    let done = wait_for(&server, id, "finished");
    assert_eq!(done["output"], json!({"status": 403}), "{done}");

    let open = ["--store", "memory", "--steps-may-call", "127.0.0.0/8"];
    let server = Server::start_with(tempfile::tempdir().unwrap(), &open);
    let document = format!(
        "do:\n- ask: {{call: http, with: {{method: get, endpoint: '{}/version'}}}}\n",
        server.url
    );
    publish(&server, &(head("asks", "1.0.0") + &document));
    let id = start(&server, "asks", &json!({}));
    let done = wait_for(&server, id, "finished");
    assert_eq!(done["output"]["name"], "lockstep", "{done}");
}
