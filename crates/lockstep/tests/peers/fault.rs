//! Nodes that are killed or stand still while writes are passed on to them.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{LEASE, Node, Nodes};

/// How long after the end of a lease others go on at most.
const SLACK: Duration = Duration::from_secs(1);
/// Callers that write at the same time.
const CALLERS: u64 = 4;

/// A command that changes something for each new name.
fn create(name: &str) -> Value {
    json!({"queue": {"create_worker": {"worker": name}}})
}

fn revision(node: &mut Node, namespace: &str) -> u64 {
    let answer = node.write(namespace, None, &create("last"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["revision"].as_u64().unwrap()
}

#[test]
fn writes_with_a_key_outlast_a_node_that_is_killed() {
    let mut nodes = Nodes::start(2);
    let namespace = nodes.namespace();
    let mut other = nodes.nodes.pop().unwrap();
    let first = nodes.nodes.pop().unwrap();
    let before = revision(&mut other, &namespace);
    let address = other.server.url.clone();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (address, namespace) = (address.clone(), namespace.clone());
            thread::spawn(move || keep_writing(&address, &namespace, caller))
        })
        .collect();
    super::until("writes are under way", || (other.passed_on() > 50).then_some(()));
    drop(first);
    let killed = Instant::now();
    let answer = other.write(&namespace, Some("after"), &create("after"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let took = killed.elapsed();
    assert!(took < LEASE + SLACK, "the next write took {took:?}");
    let written: u64 = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
    assert!(written > 50, "there was hardly any load");
    // Each write makes one revision, and the last one none: nothing is lost, and nothing doubled.
    assert_eq!(revision(&mut other, &namespace), before + written + 1);
}

/// Writes for a while, each time under a new key, and gives how often.
fn keep_writing(url: &str, namespace: &str, caller: u64) -> u64 {
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut http = testkit::rig::http::Caller::new(address, Duration::from_secs(30));
    let begun = Instant::now();
    let mut written = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        let name = format!("w{caller}-{written}");
        let body = json!({"namespace": namespace, "request_id": name, "commands": [create(&name)]});
        let answer = http.call("POST", "/v1/write", None, &body).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        written += 1;
    }
    written
}

#[test]
fn a_node_that_stands_still_is_given_up_with_its_lease() {
    let mut nodes = Nodes::start(2);
    let namespace = nodes.namespace();
    let [first, other] = &mut nodes.nodes[..] else { unreachable!() };
    first.server.signal(Signal::STOP);
    let frozen = Instant::now();
    let url = other.server.url.clone();
    let keyed = {
        let namespace = namespace.clone();
        thread::spawn(move || {
            let address = url.strip_prefix("http://").unwrap().parse().unwrap();
            let mut http = testkit::rig::http::Caller::new(address, Duration::from_secs(30));
            let body =
                json!({"namespace": namespace, "request_id": "k", "commands": [create("k")]});
            http.call("POST", "/v1/write", None, &body).unwrap().status
        })
    };
    let answer = other.write(&namespace, None, &create("unknown"));
    let took = frozen.elapsed();
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"), "{answer:?}");
    assert!(String::from_utf8_lossy(&answer.body).contains("may or may not"), "{answer:?}");
    assert!(took < LEASE + SLACK, "it took {took:?}");
    assert_eq!(keyed.join().unwrap(), 200, "a write with a key is made sure of");
    let again = Instant::now();
    assert_eq!(other.write(&namespace, None, &create("next")).status, 200);
    assert!(again.elapsed() < SLACK, "the next write took {:?}", again.elapsed());
    let passed_on = other.passed_on();
    first.server.signal(Signal::CONT);
    super::until("writes are passed on again", || {
        assert_eq!(other.write(&namespace, None, &create("more")).status, 200);
        (other.passed_on() > passed_on).then_some(())
    });
}
