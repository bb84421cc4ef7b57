//! Running any program per unit: the engine of `lockstep worker --exec COMMAND`.
//!
//! The program gets the unit's data as JSON on standard input, and names in its environment:
//! `LOCKSTEP_URL`, `LOCKSTEP_NAMESPACE`, `LOCKSTEP_SPEC`, `LOCKSTEP_UNIT`, `LOCKSTEP_ATTEMPT` and
//! `LOCKSTEP_ATTEMPT_TOKEN`, and `TRACEPARENT` where the unit has a trace context. Exit status 0
//! finishes the unit, 75 has it tried again, anything else fails it with the last lines of standard
//! error. What it prints on standard output, a JSON object or nothing, becomes the unit's data. The
//! program runs in a process group of its own, which is ended when the task is cancelled.

mod kept;

use std::{
    ffi::OsString,
    future::Future,
    io,
    os::unix::{ffi::OsStringExt, process::ExitStatusExt},
    pin::{Pin, pin},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use model::{BoxFuture, Data, Datum, Dict, data_from_json, data_to_json, escape, limits};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    time::timeout,
};

use self::kept::{Keep, Kept};
use crate::worker::{Cancelled, Outcome, Task, TaskResult};

/// How programs are run.
#[derive(Clone, Debug)]
pub struct ExecOptions {
    /// What `sh -c` runs.
    pub command: String,
    /// The server's URL, for programs that talk to it themselves.
    pub url: String,
    /// The delay before a unit whose program asks for it is tried again.
    pub retry_delay: Duration,
    /// How long a program may take to end after SIGTERM, before its group gets SIGKILL.
    pub kill_grace: Duration,
}

/// The exit status that asks for another try, `EX_TEMPFAIL` of sysexits.
const TRY_AGAIN: i32 = 75;
/// How much of standard error is looked at, from its end.
const STDERR_BYTES_MAX: usize = 64 << 10;
/// How many lines of it are kept.
const STDERR_LINES_MAX: usize = 20;
/// How long pipes may stay open after the program has ended.
const PIPES_MAX: Duration = Duration::from_secs(1);

/// Makes the task for [`crate::worker::Worker::other`].
pub fn task(
    options: ExecOptions,
) -> impl Fn(Task) -> BoxFuture<'static, TaskResult> + Send + Sync + 'static {
    let options = Arc::new(options);
    move |task| {
        let options = options.clone();
        Box::pin(async move { run(&task, &options).await })
    }
}

/// Runs the program for one unit. Dropping the future kills the program's group.
///
/// # Errors
/// If the program cannot be started, or was ended because the task was cancelled.
pub async fn run(task: &Task, options: &ExecOptions) -> TaskResult {
    let mut child = command(task, options)
        .spawn()
        .map_err(|error| format!("cannot run sh for {:?}: {error}", options.command))?;
    let mut group = Group::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = data_to_json(task.data()).to_string() + "\n";
    let mut output = Kept::new(Keep::First(limits::DATA_BYTES_MAX));
    let mut log = Kept::new(Keep::Last(STDERR_BYTES_MAX));
    let pipes = async {
        tokio::join!(feed(stdin, input), output.read(stdout), log.read(stderr));
    };
    let ended = attend(task, &mut child, &mut group, options.kill_grace, pipes).await;
    match ended {
        Ended::Exited(status) => Ok(outcome(status?, &output, &log, options.retry_delay)),
        Ended::Cancelled(reason) => {
            Err(format!("{reason}\n{}", log.last_lines(STDERR_LINES_MAX)).trim_end().into())
        }
    }
}

fn command(task: &Task, options: &ExecOptions) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(&options.command)
        .env("LOCKSTEP_URL", &options.url)
        .env("LOCKSTEP_NAMESPACE", env_name(task.lockstep().namespace().as_str().as_bytes()))
        .env("LOCKSTEP_SPEC", env_name(task.spec().as_str().as_bytes()))
        .env("LOCKSTEP_UNIT", env_name(task.unit().as_bytes()))
        .env("LOCKSTEP_ATTEMPT", task.attempt().id.to_string())
        .env("LOCKSTEP_ATTEMPT_TOKEN", task.token().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // Whoever reads it checks it, as the recommendation says; that of the worker is another one.
    match task.traceparent().filter(|context| !context.contains('\0')) {
        Some(context) => command.env("TRACEPARENT", context),
        None => command.env_remove("TRACEPARENT"),
    };
    command
}

