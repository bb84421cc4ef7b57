//! `lockstep bench`: the work queue, workflows, and nodes over one database, against what this
//! machine can do.
//!
//! Every run measures its own floors next to what they bound, and each result is the median of the
//! runs' ratios, since machines are shared and noisy.

mod cache;
mod depth;
mod disk;
mod echo;
mod figure;
mod http;
mod inside;
mod latency;
mod load;
mod machine;
pub(crate) mod mail;
mod names;
pub(crate) mod nodes;
mod plan;
mod raw;
mod report;
pub(crate) mod rpc;
mod server;
mod size;
mod targets;
mod wire;
pub(crate) mod workflows;

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
    Ok(Report { machine, plan: plan.clone(), figures, targets: targets::targets(plan.units) })
}

/// Measures what is worth repeating: floors, and what they bound.
fn one_run(plan: &Plan, folder: &Path, note: impl Fn(&str)) -> Result<Vec<Figure>> {
    note("floors");
    let sync = disk::measure(folder)?;
    let echo = echo::measure(&plan.for_floors())?;
    let raw = raw::measure(&plan.for_floors(), folder)?;
    note(inside::MEMORY);
    let memory = inside::memory(plan)?;
    note(inside::SQLITE);
    let sqlite = inside::sqlite(plan, folder, &raw)?;
    let floors = http::Floors { echo: &echo, raw: &raw, sync: &sync };
    let http = if http::is_wanted(plan) {
        note(http::PART);
        http::measure(plan, folder, &floors)?
    } else {
        Vec::new()
    };
    let reads = if cache::is_wanted(plan) {
        note(cache::PART);
        cache::measure(plan, folder)?
    } else {
        Vec::new()
    };
    Ok([vec![sync], echo, raw, memory, sqlite, reads, http].into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_measured() {
        let only = Some("memory store: add by 1, 8 at once".to_owned());
        let window = std::time::Duration::from_millis(5);
        let plan = Plan { runs: 2, window, only, ..Plan::QUICK };
        let folder = tempfile::tempdir().unwrap();
        let report = run(&plan, folder.path(), Output { json: false, quiet: true }).unwrap();
        let json = report.to_json();
        let figures = json["figures"].as_array().unwrap();
        let parts: Vec<_> = figures.iter().filter(|figure| figure["part"] != "floors").collect();
        let [figure] = &parts[..] else { panic!("{parts:?}") };
        assert_eq!((&figure["what"], &figure["at_once"]), (&"add by 1".into(), &8.into()));
        assert!(figures.iter().all(|figure| figure["value"].as_f64().unwrap() > 0.0), "{json:#}");
        assert_eq!(json["targets"].as_array().unwrap().len(), 0);
        assert!(report.to_text().contains("E: bare HTTP echo"));
    }
}
