//! What nodes answer from memory is never older than what their clients have seen.

use std::path::PathBuf;

use testkit::rig::history::{HistoriesOptions, HistoriesReport, NodeFault, histories};
use testkit::rig::seed;

/// How many histories there are, unless `LOCKSTEP_HISTORIES` says otherwise.
const HISTORIES: usize = 200;

fn run(histories: usize, peers: bool, fault: NodeFault) -> HistoriesReport {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_lockstep"));
    let seed = seed("histories");
    let options = HistoriesOptions { program, histories, peers, seed, fault };
    let report = self::histories(&options);
    eprintln!("{report}");
    report
}

/// Makes half of the histories.
fn right(peers: bool) -> HistoriesReport {
    let wanted = std::env::var("LOCKSTEP_HISTORIES");
    let wanted: usize = wanted.map_or(HISTORIES, |text| text.parse().unwrap());
    let wanted = wanted.div_ceil(2);
    let report = run(wanted, peers, NodeFault::None);
    assert!(report.violations.is_empty(), "{report}");
    assert!(report.histories >= wanted, "{report}");
    assert!(report.hits > 0, "nothing was answered from memory: {report}");
    report
}

#[test]
fn no_answer_is_older_than_what_was_seen() {
    let report = right(false);
    assert_eq!(report.passed_on, 0, "{report}");
}

#[test]
fn no_answer_is_older_where_writes_are_passed_on() {
    let report = right(true);
    assert!(report.passed_on > 0, "nothing was passed on: {report}");
}

#[test]
fn nodes_that_ignore_revisions_are_found_out() {
    let report = run(20, true, NodeFault::AnyRevision);
    assert!(report.violations.iter().any(|wrong| wrong.contains("is stale")), "{report}");
}
