//! Claims that wait on another node than the one that they came to.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::rig::http::{Caller, Connection};

use super::{Node, Nodes};
use crate::support::until;

/// Half of what a node waits until it looks for itself.
const SOON: Duration = Duration::from_millis(500);

fn ask(worker: &str) -> Value {
    json!({"wait_ms": 20_000, "worker": worker})
}

fn path(namespace: &str, worker: &str) -> String {
    format!("/namespace/{namespace}/worker/{worker}/request_attempts")
}

/// Waits until so many requests are being answered by a node, this one not counted.
fn busy(node: &mut Node, count: u64) {
    until("a claim waits", || {
        (node.metric("lockstep_http_requests_in_flight ") == count + 1).then_some(())
    });
}

#[test]
fn a_claim_wakes_for_a_unit_that_came_in_elsewhere() {
    let mut nodes = Nodes::start(3);
    let namespace = nodes.namespace();
    for number in 0..5 {
        let address = nodes.nodes[1].server.url.strip_prefix("http://").unwrap().parse().unwrap();
        let claims = path(&namespace, "w");
        let claim = thread::spawn(move || {
            let mut caller = Caller::new(address, Duration::from_secs(30));
            let answer = caller.call("POST", &claims, None, &ask("w")).unwrap();
            (answer.json()["attempts"].as_array().unwrap().len(), Instant::now())
        });
        busy(&mut nodes.nodes[0], 1);
        let added = Instant::now();
        assert_eq!(nodes.nodes[2].add(&namespace, &format!("u{number}"), number).status, 201);
        let (got, at) = claim.join().unwrap();
        assert_eq!(got, 1);
        let took = at.saturating_duration_since(added);
        assert!(took < SOON, "a claim that waits took {took:?}");
    }
}

#[test]
fn a_claimer_that_goes_away_leaves_units_to_others() {
    let mut nodes = Nodes::start(3);
    let namespace = nodes.namespace();
    for number in 0..5 {
        let address = nodes.nodes[1].server.url.strip_prefix("http://").unwrap().parse().unwrap();
        let mut gone = Connection::open(address, Duration::from_secs(10)).unwrap();
        let body = ask("gone").to_string();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            path(&namespace, "gone"),
            body.len()
        );
        gone.send(head.as_bytes()).unwrap();
        busy(&mut nodes.nodes[0], 1);
        drop(gone);
        busy(&mut nodes.nodes[0], 0);
        assert_eq!(nodes.nodes[2].add(&namespace, &format!("u{number}"), number).status, 201);
        let answer = nodes.nodes[2].call("POST", &path(&namespace, "w"), &json!({}));
        assert_eq!(answer.json()["attempts"].as_array().unwrap().len(), 1, "{answer:?}");
    }
}
