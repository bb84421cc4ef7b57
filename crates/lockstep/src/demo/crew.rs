//! The demo's workers, each a process of its own.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::{failure::Failure, output::Output};

const SHELL_WORKER: &str = include_str!("../../../../examples/workers/shell/worker.sh");
const PYTHON_WORKER: &str = include_str!("../../../../examples/workers/python/worker.py");
/// What these need of a machine.
const SHELL_TOOLS: &[&str] = &["curl", "sha256sum", "base64"];
const PYTHON_TOOLS: &[&str] = &["python3"];
/// How long workers get to end by themselves.
const GRACE: Duration = Duration::from_secs(5);

/// All workers; those that still run when this is dropped are killed.
pub(super) struct Crew {
    url: String,
    folder: PathBuf,
    members: Vec<Member>,
}

struct Member {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Crew {
    /// Makes a crew that works for a server, with scripts and logs in a folder.
    pub(super) fn new(url: &str, folder: &Path) -> Result<Self> {
        Ok(Self { url: url.to_owned(), folder: folder.to_owned(), members: Vec::new() })
    }

    /// Starts a worker of the SDK in this binary.
    pub(super) fn start_rust(
        &mut self,
        name: &str,
        lease: Duration,
        rest: Duration,
        concurrency: usize,
    ) -> Result<()> {
        self.start(name, rust_worker(name, lease, rest, concurrency)?)
    }

    /// Starts a worker for each of the specs of steps, in the language that the spec is named by;
    /// where that is missing here, the Rust worker does its steps too.
    pub(super) fn start_steps(
        &mut self,
        namespace: &str,
        specs: [&str; 3],
        lease: Duration,
        out: Output,
    ) -> Result<()> {
        let mut left = Vec::new();
        for spec in specs {
            let name = format!("{spec}-steps");
            let (tools, program, file, text) = match spec {
                "shell" => (SHELL_TOOLS, "sh", "worker.sh", SHELL_WORKER),
                "python" => (PYTHON_TOOLS, "python3", "worker.py", PYTHON_WORKER),
                _ => {
                    left.push(spec);
                    continue;
                }
            };
            if let Some(missing) = tools.iter().find(|tool| !has(tool)) {
                out.note(format!("there is no {missing} here, so Rust does the steps of {spec}"));
                left.push(spec);
                continue;
            }
            let mut command = self.script(program, file, text)?;
            command.args(["--namespace", namespace, "--spec", spec]);
            self.start(&name, command)?;
        }
        let mut command = rust_worker("rust-steps", lease, Duration::ZERO, 2)?;
        left.iter().for_each(|spec| _ = command.args(["--step", *spec]));
        command.env("LOCKSTEP_NAMESPACE", namespace);
        self.start("rust-steps", command)
    }

    /// Starts the shell worker, if this machine has what it needs.
    pub(super) fn start_shell(&mut self, out: Output) -> Result<()> {
        if let Some(missing) = SHELL_TOOLS.iter().find(|tool| !has(tool)) {
            out.note(format!("there is no {missing} here, so the shell worker is left out"));
            return Ok(());
        }
        let command = self.script("sh", "worker.sh", SHELL_WORKER)?;
        self.start("shell", command)
    }

    /// Starts the Python worker, if this machine has Python.
    pub(super) fn start_python(&mut self, out: Output) -> Result<()> {
        if !has("python3") {
            out.note("there is no python3 here, so the Python worker is left out");
            return Ok(());
        }
        let command = self.script("python3", "worker.py", PYTHON_WORKER)?;
        self.start("python", command)
    }

    fn script(&self, program: &str, file: &str, text: &str) -> Result<Command> {
        let script = self.folder.join(file);
        fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
        let mut command = Command::new(program);
        command.arg(script).env("LOCKSTEP_NAMESPACE", "");
        Ok(command)
    }

    fn start(&mut self, name: &str, mut command: Command) -> Result<()> {
        let log = self.folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        let child = command
            .env("LOCKSTEP_URL", &self.url)
            .env("LOCKSTEP_WORKER", name)
            .env_remove("LOCKSTEP_TOKEN")
            .env_remove("LOCKSTEP_TOKEN_FILE")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start the {name} worker"))?;
        self.members.push(Member { name: name.to_owned(), child, log });
        Ok(())
    }

    /// Ends one worker with SIGKILL and waits until it is gone.
    pub(super) async fn kill(&mut self, name: &str) -> Result<()> {
        let place = self.members.iter().position(|member| member.name == name);
        let place = place.ok_or_else(|| {
            Failure::differs(format!("there is no worker {name} to kill"), String::new())
        })?;
        let mut member = self.members.remove(place);
        member.child.kill().await.with_context(|| format!("cannot kill worker {name}"))
    }

    /// Lets all workers end, and tells which had ended by themselves before.
    pub(super) async fn stop(&mut self) -> Vec<String> {
        let mut ended_early = Vec::new();
        for member in &mut self.members {
            match member.child.try_wait() {
                Ok(None) => terminate(&member.child),
                Ok(Some(status)) => ended_early.push(format!(
                    "worker {} ended too early with {status}: {}",
                    member.name,
                    tail(&member.log)
                )),
                Err(error) => ended_early.push(format!("worker {}: {error}", member.name)),
            }
        }
        for member in &mut self.members {
            if timeout(GRACE, member.child.wait()).await.is_err() {
                ended_early.push(format!("worker {} had to be killed", member.name));
                // Dropping the child kills it too, so a failure here leaves nothing behind.
                let _killed = member.child.kill().await;
            }
        }
        self.members.clear();
        ended_early
    }

    /// Gives the ends of all logs.
    pub(super) fn logs(&self) -> String {
        let log = |member: &Member| format!("{}: {}", member.name, tail(&member.log));
        self.members.iter().map(log).collect::<Vec<_>>().join("; ")
    }
}

/// Gives the worker of the SDK in this binary.
fn rust_worker(name: &str, lease: Duration, rest: Duration, concurrency: usize) -> Result<Command> {
    let program = env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command
        .args(["demo-worker", "--name", name])
        .args(["--lifetime", &format!("{}ms", lease.as_millis())])
        .args(["--rest", &format!("{}ms", rest.as_millis())])
        .args(["--concurrency", &concurrency.to_string()])
        .env("LOCKSTEP_NAMESPACE", "");
    Ok(command)
}

fn terminate(child: &Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // A worker that is gone already needs no signal.
        let _sent = kill_process(id, Signal::TERM);
    }
}

/// Gives the end of a log.
fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// Tells whether a program can be found here.
fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
