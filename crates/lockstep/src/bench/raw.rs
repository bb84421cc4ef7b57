//! Floor S: the rows that cannot be done without, written straight to SQLite.
//!
//! The schema and its indexes on disk are those of the store, what waits is committed as one group,
//! and the ready queue is a list in memory. Nothing is checked, counted or kept for later.

mod writer;

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};

use super::{
    disk::PART,
    figure::Figure,
    load::{Load, Step, drive},
    names::{Names, Order},
    plan::Plan,
};
use writer::{Errand, Raw};

/// What the figures are called.
pub(super) const ADD_ONE: &str = "S: raw SQLite, add by 1";
pub(super) const ADD_ORDERED: &str = "S: raw SQLite, add by 1,000";
pub(super) const ADD_RANDOM: &str = "S: raw SQLite, add by 1,000, random names";
pub(super) const WORK_ONE: &str = "S: raw SQLite, claim + finish by 1";
pub(super) const WORK_MANY: &str = "S: raw SQLite, claim + finish by 100";

/// Callers whose work is grouped.
const CALLERS: usize = 64;

/// Measures units a second.
pub(super) fn measure(plan: &Plan, folder: &Path) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let bench = Bench { plan, folder, runtime };
    let figures = vec![
        bench.add(ADD_ONE, 1, Order::Ordered, CALLERS)?,
        bench.add(ADD_ORDERED, 1_000, Order::Ordered, 2)?,
        bench.add(ADD_RANDOM, 1_000, Order::Random, 2)?,
        bench.work(WORK_ONE, 1, 150_000)?,
        bench.work(WORK_MANY, 100, 400_000)?,
    ];
    Ok(figures)
}

/// Finds a floor by what it is called.
pub(super) fn of<'a>(figures: &'a [Figure], what: &str) -> Option<&'a Figure> {
    figures.iter().find(|figure| figure.what == what)
}

struct Bench<'a> {
    plan: &'a Plan,
    folder: &'a Path,
    runtime: tokio::runtime::Runtime,
}

impl Bench<'_> {
    fn add(&self, what: &str, batch: usize, order: Order, at_once: usize) -> Result<Figure> {
        let folder = tempfile::tempdir_in(self.folder)?;
        let raw = Arc::new(Raw::open(folder.path())?);
        let names = Arc::new(Names::new(order));
        // Rows only fall on pages at random once there are many pages.
        if order == Order::Random {
            self.fill(&raw, &names, self.plan.units_for(200_000, at_once, batch))?;
        }
        let caller = |_| Adder { raw: Arc::clone(&raw), names: Arc::clone(&names), batch };
        let load = drive((0..at_once).map(caller).collect(), self.plan.window);
        Ok(figure(what, at_once, &self.runtime.block_on(load)?))
    }

    fn work(&self, what: &str, batch: usize, per_second: u64) -> Result<Figure> {
        let folder = tempfile::tempdir_in(self.folder)?;
        let raw = Arc::new(Raw::open(folder.path())?);
        let units = self.plan.units_for(per_second, CALLERS, batch);
        self.fill(&raw, &Names::new(Order::Ordered), units)?;
        let callers = (0..CALLERS).map(|_| Worker { raw: Arc::clone(&raw), batch }).collect();
        let load = self.runtime.block_on(drive(callers, self.plan.window))?;
        Ok(figure(what, CALLERS, &load))
    }

    fn fill(&self, raw: &Raw, names: &Names, units: u64) -> Result<()> {
        self.runtime.block_on(async {
            for _ in 0..units.div_ceil(1_000) {
                let names = names.take(1_000).map(|number| names.name(number)).collect();
                raw.run(Errand::Add(names)).await?;
            }
            Ok(())
        })
    }
}

fn figure(what: &str, at_once: usize, load: &Load) -> Figure {
    Figure::of_load(PART, what, at_once, load)
}

struct Adder {
    raw: Arc<Raw>,
    names: Arc<Names>,
    batch: usize,
}

impl Step for Adder {
    async fn step(&mut self) -> Result<u64> {
        let names = self.names.take(self.batch).map(|number| self.names.name(number)).collect();
        self.raw.run(Errand::Add(names)).await.context("raw SQLite cannot add")?;
        Ok(self.batch as u64)
    }
}

struct Worker {
    raw: Arc<Raw>,
    batch: usize,
}

impl Step for Worker {
    async fn step(&mut self) -> Result<u64> {
        let taken = self.raw.run(Errand::Claim(self.batch)).await?;
        let units = taken.len() as u64;
        self.raw.run(Errand::Finish(taken)).await.context("raw SQLite cannot finish")?;
        Ok(units)
    }
}
