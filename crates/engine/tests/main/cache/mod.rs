//! The coherent cache: what a cache like the ancestor's gets wrong, and ours must not.

mod defects;
mod lines;
mod naive;
mod nodes;
mod schedules;
mod slow;

use std::sync::Arc;

use engine::{CacheOptions, Cached, Engine};
use model::{
    AddUnits, Answer, Attempt, AttemptChange, Backend, Change, ChangeAttempts, Data, Id, Namespace,
    NewUnit, Query, QueueCommand, Reply, Result, Revision, SetUnits, Spec, SpecRef, Unit,
    UnitChange, UnitRef, Worker, Write,
};
use store::Memory;
use testkit::{ManualClock, all, data, name, new_unit, request, spec_name, worker_name};

use self::{naive::Naive, slow::Slow};

/// A node with a cache, beside whatever else writes to the same backend.
struct Node {
    /// What the node's callers use.
    backend: Arc<dyn Backend>,
    /// The cache, if it is ours.
    cached: Option<Arc<Cached>>,
    /// What the cache loads from.
    slow: Arc<Slow>,
    /// The backend itself, as others use it.
    engine: Arc<Engine>,
    clock: Arc<ManualClock>,
}

/// Which cache a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Naive,
    Ours,
}

impl Node {
    fn new(kind: Kind) -> Self {
        Self::with(kind, CacheOptions::default())
    }

    fn with(kind: Kind, options: CacheOptions) -> Self {
        let clock = Arc::new(ManualClock::new());
        let engine = Engine::new(Arc::new(Memory::new()), clock.clone());
        let slow = Slow::new(engine.clone());
        let (backend, cached): (Arc<dyn Backend>, _) = match kind {
            Kind::Naive => (Arc::new(Naive::new(slow.clone())), None),
            Kind::Ours => {
                let cached = Cached::with(slow.clone(), options, clock.clone());
                (cached.clone(), Some(cached))
            }
        };
        Self { backend, cached, slow, engine, clock }
    }

    /// Makes the namespace known to the cache, which keeps nothing before it can follow.
    async fn warm(&self) {
        self.here().set_spec(serde_json::json!({"name": "warm"})).await;
        let warm = Query::Spec(Namespace::empty(), spec_ref("warm"));
        self.here().ask(warm).await.unwrap();
        self.here().run(QueueCommand::DestroySpec { spec: spec_ref("warm") }).await;
    }

    /// Another node's way to the same backend, without a cache.
    fn elsewhere(&self) -> Client<'_> {
        Client(&*self.engine)
    }

    fn here(&self) -> Client<'_> {
        Client(&*self.backend)
    }

    /// Hears of what others have committed, if it can.
    async fn catch_up(&self) {
        if let Some(cached) = &self.cached {
            cached.catch_up().await.unwrap();
        }
    }

    fn cached(&self) -> &Cached {
        self.cached.as_ref().unwrap()
    }
}

/// Short ways to say things to a backend.
#[derive(Clone, Copy)]
struct Client<'b>(&'b dyn Backend);

