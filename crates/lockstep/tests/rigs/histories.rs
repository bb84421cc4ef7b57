//! What nodes answer from memory is never older than what their clients have seen.

use std::path::PathBuf;

use testkit::rig::history::{HistoriesOptions, HistoriesReport, NodeFault, histories};
use testkit::rig::seed;

/// How many histories there are, unless `LOCKSTEP_HISTORIES` says otherwise.
const HISTORIES: usize = 200;

fn run(histories: usize, fault: NodeFault) -> HistoriesReport {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_lockstep"));
    let seed = seed("histories");
    let report = self::histories(&HistoriesOptions { program, histories, seed, fault });
    eprintln!("{report}");
    report
}

#[test]
fn no_answer_is_older_than_what_was_seen() {
    let wanted = std::env::var("LOCKSTEP_HISTORIES");
    let wanted = wanted.map_or(HISTORIES, |text| text.parse().unwrap());
    let report = run(wanted, NodeFault::None);
    assert!(report.violations.is_empty(), "{report}");
    assert!(report.histories >= wanted, "{report}");
    assert!(report.hits > 0, "nothing was answered from memory: {report}");
}

#[test]
fn nodes_that_ignore_revisions_are_found_out() {
    let report = run(20, NodeFault::AnyRevision);
    assert!(report.violations.iter().any(|wrong| wrong.contains("is stale")), "{report}");
}
