//! Real programs, one per unit.

use std::{fs, os::unix::ffi::OsStrExt, path::Path, time::Duration};

use client::{
    Lockstep, SpecHandle,
    exec::{self, ExecOptions},
    worker::{Tally, Worker, WorkerOptions},
};
use model::{Data, Datum, Page, UnitRef, UnitStatus, WorkerName};
use serde_json::{Value, json as value};
use tokio::sync::oneshot;

use crate::support::{
    eventually, json, lockstep, new_unit, options, spec, spec_name, text_of, unit_name, units,
};

fn exec(command: impl Into<String>) -> ExecOptions {
    ExecOptions {
        command: command.into(),
        url: "http://127.0.0.1:5980".to_owned(),
        retry_delay: Duration::from_secs(90),
        kill_grace: Duration::from_millis(300),
    }
}

fn worker(lockstep: &Lockstep, options: WorkerOptions, command: impl Into<String>) -> Worker {
    Worker::new(lockstep.clone(), options).other(exec::task(exec(command)))
}

/// Runs a command for the unit `u` of a spec with data, and gives the unit.
async fn run_one(command: &str, data: Value) -> (Tally, SpecHandle, model::Unit) {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s", "then": "next"}), &[]).await;
    spec.add(vec![new_unit("u", json(data))]).await.unwrap();
    let worker = worker(&lockstep, options(), command);
    let tally = worker.run_until_empty(std::future::pending::<()>()).await.unwrap();
    let unit = units(&spec).await.remove(0);
    (tally, spec, unit)
}

/// Writes a path for a command line.
fn quoted(path: &Path) -> String {
    let path = std::str::from_utf8(path.as_os_str().as_bytes()).unwrap();
    assert!(!path.contains('\''));
    format!("'{path}'")
}

#[tokio::test]
async fn a_program_gets_the_trace_context_of_its_unit() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &[]).await;
    let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = json(value!({"traceparent": context}));
    let odd = json(value!({"traceparent": 1}));
    spec.add(vec![new_unit("a", traced), new_unit("b", odd)]).await.unwrap();
    let command = r#"printf '{"trace": "%s"}' "${TRACEPARENT-none}""#;
    let options = WorkerOptions { specs: vec![spec_name("s")], ..options() };
    let worker = worker(&lockstep, options, command);
    worker.run_until_empty(std::future::pending::<()>()).await.unwrap();
    let done = units(&spec).await;
    let texts: Vec<_> = done.iter().map(|unit| text_of(&unit.data, "trace")).collect();
    assert_eq!(texts, [context, "none"]);
}

#[tokio::test]
async fn a_program_gets_the_unit_and_gives_its_data() {
    let lockstep = lockstep();
    let next = spec(&lockstep, value!({"name": "next"}), &[]).await;
    let first = spec(&lockstep, value!({"name": "s", "then": "next"}), &[]).await;
    let names: [&[u8]; 3] = [b"plain name", b"-dash", b"\xff\xfe"];
    let data = json(value!({"n": 1, "text": "a\nb"}));
    first.add(names.map(|name| new_unit(name, data.clone())).into()).await.unwrap();
    let command = r#"
        input=$(cat)
        names="$LOCKSTEP_URL $LOCKSTEP_NAMESPACE $LOCKSTEP_SPEC"
        if [ "$LOCKSTEP_ATTEMPT" = "$LOCKSTEP_ATTEMPT_TOKEN" ]; then same=true; else same=false; fi
        printf '{"input": %s, "names": "%s", "unit": "%s", ' "$input" "$names" "$LOCKSTEP_UNIT"
        printf '"same": %s, "output": {"%s": {"x": 1}}}' "$same" "$LOCKSTEP_UNIT""#;
    let options = WorkerOptions { specs: vec![spec_name("s")], ..options() };
    let worker = worker(&lockstep, options, command);
    let tally = worker.run_until_empty(std::future::pending::<()>()).await.unwrap();
    assert_eq!(tally, Tally { finished: 3, ..Tally::default() });
    let units = units(&first).await;
    let texts: Vec<_> = units.iter().map(|unit| text_of(&unit.data, "unit")).collect();
    assert_eq!(texts, ["-LWRhc2g", "plain name", "-__4"]);
    let dict = units[1].data.dict().unwrap();
    assert_eq!(dict["names"], Datum::Text("http://127.0.0.1:5980 test s".to_owned()));
    assert_eq!(dict["same"], Datum::Bool(true));
    assert_eq!(
        dict["input"],
        Datum::Map(vec![
            (Datum::Text("n".to_owned()), Datum::Int(1)),
            (Datum::Text("text".to_owned()), Datum::Text("a\nb".to_owned())),
        ])
    );
    let chained = crate::support::units(&next).await;
    assert_eq!(chained.len(), 3);
    assert_eq!(chained[0].data, json(value!({"x": 1})));
}

#[tokio::test]
async fn silence_finishes_and_keeps_the_data() {
    let (tally, _, unit) = run_one("true", value!({"a": "b"})).await;
    assert_eq!(tally.finished, 1);
    assert_eq!(unit.data, json(value!({"a": "b"})));
}

