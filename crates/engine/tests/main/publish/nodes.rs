//! Publishing among several nodes over one PostgreSQL.

use std::{sync::Arc, time::Duration};

use engine::{CacheOptions, Cached, Engine, clock_of};
use model::{
    Answer, Backend, DefinitionAnswer, DefinitionQuery, Namespace, Publish, Published, Query,
    Reply, Terms, Until, Write,
};
use store::{Postgres, PostgresOptions, Store};
use testkit::cluster;
use tokio::{task::JoinHandle, time::Instant};

struct Node {
    engine: Arc<Engine>,
    cached: Arc<Cached>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Node {
    fn start(url: &str, name: &str) -> Self {
        let options = PostgresOptions { readers: 1, ..PostgresOptions::default() };
        let store: Arc<dyn Store> = Arc::new(Postgres::open(url, &options).unwrap());
        let clock = clock_of(&store);
        let engine = Engine::new(store, clock);
        let cached = Cached::over(engine.clone(), CacheOptions::default());
        let tells = cached.clone();
        engine.join(name.to_owned(), Box::new(move || tells.positions()), None);
        let tasks = vec![
            tokio::spawn(cached.clone().follow()),
            tokio::spawn(engine.clone().run_due()),
            tokio::spawn(engine.clone().run_workflows()),
        ];
        Self { engine, cached, tasks }
    }

    /// Lets the node do nothing more, as if it were frozen; its cache still answers who asks.
    fn stop(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    async fn publish(&self, version: u64, until: Until) -> Published {
        let source = format!(
            "document: {{dsl: '1.0.3', namespace: x, name: a, version: '1.{version}.0'}}\n\
             schedule: {{every: PT5M}}\ndo: [{{x: {{set: {{a: 1}}}}}}]\n"
        );
        let terms = Terms { until, ..Terms::default() };
        let publish = Publish { source, base: None, terms };
        let command = model::DefinitionCommand::Publish(publish);
        let committed = self.cached.write(Write::one(&namespace(), command)).await.unwrap();
        match committed.replies.into_iter().next() {
            Some(Reply::Definition(published)) => published,
            other => panic!("{other:?}"),
        }
    }

    async fn revision(&self) -> u64 {
        let query = Query::Definitions(namespace(), DefinitionQuery::One("a".to_owned()));
        match self.cached.read(query, 0).await.map(|read| read.answer) {
            Ok(Answer::Definitions(DefinitionAnswer::Definition(definition))) => {
                definition.revision
            }
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the node answers from memory.
    async fn warm(&self) {
        let before = self.cached.counts().hits;
        while self.cached.counts().hits == before {
            self.revision().await;
            tokio::task::yield_now().await;
        }
    }
}

fn namespace() -> Namespace {
    Namespace::new("x").unwrap()
}

/// H4, H13 and H14 of the design: whatever messages are lost or come late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_h13_h14_no_node_answers_from_before_what_is_effective() {
    let url = cluster::url();
    let nodes = [Node::start(&url, "a"), Node::start(&url, "b"), Node::start(&url, "c")];
    nodes[0].publish(1, Until::Effective).await;
    for node in &nodes {
        node.warm().await;
    }
    for version in 2..=30 {
        let by = &nodes[version as usize % 3];
        let published = by.publish(version, Until::Effective).await;
        assert_ne!(published.state, "committed");
        // The first answer is loaded, the others may come from memory.
        for node in nodes.iter().cycle().take(9) {
            assert_eq!(node.revision().await, published.revision);
        }
    }
    let hits: u64 = nodes.iter().map(|node| node.cached.counts().hits).sum();
    assert!(hits > 30, "they answer from memory all the while: {hits}");
}

/// I12: a node that stands still is waited for until its lease is over, and gives out nothing from
/// memory from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stands_still_is_given_up_and_gives_up() {
    let url = cluster::url();
    let (one, frozen) = (Node::start(&url, "one"), Node::start(&url, "frozen"));
    one.publish(1, Until::Effective).await;
    frozen.warm().await;
    one.warm().await;
    frozen.stop();
    let start = Instant::now();
    let published = one.publish(2, Until::Effective).await;
    assert_ne!(published.state, "committed");
    assert!(start.elapsed() < Duration::from_secs(6), "no longer than its lease");
    assert_eq!(frozen.revision().await, published.revision, "it reads what is there");
    drop(frozen);
    // Nobody waits for it a second time.
    let start = Instant::now();
    one.publish(3, Until::Effective).await;
    assert!(start.elapsed() < Duration::from_secs(2));
}

/// A run whose publisher goes away after the commit is finished by another node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_finishes_what_is_left() {
    let url = cluster::url();
    let (gone, other) = (Node::start(&url, "gone"), Node::start(&url, "other"));
    gone.stop();
    let published = gone.publish(1, Until::Committed).await;
    assert_eq!(published.state, "committed");
    drop(gone);
    loop {
        let query = Query::Definitions(namespace(), DefinitionQuery::Run(published.run));
        let read = other.engine.read(query, 0).await.unwrap();
        let Answer::Definitions(DefinitionAnswer::Runs(runs)) = read.answer else {
            panic!("{read:?}");
        };
        if runs[0].state == "settled" {
            return;
        }
        // Sleeps because its lease of 15 s has to be over by the clock of the database.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A namespace that is destroyed takes its definitions with it, on every node at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_destroyed_is_gone_on_every_node() {
    let url = cluster::url();
    let nodes = [Node::start(&url, "a"), Node::start(&url, "b"), Node::start(&url, "c")];
    for round in 0..6 {
        nodes[round % 3].publish(1, Until::Effective).await;
        for node in &nodes {
            node.warm().await;
        }
        let destroy = Write::one(&namespace(), model::QueueCommand::DestroyNamespace);
        nodes[(round + 1) % 3].cached.write(destroy).await.unwrap();
        for node in nodes.iter().cycle().take(9) {
            let query = Query::Definitions(namespace(), DefinitionQuery::One("a".to_owned()));
            let read = node.cached.read(query, 0).await;
            assert!(matches!(read, Err(model::Error::NoSuchNamespace(_))), "{read:?}");
            let start = model::Start {
                definition: "a".to_owned(),
                input: serde_json::Value::Null,
                traceparent: None,
            };
            let start = Write::one(&namespace(), model::InstanceCommand::Start(start));
            let started = node.cached.write(start).await;
            assert!(matches!(started, Err(model::Error::NoSuchDefinition(_))), "{started:?}");
        }
    }
    // The catalog tells of it, so that its epochs are in the order of all changes.
    nodes[0].publish(1, Until::Effective).await;
    let query = Query::Definitions(namespace(), DefinitionQuery::Changes(model::Page::default()));
    let read = nodes[0].engine.read(query, 0).await.unwrap();
    let Answer::Definitions(DefinitionAnswer::Changes(changes)) = read.answer else {
        panic!("{read:?}");
    };
    let operations: Vec<_> = changes.iter().map(|change| change.operation.as_str()).collect();
    let expected: Vec<_> = ["publish", "destroy"].into_iter().cycle().take(13).collect();
    assert_eq!(operations, expected);
}