/// Writes a name for the environment: as it is, or escaped as in URLs where it is not UTF-8, holds
/// a NUL or starts with `-`. So a leading `-` always says that the name is escaped.
fn env_name(name: &[u8]) -> OsString {
    let plain = std::str::from_utf8(name).is_ok() && !name.contains(&0) && !name.starts_with(b"-");
    if plain { OsString::from_vec(name.to_vec()) } else { escape(name).into() }
}

async fn feed(stdin: Option<ChildStdin>, input: String) {
    if let Some(mut stdin) = stdin {
        // A program that does not read its input closes the pipe, which is its right.
        let _closed = stdin.write_all(input.as_bytes()).await;
    }
}

/// How a program ended.
enum Ended {
    Exited(io::Result<ExitStatus>),
    Cancelled(Cancelled),
}

/// Waits for the program while its pipes flow, and ends its group when the task is cancelled.
async fn attend(
    task: &Task,
    child: &mut Child,
    group: &mut Group,
    kill_grace: Duration,
    pipes: impl Future<Output = ()>,
) -> Ended {
    let (mut pipes, mut open) = (pin!(pipes), true);
    let ended = async {
        tokio::select! {
            status = child.wait() => Ended::Exited(status),
            reason = task.cancelled() => Ended::Cancelled(reason),
        }
    };
    let ended = beside(pipes.as_mut(), &mut open, ended).await;
    let patience = match ended {
        Ended::Exited(_) => PIPES_MAX,
        Ended::Cancelled(_) => {
            group.signal(Signal::TERM);
            kill_grace
        }
    };
    // The pipes close when the last process of the group has ended.
    let quiet = async {
        let _status = beside(pipes.as_mut(), &mut open, child.wait()).await;
        if open {
            pipes.as_mut().await;
            open = false;
        }
    };
    if timeout(patience, quiet).await.is_err() {
        group.signal(Signal::KILL);
        let _status = child.wait().await;
        if open {
            // A process that left the group may hold them open for ever.
            let _open = timeout(PIPES_MAX, pipes).await;
        }
    }
    group.leave();
    ended
}

/// Awaits something while the pipes flow.
async fn beside<T>(
    mut pipes: Pin<&mut impl Future<Output = ()>>,
    open: &mut bool,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = &mut pipes, if *open => *open = false,
        }
    }
}

/// A process group that does not outlive this value.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // A group that has already ended needs no signal.
            let _gone = kill_process_group(group, signal);
        }
    }

    /// The program has ended, and its number may soon be another's.
    fn leave(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn outcome(status: ExitStatus, output: &Kept, log: &Kept, retry_delay: Duration) -> Outcome {
    // As shells do: a signal counts from 128.
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let result = match code {
        0 => data_of(output).map(Outcome::Finish),
        TRY_AGAIN => data_of(output).map(|data| Outcome::Retry(retry_delay, data)),
        _ => Err(log.last_lines(STDERR_LINES_MAX)),
    };
    result.unwrap_or_else(|traceback| {
        let dict = Dict::from([
            ("traceback".to_owned(), Datum::Text(traceback)),
            ("exit".to_owned(), Datum::Int(i128::from(code))),
        ]);
        // So small a dictionary is never over a limit.
        Outcome::Fail(Data::from_dict(&dict).unwrap_or_default())
    })
}

/// Reads standard output: nothing, or a JSON object.
fn data_of(output: &Kept) -> Result<Option<Data>, String> {
    let wrong = |why: String| format!("standard output is not a JSON object: {why}");
    if output.is_cut() {
        return Err(wrong(format!("it has more than {} bytes", limits::DATA_BYTES_MAX)));
    }
    let text = output.bytes().trim_ascii();
    if text.is_empty() {
        return Ok(None);
    }
    let value = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
    data_from_json(&value).map(Some).map_err(|error| wrong(error.to_string()))
}
