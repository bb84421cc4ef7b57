//! The SDKs: their types and their tests, against the program that was built last.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    counts::Counts,
    node, python, repo,
    step::{Outcome, program},
};

/// Tells the tests which program to start.
const PROGRAM: &str = "LOCKSTEP_BIN";

/// Checks and tests all of them.
pub(crate) fn test() -> Result<Vec<(Outcome, Counts)>> {
    let lockstep = lockstep()?;
    Ok(vec![python_types()?, python_tests(&lockstep)?, typescript(&lockstep)?])
}

/// Finds the program beside this one, where the tests have put it.
fn lockstep() -> Result<PathBuf> {
    let path = env::current_exe()?.with_file_name("lockstep");
    if !path.is_file() {
        bail!("{} does not exist: the tests of the workspace make it", path.display());
    }
    Ok(path)
}

fn python_types() -> Result<(Outcome, Counts)> {
    let mut command = python::command();
    command.args(["-m", "mypy"]).current_dir(repo::root().join("sdk/python"));
    let outcome = program("sdk/python: types", &mut command)?;
    let counts = Counts { passed: u64::from(outcome.ok), failed: u64::from(!outcome.ok) };
    Ok((outcome, counts))
}

fn python_tests(lockstep: &Path) -> Result<(Outcome, Counts)> {
    let folder = repo::root().join("sdk/python");
    let mut command = python::command();
    command.args(["-W", "error", "-m", "unittest", "discover", "--start-directory", "tests"]);
    command.env("PYTHONPATH", folder.join("src")).env("PYTHONDONTWRITEBYTECODE", "1");
    let outcome = program("sdk/python", command.env(PROGRAM, lockstep).current_dir(folder))?;
    let counts = Counts::of_unittest(&outcome.output);
    Ok((outcome, counts))
}

fn typescript(lockstep: &Path) -> Result<(Outcome, Counts)> {
    let folder = repo::root().join(node::FOLDER);
    let mut command = Command::new("npm");
    command.args(["test", "--silent"]).env(PROGRAM, lockstep);
    let outcome = program("sdk/typescript", command.current_dir(folder))
        .context("the TypeScript SDK needs Node 18 or later with npm")?;
    let counts = Counts::of_tap(&outcome.output);
    Ok((outcome, counts))
}
