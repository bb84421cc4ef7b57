//! `cargo xtask test`: every check and every test, and one closing line.

use std::process::Command;

use std::env;

use anyhow::{Context, Result, bail};

use crate::{
    cluster::Cluster,
    counts::Counts,
    sdk,
    step::{Outcome, cargo, program, quietly, timed},
    tidy,
    tools::{self, Runner},
};

/// Tells the crash rig how often to kill the server.
const KILLS: &str = "LOCKSTEP_KILLS";
/// Tells the rig of nodes how many histories to make.
const HISTORIES: &str = "LOCKSTEP_HISTORIES";

/// Tells the tests where their PostgreSQL is.
const POSTGRES: &str = "LOCKSTEP_TEST_POSTGRES";

/// What was asked for.
#[derive(Debug, Default, PartialEq)]
struct Options {
    kills: Option<u32>,
    histories: Option<u32>,
    filter: Option<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--kills" || arg == "--histories" {
                let number = args.next().with_context(|| format!("{arg} needs a number"))?;
                let count = number.parse().with_context(|| format!("{arg} {number:?}"))?;
                let of = if arg == "--kills" { &mut options.kills } else { &mut options.histories };
                *of = Some(count);
            } else if arg.starts_with('-') || options.filter.is_some() {
                bail!(
                    "cannot understand {arg:?}: usage is test [--kills N] [--histories N] [FILTER]"
                );
            } else {
                options.filter = Some(arg.clone());
            }
        }
        Ok(options)
    }

    /// Tells the rigs how long they are to run.
    fn tell(&self, command: &mut Command) {
        for (name, count) in [(KILLS, self.kills), (HISTORIES, self.histories)] {
            if let Some(count) = count {
                command.env(name, count.to_string());
            }
        }
    }
}

/// Runs everything, whatever fails on the way, and tells whether all of it passed.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let options = Options::parse(args)?;
    println!("the first run compiles everything, which takes some minutes");
    let mut runner = Runner::CargoTest;
    let tools = timed("tools", || {
        runner = tools::ensure()?;
        Ok((true, String::new()))
    })?;
    let checks = [
        tools,
        program("fmt", &mut cargo(&["fmt", "--all", "--", "--check", "-l"]))?,
        timed("tidy", || Ok((tidy::run()?, String::new())))?,
        clippy()?,
    ];
    // One PostgreSQL for all tests; nothing in it outlives them, so it need not reach the disk.
    let postgres = Cluster::start_in(&env::temp_dir(), &["fsync=off"])
        .context("the tests need a PostgreSQL")?;
    let url = postgres.url();
    let mut tests = match runner {
        Runner::Nextest => vec![nextest(&options, &url)?, doctests()?],
        Runner::CargoTest => vec![cargo_test(&options, &url)?, doctests()?],
    };
    // A filter is about tests in Rust.
    if options.filter.is_none() {
        tests.extend(sdk::test());
    }
    Ok(report(&checks, &tests))
}

fn clippy() -> Result<Outcome> {
    let args = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    program("clippy", &mut cargo(&args))
}

fn nextest(options: &Options, postgres: &str) -> Result<(Outcome, Counts)> {
    let mut command = cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]);
    command.args(["--cargo-quiet", "--show-progress", "none", "--failure-output", "final"]);
    command.env(POSTGRES, postgres);
    if let Some(filter) = &options.filter {
        command.args([filter.as_str(), "--no-tests", "pass"]);
    }
    if options.kills.or(options.histories).is_some() {
        command.args(["--profile", "long"]);
    }
    options.tell(&mut command);
    let outcome = program("tests", &mut command)?;
    let counts = Counts::of_nextest(&outcome.output);
    Ok((outcome, counts))
}

fn cargo_test(options: &Options, postgres: &str) -> Result<(Outcome, Counts)> {
    let mut command = cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast", "--quiet"]);
    command.args(&options.filter).env(POSTGRES, postgres);
    options.tell(&mut command);
    let outcome = program("tests", &mut command)?;
    let counts = Counts::of_harness(&outcome.output);
    Ok((outcome, counts))
}

fn doctests() -> Result<(Outcome, Counts)> {
    let outcome = quietly("doctests", &mut cargo(&["test", "--doc", "--workspace"]))?;
    let counts = Counts::of_harness(&outcome.output);
    Ok((outcome, counts))
}

/// Prints what failed and, as the last line, how many passed and failed.
///
/// A check that failed counts as one, and so does a test step that failed without saying how many,
/// so that the line never says 0 of a run that failed.
fn report(checks: &[Outcome], tests: &[(Outcome, Counts)]) -> bool {
    let mut counts = Counts::default();
    let mut failed = Vec::new();
    for check in checks.iter().filter(|check| !check.ok) {
        counts.failed += 1;
        failed.push(check.name);
    }
    for (outcome, found) in tests {
        counts = counts + *found;
        if !outcome.ok {
            counts.failed += u64::from(found.failed == 0);
            failed.push(outcome.name);
        }
    }
    println!();
    if !failed.is_empty() {
        println!("failed: {} (the messages stand above)", failed.join(", "));
    }
    println!("{counts}");
    failed.is_empty() && counts.failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options> {
        Options::parse(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let filter = Some("claim".to_owned());
        let expected = Options { kills: Some(300), histories: Some(2_000), filter };
        assert_eq!(options(&["--kills", "300", "--histories", "2000", "claim"]).unwrap(), expected);
        assert!(options(&["--kills"]).is_err());
        assert!(options(&["--kills", "many"]).is_err());
        assert!(options(&["--fast"]).is_err());
        assert!(options(&["one", "two"]).is_err());
    }

    #[test]
    fn nothing_that_failed_is_reported_as_passed() {
        let step = |name, ok| Outcome { name, ok, output: String::new() };
        let passed = Counts { passed: 5, failed: 0 };
        assert!(report(&[step("fmt", true)], &[(step("tests", true), passed)]));
        assert!(!report(&[step("fmt", false)], &[(step("tests", true), passed)]));
        assert!(!report(&[], &[(step("tests", false), Counts::default())]));
    }
}
