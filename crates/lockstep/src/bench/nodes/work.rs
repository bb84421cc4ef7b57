//! Adding, claiming and finishing over HTTP, through one node and through three.

use anyhow::Result;

use super::{
    AT_ONCE, Bench,
    floors::{self, pgbench, raw},
};
use crate::bench::{
    figure::Figure,
    http::Place,
    load::{Load, Step, drive},
    names::Order,
};

/// What the figures stand under.
pub(super) const ONE: &str = "over HTTP, PostgreSQL store, one node";
pub(super) const THREE: &str = "over HTTP, PostgreSQL store, three nodes";
pub(super) const MORE: &str = "three nodes, 32 clients against 8";

const ADD: &str = "add";
const PAIR: &str = "claim + finish";
/// Batches, and units a second that nodes are not expected to exceed, so that no queue runs dry.
const BATCHES: [(usize, u64); 3] = [(1, 12_000), (100, 60_000), (1_000, 60_000)];

/// Compares many clients with few.
pub(super) fn more_clients(figures: &[Figure]) -> Vec<Figure> {
    let compare = |many: &Figure| {
        let few = figures.iter().find(|few| few.what == many.what && few.at_once == Some(8))?;
        let floor = Some(few);
        Some(Figure { part: MORE, latency_ms: None, ..many.clone() }.bounded("at 8", floor))
    };
    figures.iter().filter(|figure| figure.at_once == Some(32)).filter_map(compare).collect()
}

impl Bench<'_> {
    /// Measures through so many nodes; what one node did is the floor of several.
    pub(super) fn work(
        &self,
        part: &'static str,
        spec: &'static str,
        nodes: usize,
        floors: &[Figure],
        one: &[Figure],
    ) -> Result<Vec<Figure>> {
        let (servers, addresses) = self.peers(nodes)?;
        let mut places = Vec::with_capacity(nodes);
        for address in addresses {
            places.push(match places.first() {
                None => self.runtime.block_on(Place::make(address, spec, Order::Ordered))?,
                Some(first) => Place::at(first, address),
            });
        }
        let mut figures = Vec::new();
        for (what, is_add) in [(ADD, true), (PAIR, false)] {
            for (batch, most) in BATCHES {
                for at_once in AT_ONCE {
                    let what = format!("{what} by {batch}");
                    if !self.plan.wants(part, &what, Some(at_once)) {
                        continue;
                    }
                    let load = self.runtime.block_on(async {
                        if let (false, Some(place)) = (is_add, places.first()) {
                            place.fill(self.plan.units_for(most, at_once, batch)).await?;
                        }
                        self.clean().await?;
                        match is_add {
                            true => self.adders(&places, at_once, batch).await,
                            false => self.workers(&places, at_once, batch).await,
                        }
                    })?;
                    let figure = Figure::of_load(part, what, at_once, &load);
                    figures.push(bounded(figure, (is_add, batch), floors, one));
                }
            }
        }
        servers.into_iter().try_for_each(|server| server.stop())?;
        Ok(figures)
    }

    async fn adders(&self, places: &[Place], at_once: usize, batch: usize) -> Result<Load> {
        let mut callers = Vec::with_capacity(at_once);
        for place in places.iter().cycle().take(at_once) {
            callers.push(place.adder(batch).await?);
        }
        self.drive(callers).await
    }

    async fn workers(&self, places: &[Place], at_once: usize, batch: usize) -> Result<Load> {
        let mut callers = Vec::with_capacity(at_once);
        for (number, place) in places.iter().cycle().take(at_once).enumerate() {
            callers.push(place.worker(number, batch).await?);
        }
        self.drive(callers).await
    }

    async fn drive<S: Step>(&self, callers: Vec<S>) -> Result<Load> {
        drive(callers, self.plan.window).await
    }
}

/// Puts the floor beside a figure.
fn bounded(
    figure: Figure,
    (is_add, batch): (bool, usize),
    floors: &[Figure],
    one: &[Figure],
) -> Figure {
    let same = |floor: &&Figure| floor.what == figure.what && floor.at_once == figure.at_once;
    if figure.part == THREE {
        let floor = one.iter().find(same).cloned();
        return figure.bounded("one node", floor.as_ref());
    }
    match (batch, is_add) {
        (1, _) => {
            let floor = figure.at_once.and_then(|at_once| pgbench(floors, at_once));
            figure.bounded("P", floor)
        }
        (_, true) => figure.bounded("R", raw(floors, floors::ADD)),
        (_, false) => figure.bounded("R", raw(floors, floors::WORK)),
    }
}
