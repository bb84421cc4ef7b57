//! A server with something of everything to look at.

use std::io::Write as _;

use serde_json::Value;

use super::chromium::{Browser, Seen};
use crate::support::{Server, run_with, until};

/// A workflow of two steps, of which the second goes to workers.
pub const REFUND: &str = "
document: {dsl: 1.0.3, namespace: shop, name: refund, version: 1.0.0}
do:
- check:
    set: {total: '${ .total }', account: '${ .account }'}
- pay-back:
    call: work
    with: {spec: refunds, data: {total: '${ .total }', account: '${ .account }'}}
";

/// A workflow that waits for what somebody decides.
pub const APPROVAL: &str = "
document: {dsl: 1.0.3, namespace: shop, name: big-refund, version: 1.0.0}
do:
- keep:
    set: {total: '${ .total }'}
    export: {as: '${ . }'}
- ask:
    listen: {to: {one: {with: {type: com.acme.refund.decided.v1}}}}
- decide:
    switch:
    - approved: {when: '${ .[0].approved }', then: pay-back}
    - declined: {then: turn-down}
- turn-down:
    set: {declined: '${ .[0].comment }'}
    then: end
- pay-back:
    set: {paid: '${ $context.total }', by: '${ .[0].by }'}
";

/// Runs the program in the namespace of the tests.
pub fn shop(server: &Server, args: &[&str]) -> Value {
    server.json(&[args, &["--namespace", "shop"]].concat())
}

/// Publishes a document.
pub fn publish(server: &Server, document: &str) {
    let args = ["workflow", "publish", "-", "--json"];
    run_with(&mut server.command(), &args, document).with_code(0);
}

/// Has a worker do what there is for one spec: JSON on its standard output, or a failure.
pub fn work(server: &Server, spec: &str, script: &str) {
    let args = ["worker", "--exec", script, "--spec", spec, "--until-empty", "--name", "bank-1"];
    shop(server, &args);
}

/// Starts a refund and waits until its unit is there.
pub fn refund(server: &Server, input: &Value) -> u64 {
    let started = shop(server, &["run", "refund", "--input", &input.to_string()]);
    let id = started["instance"].as_u64().unwrap();
    wait_for(server, id, "waiting");
    id
}

/// Waits until an instance has a status.
pub fn wait_for(server: &Server, id: u64, status: &str) -> Value {
    until(&format!("instance {id} is {status}"), || {
        let shown = shop(server, &["instance", "show", &id.to_string()]);
        (shown["status"] == status).then_some(shown)
    })
}

/// Sends JSON to a server, which must take it.
pub fn post(server: &Server, path: &str, body: &Value) -> Value {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let text = body.to_string();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 2"), "{path}: {answer}");
    serde_json::from_str(body).unwrap_or_default()
}

/// Insists that pages asked nobody but their server for anything, and did nothing forbidden.
pub fn check_seen(seen: &Seen, server: &Server) {
    // The browser draws its own controls from what it carries itself, and asks nobody for it.
    let carried = |url: &str| url == "about:blank" || url.starts_with("data:");
    let foreign = |url: &&String| !url.starts_with(&server.url) && !carried(url);
    let foreign: Vec<_> = seen.requests.iter().filter(foreign).collect();
    assert!(foreign.is_empty(), "requests elsewhere: {foreign:?}");
    assert!(seen.complaints.is_empty(), "{:?}", seen.complaints);
}

/// Starts a server and a browser whose page is as wide as said.
pub fn start(width: u32) -> (Server, Browser) {
    (Server::start(), Browser::start(width))
}