impl Client<'_> {
    async fn run(self, command: QueueCommand) -> Reply {
        let committed = self.0.write(Write::one(&Namespace::empty(), command)).await.unwrap();
        committed.replies.into_iter().next().unwrap()
    }

    async fn set_spec(self, dict: serde_json::Value) {
        self.run(QueueCommand::SetSpec { data: data(&dict) }).await;
    }

    async fn plain_spec(self) {
        self.set_spec(serde_json::json!({"name": "spec"})).await;
    }

    async fn destroy_spec(self) {
        self.run(QueueCommand::DestroySpec { spec: spec_ref("spec") }).await;
    }

    async fn destroy_namespace(self) {
        self.run(QueueCommand::DestroyNamespace).await;
    }

    async fn add(self, unit: &str) -> Id {
        self.add_unit("spec", new_unit(unit)).await
    }

    async fn add_data(self, unit: &str, value: u32) -> Id {
        let data = data(&serde_json::json!({"value": value}));
        self.add_unit("spec", NewUnit { data, ..new_unit(unit) }).await
    }

    async fn add_unit(self, spec: &str, unit: NewUnit) -> Id {
        let add = AddUnits { spec: spec_ref(spec), units: vec![unit] };
        match self.run(QueueCommand::AddUnits(add)).await {
            Reply::Ids(ids) => ids[0],
            other => panic!("ids, not {other:?}"),
        }
    }

    async fn delete_all(self) {
        let (spec, filter, change) = (spec_ref("spec"), all(), UnitChange::Delete);
        self.run(QueueCommand::SetUnits(SetUnits { spec, filter, change })).await;
    }

    async fn claim(self) -> Attempt {
        match self.run(QueueCommand::Claim(request())).await {
            Reply::Attempts(attempts) => attempts.into_iter().next().unwrap(),
            other => panic!("attempts, not {other:?}"),
        }
    }

    async fn finish(self, attempt: &Attempt, output: Option<Data>) {
        let change = AttemptChange {
            attempt: attempt.as_ref(),
            token: None,
            data: output,
            change: Change::Finish,
        };
        let changes = vec![change];
        self.run(QueueCommand::ChangeAttempts(ChangeAttempts { changes })).await;
    }

    async fn ask(self, query: Query) -> Result<Answer> {
        self.0.read(query, 0).await.map(|read| read.answer)
    }

    async fn unit(self, unit: &str) -> Result<Unit> {
        self.unit_of(unit, None, 0).await
    }

    async fn unit_of(self, unit: &str, id: Option<Id>, at_least: Revision) -> Result<Unit> {
        match self.0.read(unit_query(unit, id), at_least).await?.answer {
            Answer::Unit(unit) => Ok(unit),
            other => panic!("a unit, not {other:?}"),
        }
    }

    async fn spec(self) -> Result<Spec> {
        match self.ask(spec_query(None)).await? {
            Answer::Spec(spec) => Ok(spec),
            other => panic!("a spec, not {other:?}"),
        }
    }

    async fn worker(self, worker: &str) -> Result<Worker> {
        let query = Query::Worker(Namespace::empty(), worker_name(worker));
        match self.ask(query).await? {
            Answer::Worker(worker) => Ok(worker),
            other => panic!("a worker, not {other:?}"),
        }
    }

    async fn set_parent(self, worker: &str, parent: &str) {
        let (worker, parent) = (worker_name(worker), Some(worker_name(parent)));
        self.run(QueueCommand::SetParent { worker, parent }).await;
    }
}

fn spec_ref(spec: &str) -> SpecRef {
    SpecRef { name: spec_name(spec), id: None }
}

fn spec_query(id: Option<Id>) -> Query {
    Query::Spec(Namespace::empty(), SpecRef { id, ..spec_ref("spec") })
}

fn unit_query(unit: &str, id: Option<Id>) -> Query {
    Query::Unit(Namespace::empty(), UnitRef { spec: spec_name("spec"), name: name(unit), id })
}

/// Gives the number that [`Client::add_data`] put into a unit.
fn value(unit: &Unit) -> u32 {
    let dict = unit.data.dict().unwrap();
    match dict.get("value") {
        Some(model::Datum::Int(value)) => u32::try_from(*value).unwrap(),
        other => panic!("a number, not {other:?}"),
    }
}

/// Runs a scenario, which tells whether all was right, on the naive cache and on ours.
///
/// That it goes wrong on the naive one shows that it can.
macro_rules! scenarios {
    ($($(#[$doc:meta])* $name:ident)+) => {
        $(
            $(#[$doc])*
            #[tokio::test]
            async fn $name() {
                use $crate::cache::{Kind, Node};
                for (kind, right) in [(Kind::Naive, false), (Kind::Ours, true)] {
                    let node = Node::new(kind);
                    node.warm().await;
                    assert_eq!(scenario::$name(&node).await, right, "{kind:?}");
                }
            }
        )+
    };
}
use scenarios;
