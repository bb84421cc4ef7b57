//! Nodes that pass writes on to each other, as several nodes over one database should.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::super::{server::Server, wire::Connection};
use super::Bench;

/// How nodes are reached by each other.
const FLAGS: [&str; 2] = ["--peer-url", "http://127.0.0.1:0"];
/// How long nodes may take to know each other: they look once a second.
const KNOWN_MAX: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Bench<'_> {
    /// Starts so many nodes over the database, and waits until each knows all others.
    pub(super) fn peers(&self, count: usize) -> Result<(Vec<Server>, Vec<SocketAddr>)> {
        let (servers, addresses) = self.nodes(count, &FLAGS)?;
        let start = Instant::now();
        for address in &addresses {
            while self.runtime.block_on(known(*address))? < count - 1 {
                ensure!(start.elapsed() < KNOWN_MAX, "the nodes do not know each other");
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        Ok((servers, addresses))
    }
}

/// Asks a node how many peers it knows.
async fn known(address: SocketAddr) -> Result<usize> {
    let mut connection = Connection::open(address).await?;
    let answer = connection.get("/metrics").await?.expect(200)?;
    let text = String::from_utf8_lossy(answer.body);
    let line = text.lines().find_map(|line| line.strip_prefix("lockstep_peers "));
    Ok(line.and_then(|count| count.trim().parse().ok()).unwrap_or(0))
}
