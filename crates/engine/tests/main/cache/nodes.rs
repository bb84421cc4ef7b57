//! Several nodes, writers that have gone, and what happens when the follower cannot follow.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use engine::{CacheOptions, Cached, Engine};
use model::{Answer, Backend as _, Error, Namespace, Query, QueueCommand, UnitStatus, Write};
use store::Memory;
use testkit::{ManualClock, request, seconds};
use tokio::task::yield_now;

use super::{Client, Kind, Node, slow::Slow, unit_query, value};
use crate::stores::Watched;

/// Takes one step of a future.
async fn step<F: Future + Unpin>(future: &mut F) {
    poll_fn(|context| {
        let _pending = std::pin::Pin::new(&mut *future).poll(context);
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn many_who_ask_for_one_name_load_it_once() {
    let node = Node::new(Kind::Ours);
    node.warm().await;
    node.here().plain_spec().await;
    node.here().add_data("a", 1).await;
    node.slow.hold(unit_query("a", None));
    let before = node.slow.loads();
    let asks: Vec<_> = (0..50)
        .map(|_| {
            let backend = node.backend.clone();
            tokio::spawn(async move { value(&Client(&*backend).unit("a").await.unwrap()) })
        })
        .collect();
    node.slow.held(1).await;
    for _ in 0..100 {
        yield_now().await;
    }
    node.slow.release();
    for ask in asks {
        assert_eq!(ask.await.unwrap(), 1);
    }
    assert_eq!(node.slow.loads() - before, 1);
}

/// A loader that is given up in the middle leaves nobody waiting.
#[tokio::test]
async fn a_loader_that_has_gone_wakes_those_who_joined() {
    let node = Node::new(Kind::Ours);
    node.warm().await;
    node.here().plain_spec().await;
    node.here().add_data("a", 1).await;
    node.slow.hold(unit_query("a", None));
    let mut first = Box::pin(node.here().unit("a"));
    step(&mut first).await;
    let mut second = Box::pin(node.here().unit("a"));
    step(&mut second).await;
    drop(first);
    node.slow.release();
    assert_eq!(value(&second.await.unwrap()), 1);
    assert_eq!(node.cached().counts().joiner_retries, 1);
    // The next one finds no load in flight that nobody runs.
    assert_eq!(value(&node.here().unit("a").await.unwrap()), 1);
}

/// What is not there is remembered as well, until it is there.
#[tokio::test]
async fn absence_is_kept_until_it_ends() {
    let node = Node::new(Kind::Ours);
    node.warm().await;
    node.here().plain_spec().await;
    let absent = Err(Error::NoSuchWorkUnit("a".to_owned()));
    assert_eq!(node.here().unit("a").await, absent);
    let loads = node.slow.loads();
    assert_eq!(node.here().unit("a").await, absent);
    assert_eq!(node.slow.loads(), loads);
    node.here().add_data("a", 1).await;
    assert_eq!(value(&node.here().unit("a").await.unwrap()), 1);
    node.here().delete_all().await;
    assert_eq!(node.here().unit("a").await, absent);
    node.elsewhere().add_data("a", 2).await;
    node.catch_up().await;
    assert_eq!(value(&node.here().unit("a").await.unwrap()), 2);
}

/// That the spec is missing says nothing of the unit once there is a spec.
#[tokio::test]
async fn the_absence_of_a_spec_is_not_that_of_a_unit() {
    let node = Node::new(Kind::Ours);
    node.warm().await;
    node.here().run(QueueCommand::CreateNamespace).await;
    assert_eq!(node.here().unit("a").await, Err(Error::NoSuchWorkSpec("spec".to_owned())));
    node.here().plain_spec().await;
    assert_eq!(node.here().unit("a").await, Err(Error::NoSuchWorkUnit("a".to_owned())));
}

/// A failing load inserts nothing, and its error is nobody else's answer.
#[tokio::test]
async fn errors_are_not_kept() {
    let node = Node::new(Kind::Ours);
    node.warm().await;
    node.here().plain_spec().await;
    node.here().add_data("a", 1).await;
    let error = Error::Unavailable("the store is away".to_owned());
    node.slow.fail(Some(error.clone()));
    assert_eq!(node.here().unit("a").await, Err(error));
    node.slow.fail(None);
    assert_eq!(value(&node.here().unit("a").await.unwrap()), 1);
}

/// Two caches over two engines of one store, as two nodes over one database.
fn two_nodes() -> (Arc<Cached>, Arc<Cached>) {
    let store = Arc::new(Memory::new());
    let clock = Arc::new(ManualClock::new());
    let node = || {
        let engine = Engine::new(store.clone(), clock.clone());
        Cached::over(engine, CacheOptions::default())
    };
    (node(), node())
}

#[tokio::test]
async fn nodes_hear_of_each_other() {
    let (one, two) = two_nodes();
    let (here, there) = (Client(&*one), Client(&*two));
    here.plain_spec().await;
    for round in 1..=20 {
        here.add_data("a", round).await;
        there.unit("a").await.unwrap();
        two.catch_up().await.unwrap();
        assert_eq!(value(&there.unit("a").await.unwrap()), round);
        there.add_data("a", 1_000 + round).await;
        one.catch_up().await.unwrap();
        assert_eq!(value(&here.unit("a").await.unwrap()), 1_000 + round);
    }
    assert!(one.counts().hits + two.counts().hits > 0);
}

/// The loop itself hears of others, by itself and at once when it is woken.
#[tokio::test(start_paused = true)]
async fn the_follower_needs_no_reader() {
    let (one, two) = two_nodes();
    let (here, there) = (Client(&*one), Client(&*two));
    tokio::spawn(two.clone().follow());
    here.plain_spec().await;
    here.add_data("a", 1).await;
    while value(&there.unit("a").await.unwrap()) != 1 {
        yield_now().await;
    }
    here.add_data("a", 2).await;
    two.hint().notify_one();
    // The clock of this test only moves when all others wait, and then to whoever is next.
    let start = tokio::time::Instant::now();
    while value(&there.unit("a").await.unwrap()) != 2 {
        // Sleeps because the follower pauses between two looks, and spinning would starve it.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

/// More events than one answer has room for are heard in one go.
#[tokio::test]
async fn a_long_history_is_caught_up_with() {
    let node = Node::new(Kind::Ours);
    node.warm().await;
    node.here().plain_spec().await;
    node.here().add_data("a", 0).await;
    node.here().unit("a").await.unwrap();
    for value in 1..=1_000 {
        node.elsewhere().add_data("b", value).await;
    }
    node.elsewhere().add_data("a", 7).await;
    node.catch_up().await;
    assert_eq!(value(&node.here().unit("a").await.unwrap()), 7);
}

/// A node that cannot hear of others gives nothing out from memory after a while, and says so
/// rather than something old.
#[tokio::test(start_paused = true)]
async fn what_was_not_confirmed_for_long_is_not_given_out() {
    let options = CacheOptions {
        follow_every: Duration::from_millis(1),
        fresh_max: Duration::from_millis(100),
        ..CacheOptions::default()
    };
    let node = Node::with(Kind::Ours, options);
    node.warm().await;
    node.here().plain_spec().await;
    node.here().add_data("a", 1).await;
    node.here().unit("a").await.unwrap();
    let following = tokio::spawn(node.cached.clone().unwrap().follow());
    let error = Error::Unavailable("the database is away".to_owned());
    node.slow.fail(Some(error.clone()));
    while node.here().unit("a").await.is_ok() {
        // Sleeps because time must pass until what is kept counts as old; this clock is not real.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(node.here().unit("a").await, Err(error));
    node.slow.fail(None);
    assert_eq!(value(&node.here().unit("a").await.unwrap()), 1);
    following.abort();
}

/// The commit of a writer who has gone is heard of by its own node at once.
#[tokio::test]
async fn a_writer_that_has_gone_leaves_nothing_old() {
    let store = Arc::new(Watched::default());
    let engine = Engine::new(store.clone(), Arc::new(ManualClock::new()));
    let cached = Cached::over(engine, CacheOptions::default());
    let client = Client(&*cached);
    client.plain_spec().await;
    client.add_data("a", 1).await;
    store.hold();
    let mut write = Box::pin(client.add_data("a", 2));
    step(&mut write).await;
    drop(write);
    // Read in between, so that the old value is in the cache when the commit comes.
    assert_eq!(value(&client.unit("a").await.unwrap()), 1);
    store.release();
    assert_eq!(value(&client.unit("a").await.unwrap()), 2);
}

/// Where the backend does not tell, nothing is kept of a namespace with a write that was given up,
/// and the follower brings what came of it.
#[tokio::test]
async fn a_write_without_an_answer_is_a_strangers_write() {
    let store = Arc::new(Watched::default());
    let clock = Arc::new(ManualClock::new());
    let engine = Engine::new(store.clone(), clock.clone());
    let slow = Slow::new(engine);
    let cached = Cached::with(slow.clone(), CacheOptions::default(), clock);
    let client = Client(&*cached);
    client.plain_spec().await;
    client.add_data("a", 1).await;
    client.unit("a").await.unwrap();
    store.hold();
    let mut write = Box::pin(client.add_data("a", 2));
    step(&mut write).await;
    drop(write);
    let loads = slow.loads();
    assert_eq!(value(&client.unit("a").await.unwrap()), 1);
    assert_eq!(slow.loads(), loads + 1, "what was kept is given up");
    store.release();
    cached.catch_up().await.unwrap();
    assert_eq!(value(&client.unit("a").await.unwrap()), 2);
}

/// A store that was put back to an earlier state makes what is kept void.
#[tokio::test]
async fn a_history_that_went_back_is_noticed() {
    let clock = Arc::new(ManualClock::new());
    let stores = [Memory::new(), Memory::new()].map(Arc::new);
    let [later, earlier] = stores.map(|store| Engine::new(store, clock.clone()));
    let switch = Switch::new(later.clone());
    let cached = Cached::with(switch.clone(), CacheOptions::default(), clock);
    let client = Client(&*cached);
    client.plain_spec().await;
    for value in 0..10 {
        client.add_data("a", value).await;
    }
    client.unit("a").await.unwrap();
    Client(&*earlier).plain_spec().await;
    Client(&*earlier).add_data("a", 77).await;
    switch.to(earlier);
    cached.catch_up().await.unwrap();
    assert_eq!(value(&client.unit("a").await.unwrap()), 77);
}

/// A backend that becomes another one.
struct Switch(std::sync::Mutex<Arc<Engine>>);

impl Switch {
    fn new(engine: Arc<Engine>) -> Arc<Self> {
        Arc::new(Self(std::sync::Mutex::new(engine)))
    }

    fn to(&self, engine: Arc<Engine>) {
        *self.0.lock().unwrap() = engine;
    }

    fn now(&self) -> Arc<Engine> {
        self.0.lock().unwrap().clone()
    }
}

impl model::Backend for Switch {
    fn write(&self, write: Write) -> model::BoxFuture<'_, model::Result<model::Committed>> {
        let engine = self.now();
        Box::pin(async move { engine.write(write).await })
    }

    fn read(
        &self,
        query: Query,
        at_least: u64,
    ) -> model::BoxFuture<'_, model::Result<model::Read>> {
        let engine = self.now();
        Box::pin(async move { engine.read(query, at_least).await })
    }

    fn events(
        &self,
        namespace: &Namespace,
        after: u64,
        limit: u16,
    ) -> model::BoxFuture<'_, model::Result<Vec<model::Event>>> {
        let (engine, namespace) = (self.now(), namespace.clone());
        Box::pin(async move { engine.events(&namespace, after, limit).await })
    }
}

/// What falls due is told to the node's own cache, so it knows the newest revision by itself.
#[tokio::test]
async fn what_falls_due_is_heard_of() {
    let clock = Arc::new(ManualClock::new());
    let engine = Engine::new(Arc::new(Memory::new()), clock.clone());
    let cached = Cached::over(engine, CacheOptions::default());
    let client = Client(&*cached);
    client.plain_spec().await;
    client.add("a").await;
    client.add("b").await;
    let claim = model::Claim { lifetime: Some(seconds(10)), ..request() };
    client.run(QueueCommand::Claim(claim)).await;
    // The first answer only says from where to follow, so it takes two to keep one.
    client.unit("b").await.unwrap();
    client.unit("b").await.unwrap();
    assert_eq!(client.spec().await.unwrap().counts.pending, 1);
    let before = cached.counts();
    assert_eq!(client.spec().await.unwrap().counts.pending, 1);
    assert_eq!(cached.counts().hits, before.hits + 1, "counts are kept until something is due");
    clock.advance(seconds(11));
    assert_eq!(client.unit("a").await.unwrap().status, UnitStatus::Available);
    assert_eq!(client.spec().await.unwrap().counts.available, 2);
    let newest = match client.ask(Query::Namespace(Namespace::empty())).await.unwrap() {
        Answer::Namespace(info) => info.revision,
        other => panic!("a namespace, not {other:?}"),
    };
    let hits = cached.counts().hits;
    assert_eq!(cached.read(unit_query("b", None), newest).await.unwrap().as_of, newest);
    assert_eq!(cached.counts().hits, hits + 1);
}

/// More namespaces than there is room for push each other out, and are still right.
#[tokio::test]
async fn namespaces_are_bounded() {
    let node = Node::with(Kind::Ours, CacheOptions { namespaces: 2, ..CacheOptions::default() });
    let names: Vec<_> = (0..5).map(|n| Namespace::new(format!("n{n}")).unwrap()).collect();
    let ask = async |namespace: &Namespace| {
        let worker = testkit::worker_name("w");
        node.backend.read(Query::Worker(namespace.clone(), worker), 0).await
    };
    for round in 0..3_u64 {
        for namespace in &names {
            let worker = testkit::worker_name("w");
            let update = model::UpdateWorker {
                worker,
                mode: format!("round {round}"),
                data: model::Data::default(),
                expiration: None,
                last_update: None,
            };
            let write = Write::one(namespace, QueueCommand::UpdateWorker(update));
            node.engine.write(write).await.unwrap();
        }
        node.catch_up().await;
        for namespace in names.iter().chain(&names) {
            match ask(namespace).await.unwrap().answer {
                Answer::Worker(worker) => assert_eq!(worker.mode, format!("round {round}")),
                other => panic!("a worker, not {other:?}"),
            }
        }
    }
}
