//! Who is not let in as a node, and what happens where a peer is not what it says.

use serde_json::{Value, json};
use testkit::rig::http::{Answer, Caller};

use super::{Node, Nodes};
use crate::support::{Server, lockstep, run};

/// Gives the secrets of the nodes over a database, by their URLs.
fn secrets(url: &str) -> Vec<(String, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (base, schema) = url.split_once("?schema=").unwrap();
    let rows = runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(base, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.query(&format!("SELECT body FROM {schema}.node"), &[]).await.unwrap()
    });
    let of_body = |body: Vec<u8>| {
        let text = String::from_utf8_lossy(&body).into_owned();
        let at = text.find("http://").unwrap();
        let end = text[at..].find(|c: char| !c.is_ascii() || c == 'x' || c.is_control());
        let url = text[at..end.map_or(text.len(), |end| at + end)].to_owned();
        let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        let secret = text.split(|c| !is_hex(c)).rfind(|run| run.len() >= 64).unwrap();
        (url, secret[secret.len() - 64..].to_owned())
    };
    rows.iter().map(|row| of_body(row.get(0))).collect()
}

fn call(node: &Node, bearer: Option<&str>) -> Answer {
    let address = node.server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let caller = Caller::new(address, std::time::Duration::from_secs(10));
    let command = json!({"queue": {"create_worker": {"worker": "w"}}});
    let body = json!([{"namespace": "p", "commands": [command]}]);
    caller.with_token(bearer).call("POST", "/v1/peer/write", None, &body).unwrap()
}

#[test]
fn only_the_secret_of_a_node_opens_its_door_and_nobody_is_shown_it() {
    let mut nodes = Nodes::start(2);
    let secrets = secrets(&nodes.url);
    assert_eq!(secrets.len(), 2, "{secrets:?}");
    for node in &nodes.nodes {
        let (own, others): (Vec<_>, Vec<_>) =
            secrets.iter().partition(|(url, _)| url.starts_with(&node.server.url));
        assert_eq!((own.len(), others.len()), (1, 1), "{secrets:?}");
        for wrong in [None, Some("lk_a_b"), Some(&*others[0].1), Some(&own[0].1[..63])] {
            let answer = call(node, wrong);
            assert_eq!((answer.status, &*answer.code()), (401, "unauthenticated"), "{answer:?}");
        }
        let answer = call(node, Some(&own[0].1));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.json()[0]["committed"]["next_due"].is_string(), "{answer:?}");
    }
    let home = tempfile::tempdir().unwrap();
    let export = ["export", "--store", &nodes.url];
    let mut shown = run(&mut lockstep(home.path()), &export).with_code(0).out;
    for path in ["/node", "/metrics", "/ui/nodes", "/openapi.json"] {
        let answer = nodes.nodes[0].call("GET", path, &Value::Null);
        shown += &String::from_utf8_lossy(&answer.body);
    }
    shown += &nodes.nodes[0].server.run(&["node", "list"]).with_code(0).out;
    let url = nodes.nodes[0].server.url.clone();
    for node in nodes.nodes {
        shown += &node.server.terminate().1.concat();
    }
    assert!(shown.contains(&url), "the URL of a peer is shown");
    assert!(secrets.iter().all(|(_, secret)| !shown.contains(secret.as_str())), "{shown}");
}

#[test]
fn where_a_peer_is_somebody_else_writes_are_made_where_they_come_in() {
    let mut nodes = Nodes::start(1);
    let stranger = Server::start();
    // One says that it is where a server of another store is, the other that it is the first one.
    let urls =
        [stranger.url.clone(), nodes.nodes[0].server.url.clone(), "http://127.0.0.1:1".into()];
    let liars: Vec<Node> = urls.iter().map(|url| Node::start(&nodes.url, url, None)).collect();
    let first = &mut nodes.nodes[0];
    for _ in &liars {
        first.server.line_with("nothing is passed on to a peer");
    }
    for number in 0..100 {
        first.set_spec(&format!("n{number}"));
        assert_eq!(first.add(&format!("n{number}"), "u", number).status, 201);
        assert_eq!(first.value(&format!("n{number}"), "u"), number);
    }
    for outcome in ["done", "unknown"] {
        let begins = format!("lockstep_passed_on_total{{outcome=\"{outcome}\"}} ");
        assert_eq!(first.metric(&begins), 0, "{outcome}");
    }
    drop(liars);
}

#[test]
fn a_store_for_one_node_takes_no_peers() {
    let home = tempfile::tempdir().unwrap();
    for (args, says) in [
        (["--store", "memory", "--peer-url", "http://127.0.0.1:0"], "share a PostgreSQL"),
        (["--store", "memory", "--peer-url", "127.0.0.1:0"], "not a URL at which other nodes"),
        (["--store", "memory", "--peer-url", "http://me:pw@a:1"], "not a URL at which other nodes"),
    ] {
        let args = [&["serve", "--listen", "127.0.0.1:0", "--rpc", "off"][..], &args].concat();
        let said = run(&mut lockstep(home.path()), &args).with_code(2);
        assert!(said.err.contains(says), "{said:?}");
    }
}
