//! Blobs are kept while something refers to them, and go when nothing does.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use client::Lockstep;
use engine::Engine;
use model::{
    AddUnits, Answer, BlobAnswer, BlobCommand, BlobId, BlobQuery, Content, Data, Datum, Dict,
    Error, Namespace, NewUnit, Page, Query, QueueCommand, SetUnits, SpecName, SpecRef, UnitChange,
    UnitFilter, UnitMeta, UnitName, data_from_json,
};
use serde_json::json;
use store::{Memory, Postgres, PostgresOptions, Sqlite, SqliteOptions, Store};
use testkit::{ManualClock, cluster, rig::Random};
use tokio::task::JoinHandle;

const HOUR: Duration = Duration::from_secs(3_600);

/// A node that sweeps, over a store that outlives it.
struct Node {
    lockstep: Lockstep,
    due: JoinHandle<()>,
}

impl Node {
    fn new(store: &Arc<dyn Store>, clock: &Arc<ManualClock>) -> Self {
        let engine = Engine::new(Arc::clone(store), clock.clone());
        let due = tokio::spawn(engine.clone().run_due());
        Self { lockstep: Lockstep::new(engine, Namespace::empty()), due }
    }

    async fn ids(&self) -> Vec<BlobId> {
        let query = BlobQuery::Blobs(Page::default());
        match self.lockstep.ask(Query::Blobs(Namespace::empty(), query)).await {
            Ok(Answer::Blobs(BlobAnswer::Blobs(blobs))) => blobs.iter().map(|it| it.id).collect(),
            Err(Error::NoSuchNamespace(_)) => Vec::new(),
            other => panic!("a list answers {other:?}"),
        }
    }

    async fn set_spec(&self) {
        let dict = Dict::from([("name".to_owned(), Datum::Text("s".to_owned()))]);
        let data = Data::from_dict(&dict).unwrap();
        self.lockstep.command(QueueCommand::SetSpec { data }).await.unwrap();
    }

    /// Adds a unit, or replaces its data.
    async fn add(&self, unit: &str, data: Data) {
        let name = UnitName::new(unit.as_bytes()).unwrap();
        let unit = NewUnit { name, data, meta: UnitMeta::default(), delay: None };
        let add = AddUnits { spec: spec(), units: vec![unit] };
        self.lockstep.command(QueueCommand::AddUnits(add)).await.unwrap();
    }

    async fn delete(&self, names: Option<Vec<UnitName>>) {
        let filter = UnitFilter { names, ..UnitFilter::default() };
        let set = SetUnits { spec: spec(), filter, change: UnitChange::Delete };
        self.lockstep.command(QueueCommand::SetUnits(set)).await.unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.due.abort();
    }
}

fn spec() -> SpecRef {
    SpecRef { name: SpecName::new("s").unwrap(), id: None }
}

fn referring(id: BlobId) -> Data {
    data_from_json(&json!({"deep": [{"$blob": {"id": id.to_string(), "bytes": 3}}]})).unwrap()
}

fn content(number: usize) -> Vec<u8> {
    format!("content {number}").into_bytes()
}

