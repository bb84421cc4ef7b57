//! The Python of the tests: a virtual environment with what a client of CBOR-RPC needs.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{repo, tools::answers};

/// What is installed.
const PACKAGE: &str = "cbor2==5.7.1";
/// What must work then.
const TRY: &str = "import importlib.metadata as m; assert m.version('cbor2') == '5.7.1'";

/// Makes the environment where it is missing; without it one test fails and says why.
pub(crate) fn ensure() -> Result<()> {
    let folder = repo::root().join("target/python");
    let python = folder.join("bin/python");
    if answers(trial(&python)) {
        return Ok(());
    }
    println!(
        "    the Python client of the tests needs {PACKAGE}: installing it into target/python"
    );
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&folder);
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]);
    let made = make.status()?.success() && install.status()?.success() && answers(trial(&python));
    if !made {
        println!(
            "    it could not be installed (the message stands above), so that the test of the"
        );
        println!("    Python client will fail; on Debian, venv is in the package python3-venv");
    }
    Ok(())
}

fn trial(python: &PathBuf) -> Command {
    let mut command = Command::new(python);
    command.args(["-c", TRY]);
    command
}
