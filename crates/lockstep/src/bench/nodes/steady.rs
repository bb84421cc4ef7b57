//! A steady load for minutes, while somebody else's transaction holds an old snapshot open, so that
//! no dead row can be cleaned away.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::{MissedTickBehavior, interval};

use super::{Bench, floors::connect};
use crate::bench::{
    figure::Figure,
    http::{Adder, Place, Worker},
    load::{Step as _, millis_at},
    names::Order,
};

/// What the figures stand under.
pub(crate) const PART: &str = "500 units a second with an old snapshot held open";
/// What the figures are called.
const CLAIM_START: &str = "claim + finish by 10, first part";
pub(super) const CLAIM_END: &str = "claim + finish by 10, last part";

/// Units are added in batches, so many a second.
const ADDED: usize = 50;
const EVERY: Duration = Duration::from_millis(100);
const WORKERS: usize = 4;
const CLAIMED: usize = 10;
/// How long a worker that found nothing rests: what a claim waits for says nothing of its cost.
const PAUSE: Duration = Duration::from_millis(20);
/// The parts that are compared are this share of the whole.
const SHARE: u32 = 10;
const REPORT_EVERY: Duration = Duration::from_secs(60);

const SIZE: &str = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class \
    WHERE relkind = 'r' AND relnamespace = 'lockstep'::regnamespace";
const BACKLOG: &str = "SELECT count(*) FROM lockstep.unit WHERE state IN (0, 1)";

impl Bench<'_> {
    /// Keeps up the load, and compares how it began with how it ended.
    pub(super) fn steady(&self, minutes: u64, note: impl Fn(String)) -> Result<Vec<Figure>> {
        let (servers, addresses) = self.nodes(1, &[])?;
        let address = *addresses.first().context("no node")?;
        let span = Duration::from_secs(60 * minutes.max(1));
        let figures = self.runtime.block_on(async {
            let place = Place::make(address, "steady", Order::Ordered).await?;
            let size_start = self.ask(SIZE).await?;
            let old = connect(&self.cluster.url()).await?;
            old.batch_execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class",
            )
            .await?;
            let start = Instant::now();
            let mut workers = Vec::with_capacity(WORKERS);
            for number in 0..WORKERS {
                let worker = place.worker(number, CLAIMED).await?;
                workers.push(tokio::spawn(work(worker, start, span)));
            }
            let adding = tokio::spawn(add(place.adder(ADDED).await?, start, span));
            let mut ticks = interval(REPORT_EVERY);
            ticks.tick().await;
            while start.elapsed() + REPORT_EVERY <= span {
                ticks.tick().await;
                let minute = start.elapsed().as_secs() / 60;
                let (size, backlog) = (self.ask(SIZE).await?, self.ask(BACKLOG).await?);
                note(format!("minute {minute}: {} MB, {backlog} units wait", size >> 20));
            }
            let late = adding.await??;
            let mut spans = Vec::new();
            for worker in workers {
                spans.extend(worker.await??);
            }
            let (size, backlog) = (self.ask(SIZE).await?, self.ask(BACKLOG).await?);
            old.batch_execute("COMMIT").await?;
            let mut figures = compare(&spans, span);
            let mb = |what: &str, bytes: i64| {
                Figure::new(PART, what, bytes as f64 / f64::from(1 << 20), "MB")
            };
            figures.push(mb("size of all tables, at the start", size_start));
            figures.push(mb("size of all tables, at the end", size));
            figures.push(Figure::new(PART, "units that wait, at the end", backlog as f64, "units"));
            figures.push(Figure::new(PART, "latest batch", late.as_secs_f64(), "s"));
            anyhow::Ok(figures)
        })?;
        servers.into_iter().try_for_each(|server| server.stop())?;
        Ok(figures)
    }

    async fn ask(&self, text: &str) -> Result<i64> {
        let client = connect(&self.cluster.url()).await?;
        Ok(client.query_one(text, &[]).await?.try_get(0)?)
    }
}

/// Compares the spans of claims that began in the first part with those of the last.
fn compare(spans: &[(Duration, Duration)], whole: Duration) -> Vec<Figure> {
    let part = whole / SHARE;
    let figure = |what: &str, is_in: &dyn Fn(Duration) -> bool| {
        let chosen = spans.iter().filter(|(began, _)| is_in(*began));
        let mut nanos: Vec<u64> = chosen.map(|(_, took)| took.as_nanos() as u64).collect();
        nanos.sort_unstable();
        let (p50, p99) = (millis_at(&nanos, 0.5), millis_at(&nanos, 0.99));
        Figure { latency_ms: Some((p50, p99)), ..Figure::new(PART, what, p99, "ms") }
    };
    let first = figure(CLAIM_START, &|began| began < part);
    let last = figure(CLAIM_END, &|began| began + part >= whole);
    let last = last.bounded("start", Some(&first));
    vec![first, last]
}

/// Claims and finishes; gives when each claim that found work began and how long all of it took.
async fn work(
    mut worker: Worker,
    start: Instant,
    span: Duration,
) -> Result<Vec<(Duration, Duration)>> {
    let mut spans = Vec::new();
    while start.elapsed() < span {
        let began = start.elapsed();
        if worker.step().await? > 0 {
            spans.push((began, start.elapsed() - began));
        } else {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(spans)
}

/// Adds in steps, and gives how late the latest one was answered.
async fn add(mut adder: Adder, start: Instant, span: Duration) -> Result<Duration> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut latest = Duration::ZERO;
    while start.elapsed() < span {
        let due = ticks.tick().await;
        adder.step().await?;
        latest = latest.max(due.elapsed());
    }
    Ok(latest)
}
