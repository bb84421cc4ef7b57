//! What a claim costs as the queue grows: it should cost the same.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Result, ensure};
use store::{Memory, Sqlite, SqliteOptions, Store};
use tokio::runtime::Runtime;

use super::{
    figure::Figure,
    inside::{Queue, start},
    load::{Step, millis_at},
    names::{Names, Order},
    plan::Plan,
};

/// What the figures stand under.
pub(super) const PART: &str = "claim + finish by 1, by length of the queue";

/// Claims in a row on one queue before it is the next one's turn.
const ROUND: usize = 25;

/// Says what a figure is about.
pub(super) fn what(store: &str, units: u64) -> String {
    format!("{store} store, {} units", crate::bench::report::grouped(units as f64))
}

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    let stores = ["memory", "SQLite"].into_iter();
    let mut all = stores.flat_map(|store| lengths(plan).map(|units| what(store, units)));
    all.any(|what| plan.wants(PART, &what, None))
}

fn lengths(plan: &Plan) -> [u64; 3] {
    [plan.units / 100, plan.units / 10, plan.units]
}

/// Measures both stores; one database with the most units is there already.
pub(super) fn measure(plan: &Plan, folder: &Path, database: &Path) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut queues = Vec::new();
    for units in lengths(plan) {
        queues.push(Measured::make(Arc::new(Memory::new()), units, &runtime)?);
    }
    let mut figures = compare("memory", plan, &runtime, queues)?;
    let mut queues = Vec::new();
    for units in lengths(plan) {
        if units == plan.units {
            let store = Arc::new(Sqlite::open(database, SqliteOptions::default())?);
            let queue = Queue::of(start(store, &runtime), Names::new(Order::Ordered))?;
            queues.push(Measured { queue, units, spans: Vec::new() });
        } else {
            let path = folder.join(format!("{units}.db"));
            let store = Arc::new(Sqlite::open(path, SqliteOptions::default())?);
            queues.push(Measured::make(store, units, &runtime)?);
        }
    }
    figures.extend(compare("SQLite", plan, &runtime, queues)?);
    drop(runtime);
    Ok(figures)
}

/// A queue of some length.
struct Measured {
    queue: Queue,
    units: u64,
    spans: Vec<u64>,
}

impl Measured {
    fn make(store: Arc<dyn Store>, units: u64, runtime: &Runtime) -> Result<Self> {
        let names = Names::new(Order::Ordered);
        let queue = runtime.block_on(async {
            let queue = Queue::make(start(store, runtime), names).await?;
            queue.fill(units).await?;
            anyhow::Ok(queue)
        })?;
        Ok(Self { queue, units, spans: Vec::new() })
    }
}

/// Claims from all queues in turn, so that what disturbs one disturbs all.
fn compare(
    store: &str,
    plan: &Plan,
    runtime: &Runtime,
    mut queues: Vec<Measured>,
) -> Result<Vec<Figure>> {
    runtime.block_on(async {
        for round in 0..=plan.samples.div_ceil(ROUND) {
            for measured in &mut queues {
                let mut worker = measured.queue.worker(0, 1)?;
                for _ in 0..ROUND {
                    let before = Instant::now();
                    ensure!(worker.step().await? == 1, "a long queue has run dry");
                    // The first round only brings everything into memory.
                    if round > 0 {
                        measured.spans.push(before.elapsed().as_nanos() as u64);
                    }
                }
            }
        }
        Ok(())
    })?;
    let figures = queues.into_iter().map(|Measured { units, mut spans, .. }| {
        spans.sort_unstable();
        let (p50, p99) = (millis_at(&spans, 0.5), millis_at(&spans, 0.99));
        let figure = Figure::new(PART, what(store, units), p50, "ms");
        Figure { latency_ms: Some((p50, p99)), ..figure }
    });
    let figures: Vec<Figure> = figures.collect();
    let shortest = figures.first().cloned();
    Ok(figures.into_iter().map(|figure| figure.bounded("10,000", shortest.as_ref())).collect())
}
