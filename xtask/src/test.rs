//! `cargo xtask test`: every check and every test, and one closing line.

use anyhow::{Context, Result, bail};

use crate::{
    counts::Counts,
    step::{Outcome, cargo, program, quietly, timed},
    tidy, tools,
};

/// Tells the crash rig how often to kill the server.
const KILLS: &str = "LOCKSTEP_KILLS";

/// What was asked for.
#[derive(Debug, Default, PartialEq)]
struct Options {
    kills: Option<u32>,
    filter: Option<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--kills" {
                let number = args.next().context("--kills needs a number")?;
                let kills = number.parse().with_context(|| format!("--kills {number:?}"))?;
                options.kills = Some(kills);
            } else if arg.starts_with('-') || options.filter.is_some() {
                bail!("cannot understand {arg:?}: usage is test [--kills N] [FILTER]");
            } else {
                options.filter = Some(arg.clone());
            }
        }
        Ok(options)
    }
}

/// Runs everything, whatever fails on the way, and tells whether all of it passed.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let options = Options::parse(args)?;
    println!("the first run compiles everything, which takes some minutes");
    let tools = timed("tools", || tools::ensure().map(|()| (true, String::new())))?;
    let checks = [
        tools,
        program("fmt", &mut cargo(&["fmt", "--all", "--", "--check", "-l"]))?,
        timed("tidy", || Ok((tidy::run()?, String::new())))?,
        clippy()?,
    ];
    let tests = [nextest(&options)?, doctests()?];
    Ok(report(&checks, &tests))
}

fn clippy() -> Result<Outcome> {
    let args = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    program("clippy", &mut cargo(&args))
}

fn nextest(options: &Options) -> Result<(Outcome, Counts)> {
    let mut command = cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]);
    command.args(["--cargo-quiet", "--show-progress", "none", "--failure-output", "final"]);
    if let Some(filter) = &options.filter {
        command.args([filter.as_str(), "--no-tests", "pass"]);
    }
    if let Some(kills) = options.kills {
        command.env(KILLS, kills.to_string()).args(["--profile", "long"]);
    }
    let outcome = program("tests", &mut command)?;
    let counts = Counts::of_nextest(&outcome.output);
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
        let expected = Options { kills: Some(300), filter };
        assert_eq!(options(&["--kills", "300", "claim"]).unwrap(), expected);
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
