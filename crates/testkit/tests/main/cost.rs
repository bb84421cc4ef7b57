//! What a claim costs, counted in rows rather than seconds. Defect 1: the ancestor scanned all
//! units of all specs for each claim.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use engine::Engine;
use model::{Backend as _, Namespace, QueueCommand, Result, Write};
use store::{Doc, Job, Key, Memory, Range, Store, Table, Tx, Value};
use testkit::{ManualClock, new_unit, request};

/// A store that counts the rows it hands out and takes.
struct Counting {
    memory: Memory,
    rows: Arc<AtomicUsize>,
}

struct CountingJob(Box<dyn Job>, Arc<AtomicUsize>);

struct CountingTx<'t>(&'t mut dyn Tx, &'t AtomicUsize);

impl Store for Counting {
    fn write(&self, job: Box<dyn Job>) {
        self.memory.write(Box::new(CountingJob(job, self.rows.clone())));
    }

    fn read(&self, job: Box<dyn Job>) {
        self.memory.read(Box::new(CountingJob(job, self.rows.clone())));
    }
}

impl Job for CountingJob {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.0.run(&mut CountingTx(tx, &self.1))
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        self.0.done(outcome);
    }
}

impl CountingTx<'_> {
    fn count(&self, rows: usize) {
        self.1.fetch_add(rows, Ordering::Relaxed);
    }
}

impl Tx for CountingTx<'_> {
    fn load(&mut self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Doc>>> {
        self.count(keys.len());
        self.0.load(table, keys)
    }

    fn save(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.count(docs.len());
        self.0.save(table, docs)
    }

    fn insert(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.count(docs.len());
        self.0.insert(table, docs)
    }

    fn remove(&mut self, table: &'static Table, keys: &[Key]) -> Result<()> {
        self.count(keys.len());
        self.0.remove(table, keys)
    }

    fn scan(
        &mut self,
        table: &'static Table,
        index: usize,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<Doc>> {
        let docs = self.0.scan(table, index, range, limit)?;
        self.count(docs.len());
        Ok(docs)
    }

    fn first(&mut self, table: &'static Table, index: usize) -> Result<Option<Value>> {
        self.count(1);
        self.0.first(table, index)
    }
}

/// Gives the rows that one claim touches with so many thousand units in the queue.
async fn rows_of_a_claim(thousands: usize) -> usize {
    let rows = Arc::new(AtomicUsize::new(0));
    let store = Arc::new(Counting { memory: Memory::new(), rows: rows.clone() });
    let engine = Engine::new(store, Arc::new(ManualClock::new()));
    let write = async |command| engine.write(Write::one(&Namespace::empty(), command)).await;
    let data = testkit::data(&serde_json::json!({"name": "spec"}));
    write(QueueCommand::SetSpec { data }).await.unwrap();
    for thousand in 0..thousands {
        let units = (0..1_000).map(|i| new_unit(format!("u{thousand}.{i}"))).collect();
        let spec = model::SpecRef { name: testkit::spec_name("spec"), id: None };
        write(QueueCommand::AddUnits(model::AddUnits { spec, units })).await.unwrap();
    }
    // The first claim also creates the worker.
    write(QueueCommand::Claim(request())).await.unwrap();
    rows.store(0, Ordering::Relaxed);
    write(QueueCommand::Claim(request())).await.unwrap();
    rows.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_claim_touches_few_rows_whatever_is_queued() {
    let few = rows_of_a_claim(1).await;
    assert_eq!(few, rows_of_a_claim(20).await);
    assert!((4..20).contains(&few), "{few} rows");
}
