//! How long it takes to publish, on an idle server and beside those who start.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::Result;
use model::Until;
use serde_json::Value as Json;
use tokio::task::JoinSet;

use super::{instances::PART, place::Place};
use crate::bench::{figure::Figure, plan::Plan};

/// What the figures are called.
pub(super) const COMMITTED: &str = "publish 100 steps, committed";
pub(super) const EFFECTIVE: &str = "publish 100 steps, effective";
pub(super) const BESIDE: &str = "publish 100 steps while 8 clients start it";

/// Clients that start what is published.
const STARTERS: usize = 8;

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    [COMMITTED, EFFECTIVE, BESIDE].into_iter().any(|what| plan.wants(PART, what, None))
}

/// Gives a workflow of so many steps, half of which are units and half expressions; none of them
/// comes to pass, so that whoever starts it leaves nothing behind.
pub(super) fn steps(count: usize) -> String {
    let mut text = String::from("do:\n  - none: {set: {n: 1}, then: end}\n");
    for number in 1..count {
        let step = match number % 2 {
            0 => "call: work, with: {spec: steps, data: {n: '${ .n + 1 }'}}",
            _ => "set: {n: '${ .n * 2 }', name: '${ \"n\" + (.n | tostring) }'}",
        };
        // A text that grows by each step, as documents do; writing to it cannot fail.
        let _ = writeln!(text, "  - step{number}: {{{step}}}");
    }
    text
}

/// Measures milliseconds.
pub(super) async fn measure(plan: &Plan, place: &Place, sync: &Figure) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let rest = steps(100);
    for (what, until) in [(COMMITTED, Until::Committed), (EFFECTIVE, Until::Effective)] {
        if plan.wants(PART, what, None) {
            let spans = publishes(place, "hundred", &rest, until, plan.samples / 3).await?;
            figures.push(Figure::of_spans(PART, what, spans).bounded("F", Some(sync)));
        }
    }
    if plan.wants(PART, BESIDE, None) {
        place.publish("hundred", &rest, Until::Effective).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut starters = JoinSet::new();
        for _ in 0..STARTERS {
            let (place, stop) = (place.clone(), Arc::clone(&stop));
            starters.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    place.start("hundred", &Json::Null, 1).await?;
                }
                anyhow::Ok(())
            });
        }
        let spans = publishes(place, "hundred", &rest, Until::Effective, plan.samples / 3).await?;
        stop.store(true, Ordering::Relaxed);
        starters.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
        place.idle().await?;
        figures.push(Figure::of_spans(PART, BESIDE, spans).bounded("F", Some(sync)));
    }
    Ok(figures)
}

/// Publishes one version after the other, the first of which does not count.
pub(super) async fn publishes(
    place: &Place,
    name: &str,
    rest: &str,
    until: Until,
    samples: usize,
) -> Result<Vec<u64>> {
    place.publish(name, rest, until).await?;
    let mut spans = Vec::with_capacity(samples);
    for _ in 0..samples.max(1) {
        let before = Instant::now();
        place.publish(name, rest, until).await?;
        spans.push(before.elapsed().as_nanos() as u64);
    }
    Ok(spans)
}
