//! Bringing over what a Coordinate server holds.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::support::{Said, Server, lockstep, run};

fn import(home: &Path, url: &str, more: &[&str]) -> Said {
    let store = store(home);
    let mut args = vec!["import", "--from", "coordinate", url, "--store", &store, "--json"];
    args.extend(more);
    run(&mut lockstep(home), &args)
}

fn store(home: &Path) -> String {
    format!("sqlite:{}/imported.db", home.display())
}

/// Fills a server with a bit of everything.
fn filled() -> Server {
    let server = Server::start();
    let json = |args: &[&str]| server.json(args);
    json(&["spec", "set", "name=scan", "then=next", "max_retries=5", "priority=3"]);
    json(&["spec", "set", "name=next", "task=x"]);
    json(&["spec", "control", "next", "--pause"]);
    for unit in ["done", "broken", "held", "open"] {
        json(&["unit", "add", "scan", unit, "--data", "{\"n\": 1, \"f\": 1.0}"]);
    }
    json(&["unit", "add", "scan", "later", "--delay", "1h"]);
    json(&["unit", "add", "scan", "first", "--priority", "9", "--data", "\"oWNrZXnYgIA=\""]);
    json(&["unit", "add", "scan", "a/b ü"]);
    let make = |unit: &str, how: &str, data: Value| {
        let body =
            json!({"work_spec": "scan", "work_unit": unit, "lifetime": 3_600_000_000_000_u64});
        let made = post(&server.url, "/namespace/-/worker/-dyAx/make_attempt", &body);
        if !how.is_empty() {
            let url = made[format!("{how}_url")].as_str().unwrap();
            post(&server.url, url, &json!({"data": data}));
        }
    };
    make("done", "finish", json!({"result": 7, "output": ["made"]}));
    make("broken", "fail", json!({"traceback": "oh"}));
    make("held", "", Value::Null);
    json(&["--namespace", "other ns", "spec", "set", "name=s"]);
    json(&["--namespace", "other ns", "unit", "add", "s", "u"]);
    server
}

/// Sends JSON, and gives the JSON that comes back.
fn post(url: &str, path: &str, body: &Value) -> Value {
    let address = url.strip_prefix("http://").unwrap();
    let (mut stream, body) = (TcpStream::connect(address).unwrap(), body.to_string());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or(Value::Null)
}

/// What must be the same on both sides; ids and times of making are not.
fn look(server: &Server) -> Value {
    let json = |args: &[&str]| server.json(args);
    let mut seen = serde_json::Map::new();
    for (namespace, spec) in [("", "scan"), ("", "next"), ("other ns", "s")] {
        let shown = json(&["--namespace", namespace, "spec", "show", spec]);
        let units = json(&["--namespace", namespace, "unit", "list", spec]);
        let names = units["units"].as_array().unwrap().iter();
        let names: Vec<_> = names.map(|unit| unit["name"].as_str().unwrap().to_owned()).collect();
        let unit = |name: &String| {
            let unit = json(&["--namespace", namespace, "unit", "show", spec, name]);
            let worker = unit["active"]["worker"].clone();
            let meta = (&unit["priority"], &unit["not_before"]);
            json!([name, unit["data"], unit["status"], meta, worker])
        };
        let units: Vec<Value> = names.iter().map(unit).collect();
        let (data, meta, counts) = (&shown["data"], &shown["meta"], &shown["counts"]);
        let all = json!({"data": data, "meta": meta, "counts": counts, "units": units});
        seen.insert(format!("{namespace}/{spec}"), all);
    }
    Value::Object(seen)
}

#[test]
fn everything_comes_over() {
    let old = filled();
    let before = look(&old);
    let home = tempfile::tempdir().unwrap();
    let report = import(home.path(), &old.url, &[]).with_code(0).json();
    let expected = json!({
        "namespaces": 2, "specs": 3, "units_open": 6, "units_pending": 1, "units_finished": 1,
        "units_failed": 1, "workers": 1, "leases_over": 0, "units_vanished": 0,
        "namespaces_without_worker_list": 0,
    });
    assert_eq!(report, expected);
    let store = store(home.path());
    assert!(!home.path().join("imported.db.import").exists());
    let new = Server::start_with(home, &["--store", &store]);
    let after = look(&new);
    assert_eq!(after, before, "{after:#}\n{before:#}");
    // The unit that was made by chaining came over once, and was not made again.
    let made = &before["/next"]["units"];
    assert_eq!((made.as_array().unwrap().len(), &made[0][0]), (1, &json!("made")));
}

#[test]
fn one_namespace_can_be_chosen() {
    let old = filled();
    let home = tempfile::tempdir().unwrap();
    let report = import(home.path(), &old.url, &["--namespace", "other ns"]).with_code(0).json();
    assert_eq!((&report["namespaces"], &report["specs"]), (&json!(1), &json!(1)));
}

