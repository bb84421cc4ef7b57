//! What a node costs that has nothing to do.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};

use super::{Bench, floors::connect};
use crate::bench::{figure::Figure, http::Place, load::Step as _, names::Order, plan::Plan};

/// What the figures stand under.
pub(super) const PART: &str = "an idle node";
/// What the figures are called.
pub(super) const TRANSACTIONS: &str = "transactions in the database";
pub(super) const PROCESSOR: &str = "processor time";

/// Until a node that was busy is idle, and the database has counted what it did: a connection that
/// has nothing to do tells its counts after ten seconds.
const CALM: Duration = Duration::from_secs(15);
/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(20);

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    [TRANSACTIONS, PROCESSOR].into_iter().any(|what| plan.wants(PART, what, None))
}

impl Bench<'_> {
    /// Watches a node that has units, some of which it has read for its cache.
    pub(super) fn idle(&self) -> Result<Vec<Figure>> {
        let (servers, addresses) = self.nodes(1, &[])?;
        let (server, address) = servers.first().zip(addresses.first()).context("no node")?;
        self.runtime.block_on(async {
            let place = Place::make(*address, "idle", Order::Ordered).await?;
            place.fill(1_000).await?;
            place.reader(1).await?.step().await
        })?;
        thread::sleep(CALM);
        let before = (self.transactions()?, server.processor_time()?);
        thread::sleep(WATCHED);
        let after = (self.transactions()?, server.processor_time()?);
        let seconds = WATCHED.as_secs_f64();
        // The first of our own two questions is counted as well.
        let transactions = (after.0 - before.0).saturating_sub(1) as f64 / seconds;
        let processor = (after.1.saturating_sub(before.1)).as_secs_f64() / seconds * 100.0;
        servers.into_iter().try_for_each(|server| server.stop())?;
        Ok(vec![
            Figure::new(PART, TRANSACTIONS, transactions, "a second"),
            Figure::new(PART, PROCESSOR, processor, "% of a core"),
        ])
    }

    /// Counts the transactions that the database has seen.
    fn transactions(&self) -> Result<u64> {
        self.runtime.block_on(async {
            let client = connect(&self.cluster.url()).await?;
            let text = "SELECT (xact_commit + xact_rollback)::bigint FROM pg_stat_database \
                        WHERE datname = current_database()";
            let count: i64 = client.query_one(text, &[]).await?.try_get(0)?;
            Ok(u64::try_from(count)?)
        })
    }
}
