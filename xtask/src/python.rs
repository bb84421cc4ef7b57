//! The Python of the tests: a virtual environment with what they need besides the SDK.

use std::process::Command;

use anyhow::Result;

use crate::{repo, tools::answers};

/// What is installed: what a client of CBOR-RPC needs, and what checks the types of the SDK.
const PACKAGES: [&str; 2] = ["cbor2==5.7.1", "mypy==1.18.2"];
/// What must work then.
const TRY: &str = "import importlib.metadata as m; \
                   assert m.version('cbor2') == '5.7.1' and m.version('mypy') == '1.18.2'";

/// Makes a call of the interpreter of the environment.
pub(crate) fn command() -> Command {
    Command::new(repo::root().join("target/python/bin/python"))
}

/// Makes the environment where it is missing; without it some tests fail and say why.
pub(crate) fn ensure() -> Result<()> {
    if answers(trial()) {
        return Ok(());
    }
    println!("    the tests need {}: installing them into target/python", PACKAGES.join(" and "));
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(repo::root().join("target/python"));
    let mut install = command();
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.args(PACKAGES);
    let made = make.status()?.success() && install.status()?.success() && answers(trial());
    if !made {
        println!(
            "    they could not be installed (the message stands above), so that the tests of"
        );
        println!("    Python clients will fail; on Debian, venv is in the package python3-venv");
    }
    Ok(())
}

fn trial() -> Command {
    let mut command = command();
    command.args(["-c", TRY]);
    command
}
