//! Claims that wait for work.

use std::{sync::Arc, time::Duration};

use engine::{Clock as _, Engine};
use model::{
    AddUnits, Answer, Attempt, Backend as _, Claim, Data, Datum, Dict, Namespace, NewUnit, Query,
    QueueCommand, Reply, SpecName, SpecRef, UnitMeta, UnitName, UnitRef, UnitStatus, WorkerName,
    Write,
};
use testkit::ManualClock;
use tokio::task::{JoinHandle, yield_now};

use crate::stores::Watched;

struct World {
    engine: Arc<Engine>,
    store: Arc<Watched>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(Watched::default());
        let clock = Arc::new(ManualClock::new());
        let engine = Engine::new(store.clone(), clock.clone());
        Self { engine, store, clock }
    }

    async fn write(&self, command: QueueCommand) -> Reply {
        let committed = self.engine.write(Write::one(&Namespace::empty(), command)).await.unwrap();
        committed.replies.into_iter().next().unwrap()
    }

    async fn set_spec(&self, name: &str, keys: &[(&str, Datum)]) {
        let mut dict = Dict::from([("name".to_owned(), Datum::Text(name.to_owned()))]);
        dict.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.write(QueueCommand::SetSpec { data: Data::from_dict(&dict).unwrap() }).await;
    }

    async fn add(&self, unit: &str, delay: Option<Duration>) {
        let unit = NewUnit {
            name: UnitName::new(unit.as_bytes()).unwrap(),
            data: Data::default(),
            meta: UnitMeta::default(),
            delay,
        };
        self.write(QueueCommand::AddUnits(AddUnits { spec: spec(), units: vec![unit] })).await;
    }

    async fn status(&self, unit: &str) -> UnitStatus {
        let name = UnitName::new(unit.as_bytes()).unwrap();
        let unit = UnitRef { spec: spec().name, name, id: None };
        let query = Query::Unit(Namespace::empty(), unit);
        match self.engine.read(query, 0).await.unwrap().answer {
            Answer::Unit(unit) => unit.status,
            other => panic!("a unit, not {other:?}"),
        }
    }

    /// Starts a claim that waits, and returns when it does so.
    async fn waiting(&self, write: Write) -> JoinHandle<Vec<Attempt>> {
        let engine = Arc::clone(&self.engine);
        let claim = tokio::spawn(async move {
            let committed = engine.write(write).await.unwrap();
            match committed.replies.into_iter().next_back().unwrap() {
                Reply::Attempts(attempts) => attempts,
                other => panic!("attempts, not {other:?}"),
            }
        });
        // The memory store answers at once, so one turn takes the claim to where it waits.
        yield_now().await;
        claim
    }
}

fn spec() -> SpecRef {
    SpecRef { name: SpecName::new("spec").unwrap(), id: None }
}

