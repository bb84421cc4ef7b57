//! Clusters for tests.
//!
//! Tests take the cluster that `LOCKSTEP_TEST_POSTGRES` names, which `cargo xtask test` starts once
//! for all of them; without it each test process that needs one starts its own.

// The benchmark of the program starts clusters too, and must not depend on the test kit.
#[path = "../../lockstep/src/bench/nodes/cluster.rs"]
mod server;

use std::{
    env, io,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

pub use server::Cluster;

/// Names the address of a cluster for tests, such as `postgres://postgres@127.0.0.1:5432/postgres`.
pub const VARIABLE: &str = "LOCKSTEP_TEST_POSTGRES";

impl Cluster {
    /// Makes a cluster for temporary use and starts it, with some settings such as `fsync=off`.
    ///
    /// # Errors
    /// If PostgreSQL is not installed or does not start.
    pub fn start(settings: &[&str]) -> io::Result<Self> {
        Self::start_in(&env::temp_dir(), settings)
    }
}

/// Gives the address of the cluster that tests share, with a schema of one's own.
///
/// # Panics
/// If there is no PostgreSQL.
pub fn url() -> String {
    static OWN: OnceLock<Cluster> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let base = env::var(VARIABLE).unwrap_or_else(|_| {
        let start = || Cluster::start(&["fsync=off"]).expect("a PostgreSQL");
        OWN.get_or_init(start).url()
    });
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // Processes come and go, and a number of one may be that of another later.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{base}?schema=test_{now:x}_{}_{count}", std::process::id())
}
