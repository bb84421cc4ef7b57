//! What a write costs when other nodes keep something in memory that they must hear of.

use anyhow::{Context as _, Result};

use super::Bench;
use crate::bench::{
    figure::Figure,
    http::Place,
    load::{Step as _, drive},
    names::Order,
    plan::Plan,
};

/// What the figures stand under.
pub(super) const PART: &str = "writes that other nodes follow";
/// Nodes that follow.
const FOLLOWERS: [usize; 3] = [0, 2, 8];
const AT_ONCE: usize = 8;

/// What a figure is called.
pub(super) fn what(followers: usize) -> String {
    match followers {
        0 => "add by 1, nobody follows".to_owned(),
        some => format!("add by 1, {some} nodes follow"),
    }
}

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    FOLLOWERS.into_iter().any(|some| plan.wants(PART, &what(some), Some(AT_ONCE)))
}

impl Bench<'_> {
    /// Adds through one node, while others keep units of the same spec in memory.
    pub(super) fn followed(&self) -> Result<Vec<Figure>> {
        let mut figures: Vec<Figure> = Vec::new();
        if !is_wanted(self.plan) {
            return Ok(figures);
        }
        for followers in FOLLOWERS {
            let (servers, addresses) = self.nodes(1 + followers, &[])?;
            let first = *addresses.first().context("no node")?;
            let load = self.runtime.block_on(async {
                let place = Place::make(first, "followed", Order::Ordered).await?;
                place.fill(1_000).await?;
                for address in addresses.into_iter().skip(1) {
                    Place::at(&place, address).reader(1).await?.step().await?;
                }
                let mut callers = Vec::with_capacity(AT_ONCE);
                for _ in 0..AT_ONCE {
                    callers.push(place.adder(1).await?);
                }
                self.clean().await?;
                drive(callers, self.plan.window).await
            })?;
            let figure = Figure::of_load(PART, what(followers), AT_ONCE, &load);
            let alone = figures.first().cloned();
            figures.push(figure.bounded("alone", alone.as_ref()));
            servers.into_iter().try_for_each(|server| server.stop())?;
        }
        Ok(figures)
    }
}
