//! The SDKs: their types and their tests, against the program that was built last.

use std::{env, path::PathBuf, process::Command};

use crate::{
    counts::Counts,
    node, python, repo,
    step::{Outcome, program},
};

/// Tells the tests which program to start; they say so if there is none.
const PROGRAM: &str = "LOCKSTEP_BIN";

/// Checks and tests all of them.
pub(crate) fn test() -> Vec<(Outcome, Counts)> {
    vec![python_types(), python_tests(), typescript()]
}

fn python_types() -> (Outcome, Counts) {
    let mut command = python::command();
    command.args(["-m", "mypy"]).current_dir(repo::root().join("sdk/python"));
    let outcome = tried("sdk/python: types", &mut command);
    let counts = Counts { passed: u64::from(outcome.ok), failed: u64::from(!outcome.ok) };
    (outcome, counts)
}

fn python_tests() -> (Outcome, Counts) {
    let folder = repo::root().join("sdk/python");
    let mut command = python::command();
    command.args(["-W", "error", "-m", "unittest", "discover", "--start-directory", "tests"]);
    command.env("PYTHONPATH", folder.join("src")).env("PYTHONDONTWRITEBYTECODE", "1");
    let outcome = tried("sdk/python", command.env(PROGRAM, lockstep()).current_dir(folder));
    let counts = Counts::of_unittest(&outcome.output);
    (outcome, counts)
}

fn typescript() -> (Outcome, Counts) {
    let mut command = Command::new("npm");
    command.args(["test", "--silent"]).env(PROGRAM, lockstep());
    command.current_dir(repo::root().join(node::FOLDER));
    let outcome = tried("sdk/typescript", &mut command);
    let counts = Counts::of_tap(&outcome.output);
    (outcome, counts)
}

/// Names the program beside this one, where the tests of the workspace put it.
fn lockstep() -> PathBuf {
    env::current_exe().unwrap_or_default().with_file_name("lockstep")
}

/// Runs a step; it fails if its program is missing, and the others go on.
fn tried(name: &'static str, command: &mut Command) -> Outcome {
    program(name, command).unwrap_or_else(|error| {
        println!("    {error:#}; what could not be installed is told above");
        Outcome { name, ok: false, output: String::new() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_fails_its_step_alone() {
        let outcome = tried("none", &mut Command::new("no-such-program-here"));
        assert!(!outcome.ok && outcome.name == "none");
    }
}
