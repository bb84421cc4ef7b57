//! In process: an engine over a store, without HTTP.

mod steps;

use std::{path::Path, sync::Arc};

use anyhow::Result;
use engine::{Engine, SystemClock};
use model::Backend;
use store::{Memory, Sqlite, SqliteOptions, Store};
use tokio::runtime::Runtime;

use super::{
    figure::Figure,
    load::{Step, drive},
    names::{Names, Order},
    plan::{AT_ONCE, Plan},
    raw,
};
pub(super) use steps::Queue;

/// What the figures stand under.
pub(super) const MEMORY: &str = "in process, memory store";
pub(super) const SQLITE: &str = "in process, SQLite store";

/// Units a second that no store is expected to exceed, so that queues do not run dry.
const MEMORY_MAX: Rates = Rates { one: 300_000, many: 900_000 };
const SQLITE_MAX: Rates = Rates { one: 60_000, many: 200_000 };

#[derive(Clone, Copy)]
struct Rates {
    one: u64,
    many: u64,
}

/// Measures the memory store.
pub(super) fn memory(plan: &Plan) -> Result<Vec<Figure>> {
    Bench::new(MEMORY, Arc::new(Memory::new()), plan, MEMORY_MAX, &[])?.measure()
}

/// Measures the SQLite store.
pub(super) fn sqlite(plan: &Plan, folder: &Path, raw: &[Figure]) -> Result<Vec<Figure>> {
    let store = Sqlite::open(folder.join("inside.db"), SqliteOptions::default())?;
    Bench::new(SQLITE, Arc::new(store), plan, SQLITE_MAX, raw)?.measure()
}

/// Makes an engine that does what falls due, as a server has it.
pub(super) fn start(store: Arc<dyn Store>, runtime: &Runtime) -> Arc<dyn Backend> {
    let engine = Engine::new(store, Arc::new(SystemClock));
    runtime.spawn(Arc::clone(&engine).run_due());
    engine
}

struct Bench<'a> {
    part: &'static str,
    plan: &'a Plan,
    most: Rates,
    raw: &'a [Figure],
    queue: Queue,
    runtime: Runtime,
    figures: Vec<Figure>,
}

/// One thing to measure.
struct Task {
    what: String,
    batch: usize,
    floor: &'static str,
    /// Units that callers take in a second, at most; 0 for those who take none.
    most: u64,
}

impl<'a> Bench<'a> {
    fn new(
        part: &'static str,
        store: Arc<dyn Store>,
        plan: &'a Plan,
        most: Rates,
        raw: &'a [Figure],
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let backend = start(store, &runtime);
        let queue = runtime.block_on(Queue::make(backend, Names::new(Order::Ordered)))?;
        Ok(Self { part, plan, most, raw, queue, runtime, figures: Vec::new() })
    }

    fn measure(mut self) -> Result<Vec<Figure>> {
        let queue = self.queue.clone();
        for batch in [1, 100, 1_000] {
            let floor = if batch == 1 { raw::ADD_ONE } else { raw::ADD_ORDERED };
            let task = Task { what: format!("add by {batch}"), batch, floor, most: 0 };
            self.each(&task, |_| queue.adder(batch))?;
        }
        let works = [(1, raw::WORK_ONE, self.most.one), (100, raw::WORK_MANY, self.most.many)];
        for (batch, floor, most) in works {
            let what = format!("claim + finish by {batch}");
            let task = Task { what, batch, floor, most };
            self.each(&task, |number| queue.worker(number, batch))?;
        }
        for (batch, floor, most) in works {
            let what = format!("finish and claim next by {batch}");
            let task = Task { what, batch, floor, most };
            self.each(&task, |number| queue.busy_worker(number, batch))?;
        }
        self.runtime.shutdown_background();
        Ok(self.figures)
    }

    /// Measures one thing with few and with many callers.
    fn each<S: Step>(&mut self, task: &Task, caller: impl Fn(usize) -> Result<S>) -> Result<()> {
        let Task { what, batch, floor, most } = task;
        for at_once in AT_ONCE {
            if !self.plan.wants(self.part, what, Some(at_once)) {
                continue;
            }
            if *most > 0 {
                let units = self.plan.units_for(*most, at_once, *batch);
                self.runtime.block_on(self.queue.fill(units))?;
            }
            let callers = (0..at_once).map(&caller).collect::<Result<_>>()?;
            let load = self.runtime.block_on(drive(callers, self.plan.window))?;
            let figure = Figure::of_load(self.part, what, at_once, &load);
            self.figures.push(figure.bounded("S", raw::of(self.raw, floor)));
        }
        Ok(())
    }
}
