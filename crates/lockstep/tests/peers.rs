//! Nodes that pass writes on to each other, over a real PostgreSQL.

mod fault;
mod refused;
mod waiting;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{
    cluster,
    rig::http::{Answer, Caller},
};

use crate::support::{Server, lockstep, run, until};

/// How long a node counts as alive after it was last heard of.
const LEASE: Duration = Duration::from_secs(3);

/// Nodes over a database of their own.
pub struct Nodes {
    pub url: String,
    pub nodes: Vec<Node>,
}

/// A node, and the way to it.
pub struct Node {
    pub server: Server,
    caller: Caller,
}

impl Node {
    fn start(url: &str, peer_url: &str, token: Option<&str>) -> Self {
        let flags = ["--store", url, "--rpc", "off", "--peer-url", peer_url];
        let more: &[&str] = if token.is_some() { &["--require-token"] } else { &[] };
        let home = tempfile::tempdir().unwrap();
        let server = Server::start_with(home, &[&flags, more].concat());
        let address = server.url.strip_prefix("http://").unwrap().parse().unwrap();
        let caller = Caller::new(address, Duration::from_secs(60)).with_token(token);
        Self { server, caller }
    }

    /// Calls it.
    pub fn call(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        self.caller.call(method, path, None, body).unwrap()
    }

    /// Makes commands in a namespace.
    pub fn write(&mut self, namespace: &str, key: Option<&str>, command: &Value) -> Answer {
        let body = json!({"namespace": namespace, "request_id": key, "commands": [command]});
        self.call("POST", "/v1/write", &body)
    }

