//! Engines on several nodes over one PostgreSQL.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use engine::{CacheOptions, Cached, Engine, clock_of};
use model::{
    AddUnits, Answer, Backend as _, Claim, Data, Datum, Dict, Namespace, NewUnit, Query,
    QueueCommand, Reply, SpecName, UnitMeta, UnitName, WorkerName, Write, limits,
};
use store::{Postgres, PostgresOptions, Store};
use testkit::cluster::{self, Cluster};
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
    engine.join(name.to_owned(), Box::new(|| vec![(Namespace::empty(), 7)]), None);
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

/// Asks a cluster with `psql`, in a database that no node uses.
fn ask(server: &Cluster, text: &str) -> String {
    let mut psql = server.command("psql").unwrap();
    let url = server.url();
    let (base, _) = url.rsplit_once('/').unwrap();
    psql.arg(format!("{base}/template1"));
    let output = psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "-c", text]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Counts every statement of a node that has nothing to do, `BEGIN` and `COMMIT` included, as
/// PostgreSQL counts them: one look a second renews the lease, looks at the history of what is in
/// memory and of where a claim waits, and tells the epoch of the catalog.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_node_asks_one_small_question_a_second() {
    let server =
        Cluster::start(&["fsync=off", "shared_preload_libraries=pg_stat_statements"]).unwrap();
    ask(&server, "CREATE EXTENSION pg_stat_statements");
    let one = node(&server.url(), "one");
    let cached = Cached::over(one.engine.clone(), CacheOptions::default());
    let following = tokio::spawn(cached.clone().follow());
    let driving = tokio::spawn(one.engine.clone().run_workflows());
    set_spec(&one).await;
    let waiting = one.engine.clone();
    let waiting =
        tokio::spawn(async move { waiting.write(claim("w", None, limits::WAIT_MAX)).await });
    let spec = model::SpecRef { name: SpecName::new("s").unwrap(), id: None };
    let read = Query::Spec(Namespace::empty(), spec);
    let lease = async || {
        let read = one.engine.read(Query::Nodes, 0).await.unwrap();
        let Answer::Nodes(nodes) = read.answer else { panic!("{read:?}") };
        nodes[0].lease
    };
    // Loads it, and starts to follow; the second time it is in memory.
    while cached.counts().hits == 0 {
        cached.read(read.clone(), 0).await.unwrap();
    }
    let before = lease().await;
    let counted = "SELECT coalesce(sum(calls), 0), coalesce(max(calls), 0), count(*),
            string_agg(left(query, 60), '; ')
        FROM pg_stat_statements JOIN pg_database ON oid = dbid WHERE datname = 'postgres'";
    const LOOKS: u64 = 5;
    let mut seen = String::new();
    // What was begun before may end in the first looks that are counted, and not in later ones.
    for _ in 0..5 {
        ask(&server, "SELECT pg_stat_statements_reset()");
        let start = Instant::now();
        let (all, looks, kinds) = loop {
            seen = ask(&server, counted);
            let numbers: Vec<u64> =
                seen.split('|').take(3).map(|number| number.parse().unwrap()).collect();
            if numbers[1] >= LOOKS {
                break (numbers[0], numbers[1], numbers[2]);
            }
        };
        assert!(start.elapsed() > Duration::from_millis(900) * (looks as u32 - 1), "{seen}");
        if all == looks {
            assert_eq!(kinds, 1, "{seen}");
            let hits = cached.counts().hits;
            cached.read(read, 0).await.unwrap();
            assert_eq!(cached.counts().hits, hits + 1, "what is in memory is still fresh");
            assert!(lease().await > before.plus(Duration::from_secs(LOOKS - 1)));
            for task in [following, driving] {
                task.abort();
            }
            waiting.abort();
            return;
        }
    }
    panic!("an idle node asks more than one question a second: {seen}");
}
