//! Nodes that are killed, and a database that goes away under them, lose nothing.

use std::path::PathBuf;

use testkit::rig::{BACK_MAX, NodesOptions, nodes, seed};

/// How often nodes are killed, unless `LOCKSTEP_KILLS` says otherwise.
const KILLS: u32 = 30;
/// Kills for each stop of the database.
const KILLS_A_STOP: u32 = 6;

#[test]
fn nodes_over_one_database_lose_nothing() {
    lose_nothing(false);
}

#[test]
fn nodes_that_pass_writes_on_lose_nothing() {
    lose_nothing(true);
}

/// Makes half of the kills.
fn lose_nothing(peers: bool) {
    let kills = std::env::var("LOCKSTEP_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let kills = kills.div_ceil(2);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_lockstep"));
    let stops = kills.div_ceil(KILLS_A_STOP);
    let options = NodesOptions { program, nodes: 3, kills, stops, peers, seed: seed("nodes") };
    let report = nodes(&options);
    eprintln!("{report}");
    assert!(report.audit.violations.is_empty(), "{report}");
    assert!(report.audit.finishes as u32 > kills, "there was hardly any load: {report}");
    assert!(report.refused >= stops, "nobody asked a node without a database: {report}");
    assert!(report.slowest_back <= BACK_MAX, "{report}");
}
