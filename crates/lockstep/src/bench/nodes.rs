//! `lockstep bench nodes`: several nodes over one PostgreSQL against what that database can do.
//!
//! The database is a cluster of its own with `fsync` on, and every run measures its floors on it:
//! `pgbench`, and the statements that cannot be done without.

mod cached;
mod cluster;
mod depth;
mod floors;
mod followed;
mod idle;
mod peers;
mod steady;
mod work;

use std::{net::SocketAddr, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{
    echo,
    figure::{Figure, medians},
    machine,
    plan::Plan,
    report::Report,
    server::Server,
    targets::{Aim, Target, target},
    wire::client,
};
use crate::output::Output;
pub(super) use cluster::Cluster;
pub(super) use steady::PART as STEADY;

/// Callers at the same time.
const AT_ONCE: [usize; 3] = [1, 8, 32];
/// Settings of the cluster: what anybody would choose for a machine of some size, and nothing that
/// gives up durability.
const SETTINGS: [&str; 4] =
    ["shared_buffers=512MB", "max_wal_size=4GB", "checkpoint_timeout=15min", "work_mem=16MB"];

/// Measures everything below a folder, whose disk is the one that is measured.
pub(crate) fn run(plan: &Plan, folder: &Path, out: Output) -> Result<Report> {
    warn_of_debug(out);
    let mut runs = Vec::with_capacity(plan.runs);
    for number in 1..=plan.runs {
        let note = |part: &str| out.note(format!("run {number} of {}: {part}", plan.runs));
        runs.push(Bench::start(plan, folder)?.one_run(note)?);
    }
    let mut figures = medians(&runs);
    let bench = Bench::start(plan, folder)?;
    let machine = bench.facts()?;
    if idle::is_wanted(plan) {
        out.note(idle::PART);
        figures.extend(bench.idle()?);
    }
    if depth::is_wanted(plan) {
        out.note(depth::PART);
        figures.extend(bench.depth()?);
    }
    Ok(Report { machine, plan: plan.clone(), figures, targets: targets(plan.units) })
}

/// Keeps up a load for some minutes while an old snapshot is held open.
pub(crate) fn run_steady(minutes: u64, folder: &Path, out: Output) -> Result<Report> {
    warn_of_debug(out);
    let plan = Plan { only: Some(STEADY.to_owned()), ..Plan::NODES };
    let bench = Bench::start(&plan, folder)?;
    let machine = bench.facts()?;
    let figures = bench.steady(minutes, |text| out.note(text))?;
    Ok(Report { machine, figures, targets: targets(plan.units), plan })
}

fn warn_of_debug(out: Output) {
    if cfg!(debug_assertions) {
        out.note("this is a debug build: its figures say nothing, measure one made with --release");
    }
}

/// All targets; with so many units a queue is long.
fn targets(units: u64) -> Vec<Target> {
    let three = |what, at_once| target(work::THREE, what, at_once, Aim::Ratio(0.9));
    vec![
        target(work::ONE, "add by 1", 32, Aim::Ratio(3.0)),
        target(work::ONE, "claim + finish by 1", 32, Aim::Ratio(2.0)),
        target(work::ONE, "add by 1000", 8, Aim::Ratio(0.7)),
        target(work::ONE, "claim + finish by 100", 8, Aim::Ratio(0.8)),
        three("add by 1", 32),
        three("add by 1000", 8),
        three("claim + finish by 1", 32),
        three("claim + finish by 100", 8),
        target(work::MORE, "add by 1", 32, Aim::Ratio(1.0)),
        target(work::MORE, "claim + finish by 1", 32, Aim::Ratio(1.0)),
        target(depth::PART, &depth::what(units), 0, Aim::Times(1.3)),
        target(idle::PART, idle::TRANSACTIONS, 0, Aim::AtMost(1.0)),
        target(idle::PART, idle::PROCESSOR, 0, Aim::AtMost(1.0)),
        target(cached::PART, cached::HTTP, 32, Aim::Ratio(0.8)),
        target(STEADY, steady::CLAIM_END, 0, Aim::Times(5.0)),
    ]
}

/// A cluster, and what runs against it.
struct Bench<'a> {
    plan: &'a Plan,
    /// For what nodes keep on disk; the cluster keeps its files beside it.
    folder: TempDir,
    runtime: Runtime,
    cluster: Cluster,
}

impl<'a> Bench<'a> {
    fn start(plan: &'a Plan, folder: &Path) -> Result<Self> {
        let cluster = Cluster::start_in(folder, &SETTINGS).context("cannot start PostgreSQL")?;
        let folder = tempfile::tempdir_in(folder)?;
        Ok(Self { plan, folder, runtime: client()?, cluster })
    }

    /// Measures what is worth repeating.
    fn one_run(&self, note: impl Fn(&str)) -> Result<Vec<Figure>> {
        note("floors");
        let echo = if cached::is_wanted(self.plan) {
            echo::measure(&self.plan.for_floors())?
        } else {
            Vec::new()
        };
        let floors = self.floors()?;
        note(work::ONE);
        let one = self.work(work::ONE, "one", 1, &floors, &[])?;
        note(work::THREE);
        let three = self.work(work::THREE, "three", 3, &floors, &one)?;
        let more = work::more_clients(&three);
        note(cached::PART);
        let cached = self.cached(&echo)?;
        note(followed::PART);
        let followed = self.followed()?;
        let all = [echo, floors, one, three, more, cached, followed];
        Ok(all.into_iter().flatten().collect())
    }

    /// Starts so many nodes over the database.
    fn nodes(&self, count: usize, flags: &[&str]) -> Result<(Vec<Server>, Vec<SocketAddr>)> {
        let start = |_| Server::start_with(&self.cluster.url(), self.folder.path(), flags);
        let nodes = (0..count).map(start).collect::<Result<Vec<_>>>()?;
        let addresses = nodes.iter().map(|node| node.address).collect();
        Ok((nodes, addresses))
    }

    /// Cleans up behind what was measured before, so that the database does not do it while the
    /// next thing is.
    async fn clean(&self) -> Result<()> {
        Ok(floors::connect(&self.cluster.url()).await?.batch_execute("VACUUM").await?)
    }

    /// Collects what a reader wants to know of the machine, and of the database.
    fn facts(&self) -> Result<Value> {
        let row = self.runtime.block_on(async {
            let client = floors::connect(&self.cluster.url()).await?;
            anyhow::Ok(client.query_one("SHOW server_version", &[]).await?)
        })?;
        let mut facts = machine::facts();
        if let Some(facts) = facts.as_object_mut() {
            facts.insert("postgresql".to_owned(), Value::String(row.try_get(0)?));
        }
        Ok(facts)
    }
}
