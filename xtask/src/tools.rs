//! The programs that the tests need, installed where they are missing.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{axe, cluster, node, python, step::cargo};

/// Programs that come from the system's packages, by the package of the same name.
const SYSTEM: [&str; 4] = ["python3", "curl", "chromium", "npm"];

/// The version of cargo-nextest that is installed where there is none: newer ones may need a newer
/// compiler.
const NEXTEST: &str = "0.9.143";

/// What runs the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// cargo-nextest, which ends tests that hang.
    Nextest,
    /// What every cargo has.
    CargoTest,
}

/// Makes sure that everything is there, and says what it installs.
pub(crate) fn ensure() -> Result<Runner> {
    for part in ["fmt", "clippy"] {
        if !answers(cargo(&[part, "--version"])) {
            bail!("cargo {part} is missing: run \"rustup component add rustfmt clippy\"");
        }
    }
    let mut missing: Vec<&str> =
        SYSTEM.into_iter().filter(|name| !answers(version_of(name))).collect();
    if cluster::find("postgres").is_err() {
        missing.push("postgresql");
    }
    if !["dovecot", "/usr/sbin/dovecot"].into_iter().any(|name| answers(version_of(name))) {
        missing.push("dovecot-imapd");
    }
    // Programs whose users may want to change over.
    missing.extend(
        [("mbsync", "isync"), ("offlineimap", "offlineimap3")]
            .into_iter()
            .filter_map(|(name, package)| (!answers(version_of(name))).then_some(package)),
    );
    if !node::is_there() {
        missing.extend(["nodejs", "npm"]);
    }
    if !missing.is_empty() {
        install(&missing)?;
    }
    python::ensure()?;
    axe::ensure()?;
    node::ensure()?;
    runner(cargo)
}

/// Finds cargo-nextest, or installs it from its source.
fn runner(cargo: fn(&[&str]) -> Command) -> Result<Runner> {
    if answers(cargo(&["nextest", "--version"])) {
        return Ok(Runner::Nextest);
    }
    let args = ["install", "cargo-nextest", "--locked", "--version", NEXTEST];
    println!("    cargo-nextest runs the tests and is missing: installing it from its source");
    println!("    (once per machine, some minutes): cargo {}", args.join(" "));
    let installed = cargo(&args).arg("--quiet").status()?.success();
    if installed && answers(cargo(&["nextest", "--version"])) {
        return Ok(Runner::Nextest);
    }
    println!("    cargo-nextest could not be installed (its own message stands above), so that");
    println!("    cargo test runs the tests instead: a test that hangs is not ended");
    Ok(Runner::CargoTest)
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

/// Tells whether a program can be run and is content.
pub(crate) fn answers(mut command: Command) -> bool {
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
    fn tests_run_even_where_nothing_can_be_installed() {
        assert_eq!(runner(|_| Command::new("false")).unwrap(), Runner::CargoTest);
        assert_eq!(runner(|_| Command::new("true")).unwrap(), Runner::Nextest);
        // Installed, but not to be found afterwards.
        let lost = |args: &[&str]| {
            Command::new(if args.first() == Some(&"install") { "true" } else { "false" })
        };
        assert_eq!(runner(lost).unwrap(), Runner::CargoTest);
    }

    #[test]
    fn what_is_missing_is_seen() {
        assert!(answers(cargo(&["--version"])));
        assert!(!answers(version_of("no-such-program-here")));
    }
}