#[test]
fn what_cannot_be_is_told() {
    let home = tempfile::tempdir().unwrap();
    let said = import(home.path(), "ftp://x", &[]).with_code(2);
    assert!(said.err.contains("is not the address of a REST interface"), "{said:?}");
    let said = import(home.path(), "http://127.0.0.1:1", &[]).with_code(5);
    assert!(said.err.contains("cannot read http://127.0.0.1:1"), "{said:?}");
    let args = ["import", "--from", "coordinate", "http://127.0.0.1:1", "--store", "memory"];
    let said = run(&mut lockstep(home.path()), &args).with_code(2);
    assert!(said.err.contains("a store in memory is gone at once"), "{said:?}");
}

/// A server that answers as the ancestor does, in shapes put down from its description: null for
/// empty lists, zero times, no list of workers, and bodies in chunks.
struct Old {
    url: String,
    /// How often each path was asked for.
    asked: Arc<Mutex<HashMap<String, usize>>>,
    /// Units that are answered before it fails.
    patience: Arc<AtomicUsize>,
}

const UNITS: usize = 450;

impl Old {
    fn start(patience: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, patience) = (Arc::default(), Arc::new(AtomicUsize::new(patience)));
        let old = Self { url, asked, patience };
        let (asked, patience) = (old.asked.clone(), old.patience.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, patience) = (asked.clone(), patience.clone());
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while let Some(path) = request(&mut reader) {
                        *asked.lock().unwrap().entry(path.clone()).or_default() += 1;
                        let (status, body) = answer(&path, &patience);
                        reply(reader.get_mut(), status, &body);
                    }
                });
            }
        });
        old
    }

    fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().get(path).copied().unwrap_or(0)
    }
}

/// Reads the start of a request, and gives its path.
fn request(reader: &mut BufReader<impl Read>) -> Option<String> {
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    Some(path)
}

fn reply(stream: &mut impl Write, status: u16, body: &Value) {
    let body = body.to_string();
    let (one, two) = body.split_at(body.len() / 2);
    let mut text = format!("HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n");
    for part in [one, two].into_iter().filter(|part| !part.is_empty()) {
        text.push_str(&format!("{:x}\r\n{part}\r\n", part.len()));
    }
    text.push_str("0\r\n\r\n");
    let _gone = stream.write_all(text.as_bytes());
}

const ZERO: &str = "0001-01-01T00:00:00Z";
const SPEC: &str = "/namespace/-/work_spec/jobs";

/// Answers a GET as the ancestor does.
fn answer(path: &str, patience: &AtomicUsize) -> (u16, Value) {
    if let Some(query) = path.strip_prefix(&format!("{SPEC}/work_unit?")) {
        return (200, page(query));
    }
    match path.strip_prefix(&format!("{SPEC}/work_unit/")) {
        Some(rest) if rest.contains("/attempt/") => (200, attempt(path)),
        Some(name) => unit(path, name, patience),
        None => record(path),
    }
}

/// Answers with a page of units, in any order.
fn page(query: &str) -> Value {
    let after = query.split("previous=").nth(1).map(|hex| {
        let bytes = hex.split('%').skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap());
        String::from_utf8(bytes.collect()).unwrap()
    });
    let next = after.map_or(0, |name| name[1..].parse::<usize>().unwrap() + 1);
    let url = |number: usize| format!("{SPEC}/work_unit/u{number:03}");
    let units = (next..UNITS).take(200).map(|n| json!({"url": url(n), "name": "\u{fffd}"}));
    let units: Vec<_> = units.rev().collect();
    json!({"work_units": if units.is_empty() { Value::Null } else { json!(units) }})
}

fn attempt(path: &str) -> Value {
    json!({
        "url": path, "work_unit_url": "", "worker_url": "/namespace/-/worker/child",
        "start_time": "2020-01-01T00:00:00Z", "status": "pending", "end_time": ZERO,
        "expiration_time": "2020-01-01T00:15:00Z",
    })
}

/// Answers with one unit, as long as there is patience left.
fn unit(path: &str, name: &str, patience: &AtomicUsize) -> (u16, Value) {
    let number: usize = name[1..].parse().unwrap();
    let left = patience.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    match (left, number) {
        (Err(_), _) => (500, json!({"error": "error", "message": "out of order"})),
        (_, 7) => (400, json!({"error": "ErrNoSuchWorkUnit", "message": "No such work unit"})),
        (_, 8) => (
            200,
            json!({
                "url": path, "name": "u008", "status": "pending",
                "meta": {"priority": 1.5, "not_before": ZERO}, "work_spec_url": SPEC,
                "active_attempt_url": format!("{path}/attempt/child/2020-01-01T00:00:00Z"),
                "attempts_url": "",
            }),
        ),
        _ => (
            200,
            json!({
                "url": path, "name": name, "data": {"n": number}, "status": "available",
                "meta": {"priority": 0, "not_before": ZERO}, "work_spec_url": SPEC,
                "attempts_url": "",
            }),
        ),
    }
}