    /// Sets the spec `s`.
    pub fn set_spec(&mut self, namespace: &str) {
        let path = format!("/namespace/{namespace}/work_spec");
        let answer = self.call("POST", &path, &json!({"data": {"name": "s"}}));
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Adds a unit of it, or replaces it.
    pub fn add(&mut self, namespace: &str, name: &str, value: u64) -> Answer {
        let path = format!("/namespace/{namespace}/work_spec/s/work_unit");
        self.call("POST", &path, &json!({"name": name, "data": {"value": value}}))
    }

    /// Reads what such a unit holds.
    pub fn value(&mut self, namespace: &str, name: &str) -> u64 {
        let path = format!("/namespace/{namespace}/work_spec/s/work_unit/{name}");
        let answer = self.call("GET", &path, &Value::Null);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["data"]["value"].as_u64().unwrap()
    }

    /// Gives what stands behind such a beginning in its metrics; nothing is 0.
    pub fn metric(&mut self, begins: &str) -> u64 {
        let answer = self.call("GET", "/metrics", &Value::Null);
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = String::from_utf8(answer.body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(begins));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Gives how many writes it has passed on that were done.
    pub fn passed_on(&mut self) -> u64 {
        self.metric("lockstep_passed_on_total{outcome=\"done\"} ")
    }
}

impl Nodes {
    /// Starts nodes that let everybody on this machine in, and waits until they know each other.
    pub fn start(count: usize) -> Self {
        Self::start_over(cluster::url(), count, None)
    }

    fn start_over(url: String, count: usize, token: Option<&str>) -> Self {
        let node = |_| Node::start(&url, "http://127.0.0.1:0", token);
        let mut nodes: Vec<Node> = (0..count).map(node).collect();
        for node in &mut nodes {
            until("nodes know each other", || {
                let known = node.metric("lockstep_peers ");
                (known == count as u64 - 1).then_some(())
            });
        }
        Self { url, nodes }
    }

    /// Finds a namespace in which the first node writes, and sets a spec in it.
    pub fn namespace(&mut self) -> String {
        let route = "method=\"POST\",route=\"/v1/peer/write\",status=\"200\"";
        let taken = format!("lockstep_http_request_seconds_count{{{route}}} ");
        // Of so many some are the first node's, unless nothing is passed on.
        for number in 0..100 {
            let name = format!("n{number}");
            let before = self.nodes[0].metric(&taken);
            self.nodes[1].set_spec(&name);
            if self.nodes[0].metric(&taken) > before {
                return name;
            }
        }
        panic!("nothing is passed on");
    }
}

#[test]
fn what_was_written_elsewhere_is_read_at_once_where_it_came_in() {
    let mut nodes = Nodes::start(2);
    let namespace = nodes.namespace();
    let [_, other] = &mut nodes.nodes[..] else { unreachable!() };
    let before = other.passed_on();
    let rounds = 200;
    for value in 0..rounds {
        assert_eq!(other.add(&namespace, "u", value).status, 201);
        assert_eq!(other.value(&namespace, "u"), value, "an old value from the cache");
        assert_eq!(other.value(&namespace, "u"), value, "an old value from the cache");
    }
    assert_eq!(other.passed_on(), before + rounds);
    assert!(other.metric("lockstep_cache_hits_total ") > 0, "nothing came from the cache");
}

#[test]
fn what_falls_due_is_done_before_a_read_where_it_came_in() {
    // Nodes ask the database for the time now and then, and reckon in between.
    let (lease, slack) = (Duration::from_millis(300), Duration::from_millis(50));
    let mut nodes = Nodes::start(2);
    let namespace = nodes.namespace();
    let [first, other] = &mut nodes.nodes[..] else { unreachable!() };
    for number in 0..5 {
        let name = format!("u{number}");
        assert_eq!(other.add(&namespace, &name, number).status, 201);
        let path = format!("/namespace/{namespace}/worker/w/request_attempts");
        let asked = json!({"lifetime": lease.as_nanos() as u64});
        let answer = other.call("POST", &path, &asked);
        assert_eq!(answer.json()["attempts"].as_array().unwrap().len(), 1, "{answer:?}");
        // Nobody but the node that is asked does what falls due.
        first.server.signal(rustix::process::Signal::STOP);
        let claimed = Instant::now();
        let unit = format!("/namespace/{namespace}/work_spec/s/work_unit/{name}");
        loop {
            let held = claimed.elapsed();
            if other.call("GET", &unit, &Value::Null).json()["status"] == "available" {
                break;
            }
            assert!(held < lease + slack, "pending {held:?} after the claim");
        }
        first.server.signal(rustix::process::Signal::CONT);
        assert_eq!(other.call("DELETE", &unit, &Value::Null).status, 204);
    }
}

#[test]
fn the_audit_log_names_who_called_the_first_node() {
    let url = cluster::url();
    let home = tempfile::tempdir().unwrap();
    let create = ["token", "create", "--all-namespaces", "--scope", "*", "--store", &url, "--json"];
    let token = run(&mut lockstep(home.path()), &create).with_code(0).json();
    let (id, secret) = (token["id"].as_str().unwrap(), token["token"].as_str().unwrap());
    let mut nodes = Nodes::start_over(url, 2, Some(secret));
    let namespace = nodes.namespace();
    let answer = nodes.nodes[1].call("GET", &format!("/audit?namespace={namespace}"), &Value::Null);
    let rows = answer.json()["rows"].clone();
    assert!(rows.as_array().is_some_and(|rows| !rows.is_empty()), "{answer:?}");
    assert!(rows.as_array().unwrap().iter().all(|row| row["actor"] == id), "{rows}");
    // A token opens every door but the one for nodes.
    let write = json!([{"namespace": namespace, "commands": []}]);
    assert_eq!(nodes.nodes[0].call("POST", "/v1/peer/write", &write).status, 401);
}

#[test]
fn a_node_that_ends_in_good_order_takes_no_write_with_it() {
    let mut nodes = Nodes::start(2);
    let namespace = nodes.namespace();
    let mut other = nodes.nodes.pop().unwrap();
    let first = nodes.nodes.pop().unwrap();
    let ended = std::thread::spawn(move || first.server.terminate().0);
    let mut value = 0;
    while !ended.is_finished() {
        value += 1;
        let answer = other.add(&namespace, "u", value);
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    assert!(ended.join().unwrap().success());
    assert_eq!(other.value(&namespace, "u"), value);
    assert_eq!(other.metric("lockstep_passed_on_total{outcome=\"unknown\"} "), 0);
}
