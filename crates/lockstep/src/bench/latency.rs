//! How long one call takes: a unit that a worker waits for, and an add beside big batches.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::runtime::Runtime;

use super::{
    figure::Figure,
    http::{PART, Place},
    load::Step,
    names::Order,
    plan::Plan,
};

/// What the figures are called.
pub(super) const WAITED: &str = "add to claimed by a waiting worker, idle server";
pub(super) const BESIDE: &str = "a single add while batches of 1,000 commit";

/// How long a worker waits at most.
const WAIT_MS: u64 = 10_000;
/// Pause after which the server surely has the worker's claim, and is idle again.
const PAUSE: Duration = Duration::from_millis(5);

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    [WAITED, BESIDE].into_iter().any(|what| plan.wants(PART, what, None))
}

/// Measures milliseconds: the value is the 99th percentile.
pub(super) fn measure(
    plan: &Plan,
    runtime: &Runtime,
    address: SocketAddr,
    sync: &Figure,
) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    if plan.wants(PART, WAITED, None) {
        figures.push(figure(WAITED, runtime.block_on(waited(plan, address))?, sync));
    }
    if plan.wants(PART, BESIDE, None) {
        figures.push(figure(BESIDE, runtime.block_on(beside(plan, address))?, sync));
    }
    Ok(figures)
}

fn figure(what: &str, spans: Vec<u64>, sync: &Figure) -> Figure {
    Figure::of_spans(PART, what, spans).bounded("F", Some(sync))
}

/// Takes the time from before an add is sent until a waiting worker has the unit.
async fn waited(plan: &Plan, address: SocketAddr) -> Result<Vec<u64>> {
    let place = Place::make(address, "waited", Order::Ordered).await?;
    let mut worker = place.waiting_worker(0, 1, WAIT_MS).await?;
    let mut adder = place.adder(1).await?;
    let mut spans = Vec::with_capacity(plan.samples);
    for _ in 0..plan.samples {
        let waiting = tokio::spawn(async move {
            let came = worker.wait_for_one().await?;
            anyhow::Ok((worker, came))
        });
        tokio::time::sleep(PAUSE).await;
        let before = Instant::now();
        adder.step().await?;
        let (back, came) = waiting.await??;
        worker = back;
        spans.push((came - before).as_nanos() as u64);
    }
    Ok(spans)
}

/// Takes the time of single adds while another client adds big batches without a pause.
async fn beside(plan: &Plan, address: SocketAddr) -> Result<Vec<u64>> {
    let place = Place::make(address, "beside", Order::Ordered).await?;
    let mut batches = place.adder(1_000).await?;
    let mut single = place.adder(1).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let other = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            batches.step().await?;
        }
        anyhow::Ok(())
    });
    let mut spans = Vec::with_capacity(plan.samples);
    for _ in 0..plan.samples {
        let before = Instant::now();
        single.step().await?;
        spans.push(before.elapsed().as_nanos() as u64);
    }
    stop.store(true, Ordering::Relaxed);
    other.await??;
    Ok(spans)
}
