//! How long it takes until a change is effective on three nodes, also when one of them is dead.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, Result};
use model::Until;

use super::{Cluster, Place, Server, client, publish};
use crate::bench::{figure::Figure, plan::Plan};

/// What the figures stand under.
pub(super) const PART: &str = "workflows on three nodes, PostgreSQL store";
/// What the figures are called.
const ONE: &str = "publish 100 steps, effective on one node";
pub(super) const HEALTHY: &str = "publish 100 steps, effective on three nodes";
pub(super) const DEAD: &str = "the same after one was killed";

/// How often a node is killed.
const KILLS: usize = 3;

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    [ONE, HEALTHY, DEAD].into_iter().any(|what| plan.wants(PART, what, None))
}

/// Measures milliseconds.
pub(super) fn measure(plan: &Plan, folder: &Path) -> Result<Vec<Figure>> {
    let cluster = Cluster::start_in(folder, &[]).context("cannot start PostgreSQL")?;
    let start = || Server::start(&cluster.url(), folder);
    let runtime = client()?;
    let mut nodes = vec![start()?];
    let address = nodes.first().context("no node")?.address;
    let place = Place::at(address)?;
    let rest = publish::steps(100);
    let published = |samples| {
        runtime.block_on(publish::publishes(&place, "hundred", &rest, Until::Effective, samples))
    };
    let one = Figure::of_spans(PART, ONE, published(plan.samples / 3)?);
    nodes.push(start()?);
    nodes.push(start()?);
    // Each node has been spoken to, so that all of them have something in memory.
    for node in &nodes {
        let place = place.on(node.address)?;
        runtime.block_on(place.publish("hundred", &rest, Until::Effective))?;
    }
    let healthy = Figure::of_spans(PART, HEALTHY, published(plan.samples / 3)?);
    let mut spans = Vec::new();
    for _ in 0..KILLS {
        // Dropping it is `kill -9`.
        drop(nodes.pop());
        let before = Instant::now();
        runtime.block_on(place.publish("hundred", &rest, Until::Effective))?;
        spans.push(before.elapsed().as_nanos() as u64);
        nodes.push(start()?);
    }
    let dead = Figure::of_spans(PART, DEAD, spans);
    drop(runtime);
    nodes.into_iter().try_for_each(Server::stop)?;
    let healthy = healthy.bounded("one", Some(&one));
    let mut figures = vec![one, healthy, dead];
    figures.retain(|figure| plan.wants(PART, &figure.what, None));
    Ok(figures)
}
