//! How a failure is told: lines on standard error, and an exit code.

use std::{fmt, io, process::ExitCode};

use model::{Error, ErrorCode};

use crate::output::say;

/// A failure of the program itself, with what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    code: &'static str,
    exit: u8,
    message: String,
    hint: String,
}

impl Failure {
    /// Says that the request itself is wrong.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: ErrorCode::USAGE.code, exit: 2, message: message.into(), hint: hint.into() }
    }

    /// Gives an error another hint.
    pub(crate) fn hinted(error: anyhow::Error, hint: impl Into<String>) -> Self {
        let Told { exit, code, .. } = told(&error);
        Self { code, exit, message: format!("{error:#}"), hint: hint.into() }
    }

    /// Says that work was done and its outcome is not what it has to be.
    pub(crate) fn differs(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: ErrorCode::DIFFERS.code, exit: 1, message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// What the shell gets to know about an error.
struct Told {
    exit: u8,
    code: &'static str,
    hint: String,
}

/// Tells what is wrong with the command line, or shows the help that was asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // A reader that went away needs no message.
    let _printed = error.print();
    if error.use_stderr() {
        say(&format!("code: {}", ErrorCode::USAGE.code));
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}

/// Tells the outcome on standard error and gives the exit code.
pub(crate) fn exit_code(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let told = told(&error);
            say(&format!("error: {error:#}"));
            if !told.hint.is_empty() {
                say(&format!("hint: {}", told.hint));
            }
            say(&format!("code: {}", told.code));
            ExitCode::from(told.exit)
        }
    }
}

/// Tells how to get a server, where one could not be reached.
pub(crate) fn at_server(error: anyhow::Error) -> anyhow::Error {
    if matches!(error.downcast_ref::<Error>(), Some(Error::Unavailable(_))) {
        let hint = "start a server with `lockstep serve`, or name another one with --url";
        return Failure::hinted(error, hint).into();
    }
    error
}

fn told(error: &anyhow::Error) -> Told {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            let hint = failure.hint.clone();
            return Told { exit: failure.exit, code: failure.code, hint };
        }
        if let Some(error) = cause.downcast_ref::<Error>() {
            let code = error.code();
            return Told { exit: exit_of(error), code: code.code, hint: hint_of(error) };
        }
    }
    Told { exit: 1, code: ErrorCode::FAILED.code, hint: String::new() }
}

fn hint_of(error: &Error) -> String {
    match error {
        Error::Unauthenticated(_) => {
            "give a token with --token-file, or set LOCKSTEP_TOKEN".to_owned()
        }
        other => other.code().hint.to_owned(),
    }
}

/// Maps errors to exit codes by their HTTP status, which already says who has to act.
fn exit_of(error: &Error) -> u8 {
    match error.code().status {
        400 | 413 => 2,
        404 | 410 => 3,
        409 => 4,
        429 | 503 | 507 => 5,
        401 | 403 => 6,
        _ => 1,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
