//! Engines on several nodes over one PostgreSQL.

use std::{sync::Arc, time::Duration};

use engine::{Engine, clock_of};
use model::{
    AddUnits, Answer, Backend as _, Claim, Data, Datum, Dict, Namespace, NewUnit, Query,
    QueueCommand, Reply, SpecName, UnitMeta, UnitName, WorkerName, Write, limits,
};
use store::{Postgres, PostgresOptions, Store};
use testkit::cluster;
use tokio::task::{JoinHandle, JoinSet};

struct Node {
    engine: Arc<Engine>,
    due: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.due.abort();
    }
}

/// Starts a node.
fn node(url: &str, name: &str) -> Node {
    let options = PostgresOptions { readers: 1, ..PostgresOptions::default() };
    let store: Arc<dyn Store> = Arc::new(Postgres::open(url, &options).unwrap());
    let clock = clock_of(&store);
    let engine = Engine::new(store, clock);
    engine.join(name.to_owned(), Box::new(|| vec![(Namespace::empty(), 7)]));
    Node { due: tokio::spawn(engine.clone().run_due()), engine }
}

async fn write(node: &Node, command: QueueCommand) -> Reply {
    let committed = node.engine.write(Write::one(&Namespace::empty(), command)).await.unwrap();
    committed.replies.into_iter().next().unwrap()
}

async fn set_spec(node: &Node) {
    let dict = Dict::from([("name".to_owned(), Datum::Text("s".to_owned()))]);
    write(node, QueueCommand::SetSpec { data: Data::from_dict(&dict).unwrap() }).await;
}

async fn add(node: &Node, unit: &str) {
    let unit = NewUnit {
        name: UnitName::new(unit.as_bytes()).unwrap(),
        data: Data::default(),
        meta: UnitMeta::default(),
        delay: None,
    };
    let spec = model::SpecRef { name: SpecName::new("s").unwrap(), id: None };
    write(node, QueueCommand::AddUnits(AddUnits { spec, units: vec![unit] })).await;
}

fn claim(worker: &str, lifetime: Option<Duration>, wait: Duration) -> Write {
    let claim = Claim {
        worker: WorkerName::new(worker).unwrap(),
        count: 1,
        specs: Vec::new(),
        runtimes: Vec::new(),
        available_gb: None,
        lifetime,
    };
    Write { wait, ..Write::one(&Namespace::empty(), QueueCommand::Claim(claim)) }
}

fn got(replies: &[Reply]) -> usize {
    match replies {
        [Reply::Attempts(attempts)] => attempts.len(),
        other => panic!("attempts, not {other:?}"),
    }
}

#[tokio::test]
async fn a_claim_that_waits_hears_of_units_that_another_node_adds() {
    let url = cluster::url();
    let (one, other) = (node(&url, "one"), node(&url, "other"));
    set_spec(&one).await;
    let waiting = other.engine.clone();
    let waiting =
        tokio::spawn(
            async move { waiting.write(claim("w", None, limits::WAIT_MAX)).await.unwrap() },
        );
    add(&one, "a").await;
    assert_eq!(got(&waiting.await.unwrap().replies), 1);
}

#[tokio::test]
async fn one_unit_is_claimed_once_however_many_wait_on_however_many_nodes() {
    let url = cluster::url();
    let nodes = [node(&url, "a"), node(&url, "b"), node(&url, "c")];
    set_spec(&nodes[0]).await;
    let mut waiting = JoinSet::new();
    for number in 0..60 {
        let engine = nodes[number % 3].engine.clone();
        let write = claim(&format!("w{number}"), None, limits::WAIT_MAX);
        waiting.spawn(async move { got(&engine.write(write).await.unwrap().replies) });
    }
    for number in 0..10 {
        add(&nodes[number % 3], &format!("u{number}")).await;
    }
    for _ in 0..10 {
        assert_eq!(waiting.join_next().await.unwrap().unwrap(), 1);
    }
    assert_eq!(waiting.len(), 50, "the others still wait");
}

#[tokio::test]
async fn the_lease_of_a_node_that_has_gone_ends_on_another() {
    let url = cluster::url();
    let (gone, other) = (node(&url, "gone"), node(&url, "other"));
    set_spec(&gone).await;
    add(&gone, "a").await;
    let second = Some(Duration::from_secs(1));
    let first = gone.engine.write(claim("w", second, Duration::ZERO)).await.unwrap();
    assert_eq!(got(&first.replies), 1);
    drop(gone);
    let again = other.engine.write(claim("w", None, limits::WAIT_MAX)).await.unwrap();
    assert_eq!(got(&again.replies), 1);
}

#[tokio::test]
async fn nodes_know_of_each_other() {
    let url = cluster::url();
    let (one, other) = (node(&url, "one"), node(&url, "other"));
    let names = async |node: &Node| {
        let read = node.engine.read(Query::Nodes, 0).await.unwrap();
        let Answer::Nodes(nodes) = read.answer else { panic!("{read:?}") };
        for node in &nodes {
            assert_eq!(node.applied, [(Namespace::empty(), 7)]);
            assert!(node.lease > node.started);
        }
        nodes.into_iter().map(|node| node.name).collect::<Vec<_>>()
    };
    while names(&one).await != ["one", "other"] {}
    other.due.abort();
    other.engine.leave().await.unwrap();
    assert_eq!(names(&one).await, ["one"]);
}
