//! What was measured on.

use std::{fs, process::Command};

use engine::{Clock as _, SystemClock};
use serde_json::{Value, json};

/// Collects what a reader of the figures wants to know of the machine and the program.
pub(super) fn facts() -> Value {
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "processor": first_value("/proc/cpuinfo", "model name"),
        "memory": first_value("/proc/meminfo", "MemTotal"),
        "system": std::env::consts::OS,
        "kernel": line("/proc/sys/kernel/osrelease"),
        "load_at_start": line("/proc/loadavg"),
        "date": SystemClock.now().to_string(),
        "sqlite": rusqlite::version(),
        "version": env!("CARGO_PKG_VERSION"),
        "commit": commit(),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    })
}

fn line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn first_value(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let (_, value) = text.lines().find(|line| line.starts_with(key))?.split_once(':')?;
    Some(value.trim().to_owned())
}

/// Names the commit of the source folder, if it is still there.
fn commit() -> Option<String> {
    let git = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"])
        .output()
        .ok()?;
    git.status.success().then(|| String::from_utf8_lossy(&git.stdout).trim().to_owned())
}
