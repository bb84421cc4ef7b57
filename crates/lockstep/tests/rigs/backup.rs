//! A backup that is taken under load restores to a state that the store had.

use std::path::PathBuf;

use testkit::rig::{BackupOptions, BackupWay, backups, seed};

/// How many backups are taken, unless `LOCKSTEP_BACKUPS` says otherwise.
const BACKUPS: u32 = 5;

fn options(backups: u32, way: BackupWay) -> BackupOptions {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_lockstep"));
    BackupOptions { program, backups, seed: seed("backup rig"), way }
}

#[test]
fn each_is_a_state_that_the_store_had() {
    let count = std::env::var("LOCKSTEP_BACKUPS").map_or(BACKUPS, |text| text.parse().unwrap());
    let report = backups(&options(count, BackupWay::Program));
    eprintln!("{report}");
    assert!(report.violations.is_empty(), "{report}");
    assert!(report.audit.violations.is_empty(), "{report}");
    assert_eq!(report.revisions.len() as u32, count);
    let end = report.audit.commits as u64;
    assert!(report.revisions.iter().any(|at| *at < end), "no load went on: {report}");
}

#[test]
fn a_copy_of_the_file_alone_is_found_out() {
    let report = backups(&options(3, BackupWay::FileCopy));
    assert!(!report.violations.is_empty(), "{report}");
}
