//! `lockstep bench workflows`: publishing, starting, running and matching, each beside the same
//! work without workflows, or beside what bounds it.

mod cluster;
mod fence;
mod instances;
mod matching;
mod place;
mod publish;

use std::path::Path;

use anyhow::Result;

use super::{
    disk,
    figure::{Figure, medians},
    machine,
    nodes::Cluster,
    plan::Plan,
    report::Report,
    server::Server,
    targets::{Aim, Target, target},
    wire::client,
};
use crate::output::Output;
use place::Place;

/// Measures everything below a folder, whose disk is the one that is measured.
pub(crate) fn run(plan: &Plan, folder: &Path, out: Output) -> Result<Report> {
    if cfg!(debug_assertions) {
        out.note("this is a debug build: its figures say nothing, measure one made with --release");
    }
    let mut runs = Vec::with_capacity(plan.runs);
    for number in 1..=plan.runs {
        let note = |part: &str| out.note(format!("run {number} of {}: {part}", plan.runs));
        let folder = tempfile::tempdir_in(folder)?;
        runs.push(one_run(plan, folder.path(), note)?);
    }
    let machine = machine::facts();
    Ok(Report { machine, plan: plan.clone(), figures: medians(&runs), targets: targets() })
}

fn one_run(plan: &Plan, folder: &Path, note: impl Fn(&str)) -> Result<Vec<Figure>> {
    note("floors");
    let sync = disk::measure(folder)?;
    let mut figures = vec![sync.clone()];
    if publish::is_wanted(plan) || instances::is_wanted(plan) {
        note(instances::PART);
        let store = format!("sqlite:{}", folder.join("workflows.db").display());
        let server = Server::start(&store, folder)?;
        let runtime = client()?;
        let place = Place::at(server.address)?;
        figures.extend(runtime.block_on(publish::measure(plan, &place, &sync))?);
        figures.extend(runtime.block_on(instances::measure(plan, &place, &sync))?);
        drop(runtime);
        server.stop()?;
    }
    if fence::is_wanted(plan) {
        note(fence::WHAT);
        figures.extend(fence::measure(plan, folder)?);
    }
    if matching::is_wanted(plan) {
        note(matching::PART);
        figures.extend(matching::measure(plan, folder)?);
    }
    if cluster::is_wanted(plan) {
        note(cluster::PART);
        figures.extend(cluster::measure(plan, folder)?);
    }
    Ok(figures)
}

/// All targets.
fn targets() -> Vec<Target> {
    use instances::PART;
    vec![
        target(PART, publish::COMMITTED, 0, Aim::MiddleAtMost(10.0)),
        target(PART, publish::EFFECTIVE, 0, Aim::MiddleAtMost(15.0)),
        target(PART, publish::BESIDE, 0, Aim::MiddleAtMost(20.0)),
        target(cluster::PART, cluster::HEALTHY, 0, Aim::MiddleAtMost(50.0)),
        target(cluster::PART, cluster::HEALTHY, 0, Aim::AtMost(300.0)),
        target(cluster::PART, cluster::DEAD, 0, Aim::AtMost(3_500.0)),
        target(PART, fence::WHAT, 0, Aim::Times(1.2)),
        target(PART, instances::LEASED, 0, Aim::MiddleAtMost(10.0)),
        target(PART, instances::LEASED, 0, Aim::AtMost(50.0)),
        target(PART, instances::ONE, 0, Aim::AtLeast(2_000.0)),
        target(PART, instances::HALF, 0, Aim::AtMost(100.0)),
        target(PART, instances::THREE, 0, Aim::AtLeast(1_500.0)),
        target(PART, instances::FORTY, 0, Aim::AtMost(200.0)),
        target(PART, instances::FAN, 0, Aim::AtMost(3.0)),
        target(matching::PART, matching::EACH, 0, Aim::AtMost(5.0)),
        target(matching::PART, &matching::among(1_000), 0, Aim::Times(1.5)),
        target(matching::PART, &matching::among(100_000), 0, Aim::Times(1.5)),
        target(matching::PART, matching::JQ_ONE, 0, Aim::AtMost(60.0)),
        target(matching::PART, matching::JQ_MANY, 0, Aim::AtMost(1_000.0)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_measured() {
        let window = std::time::Duration::from_millis(5);
        let only = Some(fence::WHAT.to_owned());
        let plan = Plan { runs: 1, window, samples: 20, only, ..Plan::QUICK };
        let folder = tempfile::tempdir().unwrap();
        let report = run(&plan, folder.path(), Output { json: false, quiet: true }).unwrap();
        let json = report.to_json();
        let targets = json["targets"].as_array().unwrap();
        let [target] = &targets[..] else { panic!("{targets:?}") };
        let ratio = target["figure"]["floor"]["ratio"].as_f64().unwrap();
        assert!(ratio > 0.1 && ratio < 10.0, "{target:#}");
    }
}