/// Moves the clock on until only these blobs are left.
async fn until_left(node: &Node, clock: &ManualClock, left: &[BlobId]) {
    let mut expected = left.to_vec();
    expected.sort_unstable();
    for _ in 0..10_000 {
        if node.ids().await == expected {
            return;
        }
        clock.advance(Duration::from_secs(600));
        // Sleeps because what collects has threads of its own, and spinning would starve them.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("left are {:?}, and not {expected:?}", node.ids().await);
}

async fn what_is_referred_to_stays(store: Arc<dyn Store>) {
    let clock = Arc::new(ManualClock::new());
    let node = Node::new(&store, &clock);
    node.set_spec().await;
    let long = vec![7; (2 << 20) + 5];
    let kept = node.lockstep.put_blob("text/plain", &long).await.unwrap();
    let loose = node.lockstep.put_blob("text/plain", b"loose").await.unwrap();
    assert_eq!((kept.id, kept.bytes), (BlobId::of(&long), long.len() as u64));
    assert_eq!(node.lockstep.get_blob(kept.id).await.as_deref(), Ok(long.as_slice()));
    node.add("a", referring(kept.id)).await;
    until_left(&node, &clock, &[kept.id]).await;
    let gone = node.lockstep.blob(loose.id).await.unwrap_err();
    assert!(matches!(gone, Error::NoSuchBlob(_)), "{gone}");
    // It stays for as long as it is referred to, whoever does so.
    node.add("b", referring(kept.id)).await;
    node.add("a", Data::default()).await;
    for _ in 0..5 {
        clock.advance(HOUR * 25);
        assert_eq!(node.lockstep.get_blob(kept.id).await.as_deref(), Ok(long.as_slice()));
    }
    node.delete(None).await;
    until_left(&node, &clock, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_referred_to_stays_in_memory() {
    what_is_referred_to_stays(Arc::new(Memory::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_referred_to_stays_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { readers: 1, ..SqliteOptions::default() };
    let store = Sqlite::open(folder.path().join("lockstep.db"), options).unwrap();
    what_is_referred_to_stays(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_referred_to_stays_in_postgres() {
    let options = PostgresOptions { readers: 1, ..PostgresOptions::default() };
    what_is_referred_to_stays(Arc::new(Postgres::open(&cluster::url(), &options).unwrap())).await;
}

/// Sends a blob in three steps, after each of which the node may be gone.
async fn put_and_crash(
    node: &mut Node,
    (store, clock): (&Arc<dyn Store>, &Arc<ManualClock>),
    content: Vec<u8>,
    steps: usize,
) {
    let begin = BlobCommand::Begin { kind: "text/plain".to_owned() };
    let model::Reply::Id(upload) = node.lockstep.command(begin).await.unwrap() else { panic!() };
    if steps > 0 {
        let part = BlobCommand::Part { upload, at: 0, content: Content(content) };
        node.lockstep.command(part).await.unwrap();
    }
    if steps > 1 {
        node.lockstep.command(BlobCommand::Finish { upload }).await.unwrap();
    }
    *node = Node::new(store, clock);
}

async fn wander(seed: u64) {
    let (store, clock): (Arc<dyn Store>, _) = (Arc::new(Memory::new()), ManualClock::new());
    let clock = Arc::new(clock);
    let mut node = Node::new(&store, &clock);
    node.set_spec().await;
    let mut random = Random::new(seed);
    let mut units: BTreeMap<usize, (BlobId, Vec<u8>)> = BTreeMap::new();
    for _ in 0..60 {
        let (number, unit) = (random.below(4), random.below(5));
        match random.below(10) {
            0..3 => drop(node.lockstep.put_blob("text/plain", &content(number)).await.unwrap()),
            3 => {
                let steps = random.below(3);
                put_and_crash(&mut node, (&store, &clock), content(number), steps).await;
            }
            4..7 => {
                // Whoever refers to a blob has put it; that keeps it for a day.
                let content = content(number);
                let info = node.lockstep.put_blob("text/plain", &content).await.unwrap();
                node.add(&unit.to_string(), referring(info.id)).await;
                units.insert(unit, (info.id, content));
            }
            7 => {
                let name = UnitName::new(unit.to_string().as_bytes()).unwrap();
                node.delete(Some(vec![name])).await;
                units.remove(&unit);
            }
            _ => {
                clock.advance(HOUR * u32::try_from(1 + random.below(30)).unwrap());
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
            }
        }
        for (id, content) in units.values() {
            let got = node.lockstep.get_blob(*id).await;
            assert_eq!(got.as_deref(), Ok(content.as_slice()), "seed {seed}");
        }
    }
    let mut left: Vec<BlobId> = units.values().map(|(id, _)| *id).collect();
    left.sort_unstable();
    left.dedup();
    until_left(&node, &clock, &left).await;
    node.delete(None).await;
    until_left(&node, &clock, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_what_is_referred_to_is_there_and_all_else_goes() {
    for seed in 0..20 {
        wander(seed).await;
    }
}
