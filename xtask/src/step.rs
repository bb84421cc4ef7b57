//! A step: one program that runs, shows its output as it comes, and is timed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context, Result};

/// What became of a step.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Whether it went well.
    pub(crate) ok: bool,
    /// All that it printed.
    pub(crate) output: String,
}

/// Runs work under a heading, and prints how it went and how long it took.
pub(crate) fn timed(
    name: &'static str,
    work: impl FnOnce() -> Result<(bool, String)>,
) -> Result<Outcome> {
    println!("==> {name}");
    let start = Instant::now();
    let (ok, output) = work()?;
    let (word, seconds) = (if ok { "ok" } else { "FAILED" }, start.elapsed().as_secs_f64());
    println!("    {name}: {word} in {seconds:.1} s");
    Ok(Outcome { name, ok, output })
}

/// Runs a program as a step.
pub(crate) fn program(name: &'static str, command: &mut Command) -> Result<Outcome> {
    timed(name, || shown(command))
}

/// Runs a program as a step whose output is shown only if it fails.
pub(crate) fn quietly(name: &'static str, command: &mut Command) -> Result<Outcome> {
    timed(name, || {
        let what = format!("cannot run {:?}", command.get_program());
        let done = command.stdin(Stdio::null()).output().context(what)?;
        let mut output = String::from_utf8_lossy(&done.stdout).into_owned();
        output.push_str(&String::from_utf8_lossy(&done.stderr));
        if !done.status.success() {
            print!("{output}");
        }
        Ok((done.status.success(), output))
    })
}

/// Runs a program, passes its output on line by line, and keeps a copy.
fn shown(command: &mut Command) -> Result<(bool, String)> {
    let what = format!("cannot run {:?}", command.get_program());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context(what)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let errors = thread::spawn(move || stderr.map_or_else(String::new, pass_on));
    let mut output = stdout.map_or_else(String::new, pass_on);
    output.push_str(&errors.join().unwrap_or_default());
    Ok((child.wait()?.success(), output))
}

/// Prints what comes and gives it back; bytes that are not UTF-8 are replaced.
fn pass_on(from: impl Read) -> String {
    let mut all = String::new();
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        // A closed standard output must not stop the program whose output this is.
        let _ = std::io::stdout().lock().write_all(&line);
        all.push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
    all
}

/// Makes a call of cargo with the arguments given.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_outcome_are_kept() {
        let script = "echo one; echo two >&2; exit 3";
        let outcome = program("script", Command::new("sh").args(["-c", script])).unwrap();
        assert!(!outcome.ok);
        assert!(outcome.output.contains("one\n") && outcome.output.contains("two\n"));
    }

    #[test]
    fn a_missing_program_is_an_error() {
        assert!(program("none", &mut Command::new("no-such-program-here")).is_err());
    }
}
