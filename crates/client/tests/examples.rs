//! The workers in `examples/`, which know nothing but REST.

use std::{fs, net::SocketAddr, path::Path, process::Stdio, sync::Arc};

use client::{Lockstep, Remote, RemoteOptions, SpecHandle};
use model::{Data, UnitStatus, data_to_json};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json as value;
use tokio::process::{Child, Command};

use crate::{
    remote::Real,
    support::{eventually, json, namespace, new_unit, spec, text_of, unit_name, units},
};

struct Example {
    program: &'static str,
    script: &'static str,
    by: &'static str,
}

const SHELL: Example = Example { program: "sh", script: "shell/worker.sh", by: "shell" };
const PYTHON: Example = Example { program: "python3", script: "python/worker.py", by: "python" };

impl Example {
    fn start(&self, url: &str, args: &[&str]) -> Child {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/workers");
        let mut command = Command::new(self.program);
        command.arg(folder.join(self.script)).args(["--url", url, "--namespace", "a/b"]);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap()
    }
}

fn server() -> (Real, String, Lockstep) {
    let real =
        Real::start(&crate::remote::real_engine(), SocketAddr::from(([127, 0, 0, 1], 0)), true);
    let url = format!("http://{}", real.address);
    let remote = Remote::new(&url, RemoteOptions::standard()).unwrap();
    let lockstep = Lockstep::new(Arc::new(remote), namespace("a/b"));
    (real, url, lockstep)
}

async fn flow(lockstep: &Lockstep) -> (SpecHandle, SpecHandle) {
    let next = spec(lockstep, value!({"name": "report"}), &[]).await;
    let scan = spec(lockstep, value!({"name": "scan", "then": "report"}), &[]).await;
    (scan, next)
}

/// Files with awkward names and contents; the last one is not there.
const FILES: [(&str, &str, u64); 4] = [
    ("plain.txt", "one\ntwo\n", 2),
    ("with \"quotes\" and \\ and 'more'", "no line end", 0),
    ("ünïcödé $(date) `id` %s", "", 0),
    ("missing", "", 0),
];

async fn all_files(example: &Example) {
    let (_real, url, lockstep) = server();
    let (scan, next) = flow(&lockstep).await;
    let folder = tempfile::tempdir().unwrap();
    let mut new = vec![new_unit(b"\xff no path", Data::default())];
    for (name, text, _) in FILES {
        let path = folder.path().join(name);
        if name != "missing" {
            fs::write(&path, text).unwrap();
        }
        new.push(new_unit(name, json(value!({"path": path.to_str().unwrap()}))));
    }
    scan.add(new).await.unwrap();
    let status = example.start(&url, &["--until-empty"]).wait().await.unwrap();
    assert!(status.success(), "{status}");

    for (name, text, lines) in &FILES[..3] {
        let unit = scan.unit(unit_name(name)).get().await.unwrap();
        assert_eq!(unit.status, UnitStatus::Finished, "{name}: {:?}", unit.data);
        let mut data = data_to_json(&unit.data);
        let output = data.as_object_mut().unwrap().remove("output").unwrap();
        assert_eq!(data["path"], folder.path().join(name).to_str().unwrap());
        assert_eq!((&data["bytes"], &data["lines"]), (&value!(text.len()), &value!(lines)));
        assert_eq!((&data["by"], output), (&value!(example.by), value!({ *name: data })));
        let chained = next.unit(unit_name(name)).get().await.unwrap();
        assert_eq!(data_to_json(&chained.data), data);
    }
    let plain = scan.unit(unit_name("plain.txt")).get().await.unwrap();
    let digest = "c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8";
    assert_eq!(text_of(&plain.data, "sha256"), digest);
    for name in [&b"missing"[..], b"\xff no path"] {
        let unit = scan.unit(unit_name(name)).get().await.unwrap();
        assert_eq!(unit.status, UnitStatus::Failed, "{:?}", unit.data);
        assert!(!text_of(&unit.data, "traceback").is_empty());
    }
    assert_eq!(units(&next).await.len(), 3);
}

#[tokio::test]
async fn the_shell_worker_reads_files() {
    all_files(&SHELL).await;
}

#[tokio::test]
async fn the_python_worker_reads_files() {
    all_files(&PYTHON).await;
}

/// Tells a worker to do one unit, and another to end when it is told to.
async fn once_and_until_told(example: &Example) {
    let (real, url, lockstep) = server();
    let (scan, _) = flow(&lockstep).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let data = json(value!({"path": file.path().to_str().unwrap()}));
    let add = async |name: &str| scan.add(vec![new_unit(name, data.clone())]).await.unwrap();
    let finished = async || scan.get().await.unwrap().counts.finished;
    add("a").await;
    add("b").await;
    assert!(example.start(&url, &["--once"]).wait().await.unwrap().success());
    assert_eq!(finished().await, 1);

    let mut child = example.start(&url, &["--name", "odd name"]);
    let second = async || (finished().await == 2).then_some(());
    eventually("the second unit to be finished", second).await;
    // A server that comes back is as good as one that stayed.
    let (address, engine) = (real.address, real.engine.clone());
    real.stop().await;
    let real = Real::start(&engine, address, true);
    add("c").await;
    let third = async || (finished().await == 3).then_some(());
    eventually("the third unit to be finished", third).await;
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(child.wait().await.unwrap().success());
    drop(real);
}

#[tokio::test]
async fn the_shell_worker_ends_when_it_is_told_to() {
    once_and_until_told(&SHELL).await;
}

#[tokio::test]
async fn the_python_worker_ends_when_it_is_told_to() {
    once_and_until_told(&PYTHON).await;
}
