//! The programs that the tests need, installed where they are missing.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::step::cargo;

/// Programs that come from the system's packages, by the package of the same name.
const SYSTEM: [&str; 2] = ["python3", "curl"];

/// Makes sure that everything is there, and says what it installs.
pub(crate) fn ensure() -> Result<()> {
    for part in ["fmt", "clippy"] {
        if !answers(cargo(&[part, "--version"])) {
            bail!("cargo {part} is missing: run \"rustup component add rustfmt clippy\"");
        }
    }
    if !answers(cargo(&["nextest", "--version"])) {
        println!("    cargo-nextest runs the tests and is missing: installing it from its source");
        println!("    (once per machine, some minutes): cargo install cargo-nextest --locked");
        let done = cargo(&["install", "cargo-nextest", "--locked", "--quiet"]).status()?;
        if !done.success() {
            bail!("cargo install cargo-nextest failed; its own message stands above");
        }
    }
    let missing: Vec<&str> = SYSTEM.into_iter().filter(|name| !answers(version_of(name))).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

fn install(missing: &[&str]) -> Result<()> {
    let names = missing.join(" ");
    if !is_root() || !answers(version_of("apt-get")) {
        bail!("the end-to-end tests need {names}: install them with your system's package manager");
    }
    println!("    the end-to-end tests need {names}: installing with apt-get");
    for args in [vec!["update", "-q"], [vec!["install", "-q", "-y"], missing.to_vec()].concat()] {
        let mut command = Command::new("apt-get");
        command.args(&args).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        let status = command.status().context("cannot run apt-get")?;
        if !status.success() {
            bail!("apt-get {} failed; its own message stands above", args.join(" "));
        }
    }
    Ok(())
}

fn version_of(name: &str) -> Command {
    let mut command = Command::new(name);
    command.arg("--version");
    command
}

fn answers(mut command: Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_seen() {
        assert!(answers(cargo(&["--version"])));
        assert!(!answers(version_of("no-such-program-here")));
    }
}
