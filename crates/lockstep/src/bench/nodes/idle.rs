//! What a node costs that has nothing to do.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};

use super::{Bench, floors::connect};
use crate::bench::{
    figure::Figure, http::Place, load::Step as _, names::Order, plan::Plan, server::Server,
};

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
    /// Watches a node that has units, a cached one among them, and a worker that waits, in a
    /// database of its own: the others are still cleared of what was written and removed before.
    pub(super) fn idle(&self) -> Result<Vec<Figure>> {
        let url = self.database("idle")?;
        let server = Server::start_with(&url, self.folder.path(), &[])?;
        self.runtime.block_on(async {
            let place = Place::make(server.address, "idle", Order::Ordered).await?;
            place.fill(1_000).await?;
            place.reader(1).await?.step().await
        })?;
        thread::sleep(CALM);
        let before = (self.transactions(&url)?, server.processor_time()?);
        thread::sleep(WATCHED);
        let after = (self.transactions(&url)?, server.processor_time()?);
        let seconds = WATCHED.as_secs_f64();
        // The first of our own two questions is counted as well.
        let transactions = (after.0 - before.0).saturating_sub(1) as f64 / seconds;
        let processor = (after.1.saturating_sub(before.1)).as_secs_f64() / seconds * 100.0;
        server.stop()?;
        Ok(vec![
            Figure::new(PART, TRANSACTIONS, transactions, "a second"),
            Figure::new(PART, PROCESSOR, processor, "% of a core"),
        ])
    }

    /// Makes a database, and gives its address.
    fn database(&self, name: &str) -> Result<String> {
        let url = self.cluster.url();
        self.runtime.block_on(async {
            let client = connect(&url).await?;
            anyhow::Ok(client.batch_execute(&format!("CREATE DATABASE {name}")).await?)
        })?;
        let (server, _) = url.rsplit_once('/').context("an address without a database")?;
        Ok(format!("{server}/{name}"))
    }

    /// Counts the transactions that a database has seen.
    fn transactions(&self, url: &str) -> Result<u64> {
        self.runtime.block_on(async {
            let client = connect(url).await?;
            let text = "SELECT (xact_commit + xact_rollback)::bigint FROM pg_stat_database \
                        WHERE datname = current_database()";
            let count: i64 = client.query_one(text, &[]).await?.try_get(0)?;
            Ok(u64::try_from(count)?)
        })
    }
}
