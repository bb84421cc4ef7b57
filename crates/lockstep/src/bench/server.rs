//! A server in a process of its own.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long the server gets to end in good order.
const GRACE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A server that runs.
pub(super) struct Server {
    child: Child,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Where it speaks CBOR-RPC.
    pub(super) rpc: SocketAddr,
}

impl Server {
    /// Starts `lockstep serve` with a store, as `--store` takes it, and waits until it listens.
    pub(super) fn start(store: &str, folder: &Path) -> Result<Self> {
        Self::start_with(store, folder, &[])
    }

    /// Starts it with more flags.
    pub(super) fn start_with(store: &str, folder: &Path, flags: &[&str]) -> Result<Self> {
        let config = folder.join("serve.toml");
        std::fs::write(&config, "")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--log-format", "text"])
            .args(["--rpc", "127.0.0.1:0", "--store", store])
            .args(flags)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start a server")?;
        let stderr = child.stderr.take().context("the server has no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        let mut address = None;
        let rpc = loop {
            let Some(line) = lines.next().transpose()? else {
                let status = child.wait()?;
                bail!("the server did not start ({status}): {said}");
            };
            if let Some((_, at)) = line.split_once("listening on http://") {
                address = Some(at.trim().parse().context("the server named no address")?);
            }
            if let Some((_, at)) = line.split_once("CBOR-RPC on ") {
                break at.trim().parse().context("the server named no address")?;
            }
            said = line;
        };
        // A pipe that nobody reads would stop the server.
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        let address = address.context("the server named no address")?;
        Ok(Self { child, address, rpc })
    }

    /// Gives the bytes of memory that it takes, where the system tells.
    pub(super) fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
    }

    /// Gives the time that processors have spent on it.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split(' ').next().context("no processor time")?;
            nanos += first.parse::<u64>().context("no processor time")?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Tells it to stop and waits until it has.
    pub(super) fn stop(mut self) -> Result<()> {
        if let Some(pid) = Pid::from_raw(i32::try_from(self.child.id())?) {
            kill_process(pid, Signal::TERM)?;
        }
        let start = Instant::now();
        while start.elapsed() < GRACE {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            thread::sleep(LOOK_AGAIN);
        }
        bail!("the server did not stop within {} s", GRACE.as_secs())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, unless something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