/// Answers with a record other than a unit or attempt.
fn record(path: &str) -> (u16, Value) {
    let spec = SPEC;
    let found = match path {
        "/" => json!({
            "url": "", "summary_url": "/summary", "namespaces_url": "/namespace",
            "namespace_url": "/namespace/{namespace}",
        }),
        "/summary" => json!([
            {"Namespace": "", "WorkSpec": "jobs", "Status": "available", "Count": UNITS},
        ]),
        "/namespace" => json!({"namespaces": [
            {"url": "/namespace/-", "name": ""}, {"url": "/namespace/empty", "name": "empty"},
        ]}),
        "/namespace/-" | "/namespace/empty" => json!({
            "url": path, "name": "", "summary_url": format!("{path}/summary"),
            "work_specs_url": format!("{path}/work_spec"),
            "work_spec_url": format!("{path}/work_spec/{{spec}}"),
            "workers_url": format!("{path}/worker"),
            "worker_url": format!("{path}/worker/{{worker}}"),
        }),
        "/namespace/-/work_spec" => json!({"work_specs": [{"url": spec, "name": "jobs"}]}),
        "/namespace/empty/work_spec" => json!({"work_specs": []}),
        "/namespace/-/work_spec/jobs" => json!({
            "url": spec, "name": "jobs", "data": {"name": "jobs", "nice": 5}, "summary_url": "",
            "work_units_url": format!("{spec}/work_unit"),
            "meta": format!("{spec}/meta{{?counts}}"),
        }),
        "/namespace/-/work_spec/jobs/meta" => json!({
            "priority": 0, "weight": 3, "paused": true, "continuous": false,
            "can_be_continuous": false, "interval": 0, "next_continuous": ZERO, "max_running": 0,
            "max_attempts_returned": 0, "max_retries": 0, "next_work_spec_name": "",
            "available_count": 0, "pending_count": 0, "runtime": "",
        }),
        "/namespace/-/worker/parent" => json!({
            "url": path, "name": "parent", "child_urls": ["/namespace/-/worker/child"],
            "active": true, "mode": "RUN", "data": {"pid": 1},
            "expiration": "2100-01-01T00:00:00Z", "last_update": "2020-01-01T00:00:00Z",
        }),
        "/namespace/-/worker/child" => json!({
            "url": path, "name": "child", "parent": "parent",
            "parent_url": "/namespace/-/worker/parent", "active": false, "mode": "",
            "data": null, "expiration": ZERO, "last_update": ZERO,
        }),
        _ => return (405, json!({"error": "error", "message": "Method GET not allowed"})),
    };
    (200, found)
}

#[test]
fn the_ancestors_shapes_are_understood() {
    let old = Old::start(usize::MAX);
    let home = tempfile::tempdir().unwrap();
    let report = import(home.path(), &old.url, &[]).with_code(0).json();
    let expected = json!({
        "namespaces": 2, "specs": 1, "units_open": 449, "units_pending": 0, "units_finished": 0,
        "units_failed": 0, "workers": 0, "leases_over": 1, "units_vanished": 1,
        "namespaces_without_worker_list": 2,
    });
    assert_eq!(report, expected);
    let store = store(home.path());
    let new = Server::start_with(home, &["--store", &store]);
    let shown = new.json(&["spec", "show", "jobs"]);
    assert_eq!((&shown["meta"]["weight"], &shown["meta"]["paused"]), (&json!(3), &json!(true)));
    assert_eq!(shown["counts"]["available"], 449);
    assert_eq!(new.json(&["unit", "show", "jobs", "u009"])["data"], json!({"n": 9}));
}

#[test]
fn an_interrupted_import_goes_on() {
    let old = Old::start(300);
    let home = tempfile::tempdir().unwrap();
    let said = import(home.path(), &old.url, &[]).with_code(5);
    assert!(said.err.contains("says how far it got"), "{said:?}");
    assert!(home.path().join("imported.db.import").exists());
    let said = import(home.path(), "http://127.0.0.1:1", &[]).with_code(2);
    assert!(said.err.contains("is about an import from"), "{said:?}");
    old.patience.store(usize::MAX, Ordering::SeqCst);
    let said = import(home.path(), &old.url, &[]).with_code(0);
    assert!(said.err.contains("going on where"), "{said:?}");
    let report = said.json();
    assert_eq!((&report["units_open"], &report["units_vanished"]), (&json!(449), &json!(1)));
    let unit = |number| old.asked(&format!("/namespace/-/work_spec/jobs/work_unit/u{number:03}"));
    assert_eq!(unit(100), 1, "what was done is not read again");
    assert_eq!(unit(449), 1);
    assert!(unit(201) >= 1);
}
