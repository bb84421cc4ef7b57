//! The oracle, memory and SQLite are given the same random commands and must always agree.

mod dicts;
mod drive;
mod steps;

use proptest::{
    prelude::ProptestConfig,
    test_runner::{TestError, TestRunner},
};

use self::{drive::Drive, steps::steps};

/// Runs cases in which everything happens to three specs, five unit names and three workers.
#[track_caller]
fn agree(cases: u32) {
    let drive = Drive::new();
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&steps(), |steps| drive.case(&steps));
    if let Err(TestError::Fail(why, steps)) = outcome {
        let steps: Vec<_> = steps.iter().map(|step| format!("{step:?}")).collect();
        panic!("{why}\nafter the last of these steps:\n{}", steps.join("\n"));
    }
    outcome.unwrap();
}

// Two thousand cases in four parts, so that a test runner can spread them.

#[test]
fn all_agree_1() {
    agree(500);
}

#[test]
fn all_agree_2() {
    agree(500);
}

#[test]
fn all_agree_3() {
    agree(500);
}

#[test]
fn all_agree_4() {
    agree(500);
}
