//! A server that is killed again and again loses nothing that it acknowledged.

use std::path::PathBuf;

use testkit::rig::{CrashOptions, Fault, crash, seed};

/// How often the server is killed, unless `LOCKSTEP_KILLS` says otherwise.
const KILLS: u32 = 30;

fn options(kills: u32, fault: Fault) -> CrashOptions {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_lockstep"));
    CrashOptions { program, kills, seed: seed("crash rig"), fault }
}

#[test]
fn acknowledged_means_on_disk() {
    let kills = std::env::var("LOCKSTEP_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let report = crash(&options(kills, Fault::None));
    eprintln!("{report}");
    assert!(report.audit.violations.is_empty(), "{report}");
    assert!(report.audit.finishes as u32 > kills, "there was hardly any load: {report}");
}

#[test]
fn a_store_that_forgets_is_found_out() {
    let report = crash(&options(3, Fault::OldStore));
    let found = |says: &str| report.audit.violations.iter().any(|what| what.contains(says));
    assert!(found("was acknowledged") && found("lost"), "{report}");
    assert!(found("the history is not what it was"), "{report}");
}
