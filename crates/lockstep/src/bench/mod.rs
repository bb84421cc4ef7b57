//! `lockstep bench queue`: the work queue against what this machine can do.
//!
//! Every run measures its own floors next to what they bound, and each result is the median of the
//! runs' ratios, since machines are shared and noisy.

mod depth;
mod disk;
mod echo;
mod figure;
mod http;
mod inside;
mod latency;
mod load;
mod machine;
mod names;
mod plan;
mod raw;
mod report;
mod server;
mod size;
mod targets;
mod wire;

use std::path::Path;

use anyhow::Result;

use crate::output::Output;
use figure::{Figure, medians};
pub(crate) use plan::Plan;
pub(crate) use report::Report;

/// Measures everything below a folder, whose disk is the one that is measured.
pub(crate) fn run(plan: &Plan, folder: &Path, out: Output) -> Result<Report> {
    if cfg!(debug_assertions) {
        out.note("this is a debug build: its figures say nothing, measure one made with --release");
    }
    let machine = machine::facts();
    let mut runs = Vec::with_capacity(plan.runs);
    for number in 1..=plan.runs {
        let note = |part: &str| out.note(format!("run {number} of {}: {part}", plan.runs));
        let folder = tempfile::tempdir_in(folder)?;
        runs.push(one_run(plan, folder.path(), note)?);
    }
    let mut figures = medians(&runs);
    if size::is_wanted(plan) || depth::is_wanted(plan) {
        let folder = tempfile::tempdir_in(folder)?;
        out.note("memory and disk with a million units");
        let database = folder.path().join("million.db");
        figures.extend(size::measure(plan, &database)?);
        out.note("cost of a claim in a short and a long queue");
        figures.extend(depth::measure(plan, folder.path(), &database)?);
    }
    Ok(Report { machine, plan: plan.clone(), figures })
}

/// Measures what is worth repeating: floors, and what they bound.
fn one_run(plan: &Plan, folder: &Path, note: impl Fn(&str)) -> Result<Vec<Figure>> {
    note("floors");
    let sync = disk::measure(folder)?;
    let echo = echo::measure(plan)?;
    let raw = raw::measure(plan, folder)?;
    note("in process, memory store");
    let memory = inside::memory(plan)?;
    note("in process, SQLite store");
    let sqlite = inside::sqlite(plan, folder, &raw)?;
    note("over HTTP, SQLite store");
    let http = http::measure(plan, folder, &http::Floors { echo: &echo, raw: &raw, sync: &sync })?;
    Ok([vec![sync], echo, raw, memory, sqlite, http].into_iter().flatten().collect())
}