#[tokio::test]
async fn exit_status_75_asks_for_another_try() {
    let (tally, spec, unit) = run_one(r#"echo '{"seen": 1}'; exit 75"#, value!({})).await;
    assert_eq!(tally, Tally { retried: 1, ..Tally::default() });
    assert_eq!(unit.status, UnitStatus::Delayed);
    let attempts = spec.unit(unit_name("u")).attempts(Page::default()).await.unwrap();
    let not_before = unit.meta.not_before.unwrap();
    assert_eq!(not_before.since(attempts[0].end.unwrap()), Duration::from_secs(90));
    assert_eq!(attempts[0].data, json(value!({"seen": 1})));
}

#[tokio::test]
async fn any_other_exit_fails_with_the_last_lines() {
    let command = "echo '{\"output\": {\"x\": {}}}'; seq 1 30 >&2; exit 3";
    let (tally, _, unit) = run_one(command, value!({"a": "b"})).await;
    assert_eq!(tally, Tally { failed: 1, ..Tally::default() });
    let lines: Vec<String> = (11..=30).map(|n| n.to_string()).collect();
    assert_eq!(unit.data, json(value!({"traceback": lines.join("\n"), "exit": 3})));
}

#[tokio::test]
async fn a_signal_fails_like_128_and_its_number() {
    let (_, _, unit) = run_one("kill -KILL $$", value!({})).await;
    assert_eq!(unit.status, UnitStatus::Failed);
    assert_eq!(unit.data.dict().unwrap()["exit"], Datum::Int(128 + 9));
}

#[tokio::test]
async fn what_is_not_an_object_fails() {
    for command in ["echo hello", "echo 3", "echo '[1]'", "head -c 17000000 /dev/zero"] {
        let (_, _, unit) = run_one(command, value!({})).await;
        assert_eq!(unit.status, UnitStatus::Failed, "{command}");
        let traceback = text_of(&unit.data, "traceback");
        assert!(traceback.starts_with("standard output is not a JSON object: "), "{traceback}");
        assert_eq!(unit.data.dict().unwrap()["exit"], Datum::Int(0));
    }
}

#[tokio::test]
async fn large_input_and_output_do_not_block() {
    let text = "x".repeat(900_000);
    let (_, _, unit) = run_one("cat; seq 1 100000 >&2", value!({"text": text})).await;
    assert_eq!(unit.status, UnitStatus::Finished);
    assert_eq!(text_of(&unit.data, "text").len(), 900_000);
}

#[tokio::test]
async fn what_a_program_leaves_behind_does_not_hold_it_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let command = format!("sleep 1000 & echo $! > {}; echo '{{\"a\": 1}}'", quoted(&file));
    let (_, _, unit) = run_one(&command, value!({})).await;
    assert_eq!((unit.status, unit.data), (UnitStatus::Finished, json(value!({"a": 1}))));
    is_gone(&file).await;
}

/// A program that ignores SIGTERM and has a child; both write their number into a file.
fn stubborn(file: &Path) -> String {
    format!(
        "trap '' TERM; sh -c 'sleep 1000' & echo $! $$ > {0}.new; mv {0}.new {0}; wait",
        quoted(file)
    )
}

/// Waits until a stubborn program runs.
async fn is_there(file: &Path) {
    eventually("the program to start", async || file.exists().then_some(())).await;
}

/// Waits until the processes whose numbers are in a file have ended.
async fn is_gone(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let pids: Vec<u32> = text.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert!(!pids.is_empty());
    for pid in pids {
        eventually("the process to end", async || {
            let status = fs::read_to_string(format!("/proc/{pid}/stat"));
            // A zombie is as good as gone: whoever inherited it has not looked yet.
            status.map_or(true, |text| text.contains(") Z ")).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_lost_lease_ends_the_whole_group() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["u"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let options = WorkerOptions { lifetime: Duration::from_secs(1), ..options() };
    let worker = worker(&lockstep, options, stubborn(&file));
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = tokio::spawn(worker.run(stopped));
    is_there(&file).await;
    let unit = UnitRef { spec: spec_name("s"), name: unit_name("u"), id: None };
    let thief = lockstep.worker(WorkerName::new("thief").unwrap());
    let theirs = thief.make_attempt(unit, Some(Duration::from_secs(600))).await.unwrap();
    is_gone(&file).await;
    stop.send(()).unwrap();
    assert_eq!(worker.await.unwrap().unwrap(), Tally { lost: 1, ..Tally::default() });
    let unit = &units(&spec).await[0];
    assert_eq!((unit.status, &unit.active), (UnitStatus::Pending, &Some(theirs)));
}

#[tokio::test]
async fn a_shutdown_ends_the_group_and_gives_the_unit_back() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["u"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let options = WorkerOptions { grace: Duration::ZERO, ..options() };
    let worker = worker(&lockstep, options, stubborn(&file));
    let stop = async { is_there(&file).await };
    let tally = worker.run(stop).await.unwrap();
    assert_eq!(tally, Tally { given_back: 1, ..Tally::default() });
    assert_eq!(units(&spec).await[0].status, UnitStatus::Available);
    is_gone(&file).await;
}

#[tokio::test]
async fn a_program_that_runs_for_too_long_is_failed() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &["u"]).await;
    let options = WorkerOptions { task_max: Some(Duration::from_millis(200)), ..options() };
    let worker = worker(&lockstep, options, "echo so far so good >&2; sleep 1000");
    let tally = worker.run_until_empty(std::future::pending::<()>()).await.unwrap();
    assert_eq!(tally, Tally { failed: 1, ..Tally::default() });
    let unit = &units(&spec).await[0];
    assert_eq!(text_of(&unit.data, "traceback"), "timed out\nso far so good");
}

#[tokio::test]
async fn a_dropped_worker_leaves_no_process() {
    let lockstep = lockstep();
    let spec = spec(&lockstep, value!({"name": "s"}), &[]).await;
    spec.add(vec![new_unit("u", Data::default())]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let worker = worker(&lockstep, options(), stubborn(&file));
    tokio::select! {
        ended = worker.run(std::future::pending::<()>()) => panic!("{ended:?}"),
        () = is_there(&file) => {}
    }
    is_gone(&file).await;
}
