//! What a claim costs as the queue grows, on one node: it should cost the same.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::Bench;
use crate::bench::{
    figure::Figure,
    http::{Place, Worker},
    load::{Step as _, millis_at},
    names::Order,
    plan::Plan,
    report::grouped,
};

/// What the figures stand under.
pub(super) const PART: &str = "claim + finish by 1 over HTTP, by length of the queue";

/// Claims in a row on one queue before it is the next one's turn.
const ROUND: usize = 25;
const SPECS: [(&str, u64); 3] = [("short", 100), ("medium", 10), ("long", 1)];

/// Says what a figure is about.
pub(super) fn what(units: u64) -> String {
    format!("PostgreSQL store, {} units", grouped(units as f64))
}

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    SPECS.iter().any(|(_, part)| plan.wants(PART, &what(plan.units / part), None))
}

impl Bench<'_> {
    /// Claims from all queues in turn, so that what disturbs one disturbs all.
    pub(super) fn depth(&self) -> Result<Vec<Figure>> {
        let (servers, addresses) = self.nodes(1, &[])?;
        let address = *addresses.first().ok_or_else(|| anyhow::anyhow!("no node"))?;
        let spans = self.runtime.block_on(async {
            let mut places = Vec::new();
            for (spec, part) in SPECS {
                let place = Place::make(address, spec, Order::Ordered).await?;
                place.fill(self.plan.units / part).await?;
                places.push((self.plan.units / part, place));
            }
            // Only now, for a server closes a connection that is idle for as long as that takes.
            let mut queues: Vec<(u64, Worker, Vec<u64>)> = Vec::new();
            for (number, (units, place)) in places.iter().enumerate() {
                queues.push((*units, place.worker(number, 1).await?, Vec::new()));
            }
            for round in 0..=self.plan.samples.div_ceil(ROUND) {
                for (_, worker, spans) in &mut queues {
                    for _ in 0..ROUND {
                        let before = Instant::now();
                        ensure!(worker.step().await? == 1, "a long queue has run dry");
                        // The first round only brings everything into memory.
                        if round > 0 {
                            spans.push(before.elapsed().as_nanos() as u64);
                        }
                    }
                }
            }
            Ok(queues.into_iter().map(|(units, _, spans)| (units, spans)))
        })?;
        let figures = spans.map(|(units, mut spans)| {
            spans.sort_unstable();
            let (p50, p99) = (millis_at(&spans, 0.5), millis_at(&spans, 0.99));
            let figure = Figure::new(PART, what(units), p50, "ms");
            Figure { latency_ms: Some((p50, p99)), ..figure }
        });
        let figures: Vec<Figure> = figures.collect();
        servers.into_iter().try_for_each(|server| server.stop())?;
        let shortest = figures.first().cloned();
        Ok(figures.into_iter().map(|figure| figure.bounded("10,000", shortest.as_ref())).collect())
    }
}
