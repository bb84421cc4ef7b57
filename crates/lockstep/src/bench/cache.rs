//! Reads by name: from the cache, and from the store below it.

use std::{path::Path, sync::Arc};

use anyhow::{Result, bail};
use engine::{CacheOptions, Cached, Engine, SystemClock};
use model::{Answer, Backend, Namespace, Query, SpecName, SpecRef, UnitFilter, UnitRef};
use store::{Sqlite, SqliteOptions};

use super::{
    figure::Figure,
    inside::Queue,
    load::{Step, drive},
    names::{Names, Order},
    plan::{AT_ONCE, Plan},
};

/// What the figures stand under.
pub(super) const PART: &str = "in process, reads by name";
/// With the cache.
pub(super) const CACHED: &str = "from the cache";
/// Without it.
const UNCACHED: &str = "from the SQLite store";

/// Units that are read, all of which have room in the cache.
const UNITS: u64 = 1_000;
/// Reads in one step, so that looking at the clock costs nothing.
const READS: usize = 100;

/// Tells whether any of this is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    let wanted = |what| AT_ONCE.iter().any(|at_once| plan.wants(PART, what, Some(*at_once)));
    wanted(CACHED) || wanted(UNCACHED)
}

/// Measures reads of units by name, spread over many names.
pub(super) fn measure(plan: &Plan, folder: &Path) -> Result<Vec<Figure>> {
    let store = Sqlite::open(folder.join("reads.db"), SqliteOptions::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = Engine::new(Arc::new(store), Arc::new(SystemClock));
    let cached = Cached::over(Arc::clone(&engine), CacheOptions::default());
    let names = Names::new(Order::Ordered);
    let queries = runtime.block_on(queries(cached.clone(), names))?;
    let mut figures: Vec<Figure> = Vec::new();
    for at_once in AT_ONCE {
        for what in [UNCACHED, CACHED] {
            if !is_wanted(plan) {
                continue;
            }
            let backend: Arc<dyn Backend> =
                if what == CACHED { cached.clone() } else { engine.clone() };
            let reader = |number: usize| Reader {
                backend: Arc::clone(&backend),
                queries: Arc::clone(&queries),
                next: number * READS,
            };
            let load = runtime.block_on(drive((0..at_once).map(reader).collect(), plan.window))?;
            let figure = Figure::of_load(PART, what, at_once, &load);
            let below = figures.iter().find(|f| f.what == UNCACHED && f.at_once == Some(at_once));
            figures.push(figure.bounded("U", below.filter(|_| what == CACHED)));
        }
    }
    runtime.shutdown_background();
    Ok(figures)
}

/// Makes the units and the questions for them.
async fn queries(backend: Arc<dyn Backend>, names: Names) -> Result<Arc<[Query]>> {
    Queue::make(Arc::clone(&backend), names).await?.fill(UNITS).await?;
    let (namespace, name) = (Namespace::new("bench")?, SpecName::new("ordered")?);
    let spec = SpecRef { name: name.clone(), id: None };
    let all = Query::Units(namespace.clone(), spec, UnitFilter::default());
    let Answer::Units(units, _) = backend.read(all, 0).await?.answer else {
        bail!("no units answered a query for them")
    };
    let query = |unit: model::Unit| {
        let unit = UnitRef { spec: name.clone(), name: unit.name, id: None };
        Query::Unit(namespace.clone(), unit)
    };
    Ok(units.into_iter().map(query).collect())
}

/// Reads one unit after the other.
struct Reader {
    backend: Arc<dyn Backend>,
    queries: Arc<[Query]>,
    next: usize,
}

impl Step for Reader {
    async fn step(&mut self) -> Result<u64> {
        for query in self.queries.iter().cycle().skip(self.next % self.queries.len()).take(READS) {
            self.backend.read(query.clone(), 0).await?;
        }
        self.next += READS;
        Ok(READS as u64)
    }
}