fn claim(worker: &str, wait: Duration) -> Write {
    let claim = Claim {
        worker: WorkerName::new(worker).unwrap(),
        specs: Vec::new(),
        runtimes: Vec::new(),
        count: 1,
        lifetime: None,
        available_gb: None,
    };
    Write { wait, ..Write::one(&Namespace::empty(), QueueCommand::Claim(claim)) }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_added_unit_goes_to_who_waits() {
    let world = World::new();
    world.set_spec("spec", &[]).await;
    let claim = world.waiting(claim("w", MINUTE)).await;
    assert!(!claim.is_finished());
    world.add("unit", None).await;
    assert_eq!(claim.await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_unit_wakes_one_of_many() {
    let world = World::new();
    world.set_spec("spec", &[]).await;
    let mut claims = Vec::new();
    for worker in 0..200 {
        claims.push(world.waiting(claim(&format!("w{worker}"), MINUTE)).await);
    }
    let before = world.store.writes();
    world.add("unit", None).await;
    for _ in 0..1_000 {
        yield_now().await;
    }
    assert_eq!(claims.iter().filter(|claim| claim.is_finished()).count(), 1);
    // The add, and the claim of the one that was woken.
    assert_eq!(world.store.writes() - before, 2);
}

#[tokio::test]
async fn who_leaves_when_woken_wakes_the_next() {
    let world = World::new();
    world.set_spec("spec", &[]).await;
    let first = world.waiting(claim("w1", MINUTE)).await;
    let second = world.waiting(claim("w2", MINUTE)).await;
    world.add("unit", None).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(second.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_claim_gives_up_at_its_deadline() {
    let world = World::new();
    world.set_spec("spec", &[]).await;
    let claim = world.waiting(claim("w", Duration::from_secs(5))).await;
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(claim.await.unwrap(), []);
}

#[tokio::test]
async fn a_delayed_unit_goes_to_who_waits_in_its_time() {
    let world = World::new();
    world.set_spec("spec", &[]).await;
    tokio::spawn(Arc::clone(&world.engine).run_due());
    world.add("unit", Some(Duration::from_secs(30))).await;
    let claim = world.waiting(claim("w", MINUTE)).await;
    assert_eq!(world.status("unit").await, UnitStatus::Delayed);
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(claim.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_continuous_spec_goes_to_who_waits_in_its_time() {
    let world = World::new();
    let keys = [("continuous", Datum::Bool(true)), ("interval", Datum::Int(30))];
    world.set_spec("spec", &keys).await;
    tokio::spawn(Arc::clone(&world.engine).run_due());
    let first = world.waiting(claim("w", MINUTE)).await.await.unwrap();
    let started = world.clock.now();
    let change = model::AttemptChange {
        attempt: first[0].as_ref(),
        token: None,
        data: None,
        change: model::Change::Finish,
    };
    let changes = vec![change];
    world.write(QueueCommand::ChangeAttempts(model::ChangeAttempts { changes })).await;
    let second = world.waiting(claim("w", MINUTE)).await;
    assert!(!second.is_finished());
    world.clock.advance(Duration::from_secs(30));
    let second = second.await.unwrap();
    assert_eq!(second[0].start.since(started), Duration::from_secs(30));
}

#[tokio::test]
async fn a_claimer_that_has_gone_keeps_nothing() {
    let world = World::new();
    world.set_spec("spec", &[]).await;
    world.add("unit", None).await;
    world.store.hold();
    let claim = world.waiting(claim("w", Duration::ZERO)).await;
    claim.abort();
    assert!(claim.await.unwrap_err().is_cancelled());
    world.store.release();
    assert_eq!(world.status("unit").await, UnitStatus::Available);
}

/// Makes a write under a key that adds a unit to another spec and claims from the first.
fn add_and_claim(wait: Duration) -> Write {
    let unit = NewUnit {
        name: UnitName::new(*b"beside").unwrap(),
        data: Data::default(),
        meta: UnitMeta::default(),
        delay: None,
    };
    let other = SpecRef { name: SpecName::new("other").unwrap(), id: None };
    let add = QueueCommand::AddUnits(AddUnits { spec: other, units: vec![unit] });
    let only = Claim {
        worker: WorkerName::new("w").unwrap(),
        specs: vec![spec().name],
        runtimes: Vec::new(),
        count: 1,
        lifetime: None,
        available_gb: None,
    };
    let commands = vec![add.into(), QueueCommand::Claim(only).into()];
    let write = Write::one(&Namespace::empty(), QueueCommand::CreateNamespace);
    Write { request_id: Some("key".to_owned()), commands, wait, ..write }
}

#[tokio::test]
async fn a_retry_that_does_not_wait_gets_what_the_first_try_waited_for() {
    let alone = |wait| Write { request_id: Some("key".to_owned()), ..claim("w", wait) };
    for write in [add_and_claim, alone as fn(Duration) -> Write] {
        let world = World::new();
        world.set_spec("spec", &[]).await;
        world.set_spec("other", &[("weight", Datum::Int(1))]).await;
        let first = world.waiting(write(MINUTE)).await;
        world.add("one", None).await;
        let first = first.await.unwrap();
        assert_eq!(first.len(), 1);
        world.add("two", None).await;
        let again = world.waiting(write(Duration::ZERO)).await.await.unwrap();
        assert_eq!(first, again);
        assert_eq!(world.status("two").await, UnitStatus::Available);
    }
}

#[tokio::test]
async fn a_claim_that_got_nothing_leaves_no_trace_of_its_key() {
    let world = World::new();
    world.set_spec("spec", &[]).await;
    // The first claim of a worker makes the worker known, which is an effect.
    world.waiting(claim("w", Duration::ZERO)).await.await.unwrap();
    let keyed = |wait| Write { request_id: Some("key".to_owned()), ..claim("w", wait) };
    let now = world.waiting(keyed(Duration::ZERO)).await.await.unwrap();
    let later = world.waiting(keyed(Duration::from_secs(5))).await;
    world.clock.advance(Duration::from_secs(5));
    assert_eq!((now, later.await.unwrap()), (vec![], vec![]));
    assert_eq!(world.store.requests(), 0);
    world.add("unit", None).await;
    let got = world.waiting(keyed(Duration::ZERO)).await.await.unwrap();
    assert_eq!((got.len(), world.store.requests()), (1, 1));
    assert_eq!(world.waiting(keyed(Duration::ZERO)).await.await.unwrap(), got);
}

#[tokio::test]
async fn an_idempotency_key_covers_what_a_claim_waited_for() {
    let world = World::new();
    world.set_spec("spec", &[]).await;
    let keyed = Write { request_id: Some("key".to_owned()), ..claim("w", MINUTE) };
    let first = world.waiting(keyed.clone()).await;
    world.add("one", None).await;
    let first = first.await.unwrap();
    world.add("two", None).await;
    let again = world.waiting(keyed).await.await.unwrap();
    assert_eq!(first, again);
    assert_eq!(world.status("two").await, UnitStatus::Available);
}
