//! Reading by name, from memory and from the database.

use anyhow::{Context as _, Result};

use super::{AT_ONCE, Bench};
use crate::bench::{echo, figure::Figure, http::Place, load::drive, names::Order, plan::Plan};

/// What the figures stand under.
pub(super) const PART: &str = "reads by name, PostgreSQL store";
/// What the figures are called.
pub(super) const HTTP: &str = "from memory, over HTTP";
const UNCACHED: &str = "without a cache, over HTTP";

/// Units that are read in turn.
const UNITS: u64 = 1_000;
const SPEC: &str = "read";

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    let over = |what: &str| AT_ONCE.into_iter().any(|n| plan.wants(PART, what, Some(n)));
    over(HTTP) || over(UNCACHED)
}

impl Bench<'_> {
    /// Reads through a node with a cache, and through one without.
    pub(super) fn cached(&self, echo: &[Figure]) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        if !is_wanted(self.plan) {
            return Ok(figures);
        }
        for (what, flags) in [(HTTP, "on"), (UNCACHED, "off")] {
            let (servers, addresses) = self.nodes(1, &["--cache", flags])?;
            let address = *addresses.first().context("no node")?;
            let place = self.runtime.block_on(async {
                let place = Place::make(address, SPEC, Order::Ordered).await?;
                place.fill(UNITS).await?;
                anyhow::Ok(place)
            })?;
            for at_once in AT_ONCE {
                if !self.plan.wants(PART, what, Some(at_once)) {
                    continue;
                }
                let load = self.runtime.block_on(async {
                    let mut callers = Vec::with_capacity(at_once);
                    for _ in 0..at_once {
                        callers.push(place.reader(UNITS).await?);
                    }
                    drive(callers, self.plan.window).await
                })?;
                let figure = Figure::of_load(PART, what, at_once, &load);
                let figure = Figure { unit: "reads/s", ..figure };
                figures.push(figure.bounded("E", echo::at(echo, at_once)));
            }
            servers.into_iter().try_for_each(|server| server.stop())?;
        }
        Ok(figures)
    }
}
