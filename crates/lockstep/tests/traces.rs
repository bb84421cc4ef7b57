//! Traces: a collector sees the whole way of a hook, up to what the last worker did.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use crate::support::{Server, fetch, post, terminate, until, wait};

/// What no span may tell: what was sent, and the path of the hook, which others must not know.
const SECRET: &str = "canary-93b1";

/// A server that keeps the requests that it gets: their heads and their bodies.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Listener {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let keep = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, keep) = (BufReader::new(stream.unwrap()), Arc::clone(&keep));
                thread::spawn(move || {
                    let (mut head, mut length) = (String::new(), 0);
                    while stream.read_line(&mut head).unwrap_or(0) > 0 {
                        if !head.ends_with("\r\n\r\n") {
                            continue;
                        }
                        let lower = head.to_ascii_lowercase();
                        if let Some((_, rest)) = lower.split_once("content-length: ") {
                            length = rest.lines().next().unwrap().parse().unwrap();
                        }
                        let mut body = vec![0; length];
                        stream.read_exact(&mut body).unwrap();
                        let body = String::from_utf8(body).unwrap();
                        keep.lock().unwrap().push((std::mem::take(&mut head), body));
                        length = 0;
                        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                                      Content-Length: 2\r\n\r\n{}";
                        stream.get_mut().write_all(answer.as_bytes()).unwrap();
                    }
                });
            }
        });
        Self { url, heard }
    }

    pub(crate) fn heard(&self) -> Vec<(String, String)> {
        self.heard.lock().unwrap().clone()
    }

    /// Gives all spans that came, each with the name of its service.
    fn spans(&self) -> Vec<Value> {
        let mut spans = Vec::new();
        for (head, body) in self.heard() {
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            let body: Value = serde_json::from_str(&body).unwrap();
            for group in body["resourceSpans"].as_array().unwrap() {
                let service = &group["resource"]["attributes"][0]["value"]["stringValue"];
                for span in group["scopeSpans"][0]["spans"].as_array().unwrap() {
                    let mut span = span.clone();
                    span["service"] = service.clone();
                    spans.push(span);
                }
            }
        }
        spans
    }
}

/// A server that sends spans, with a workflow that a hook starts: one step for a worker, and a
/// request by the server itself.
fn server(collector: &str, receiver: &str, more: &[&str]) -> Server {
    let mut args = vec!["--store", "memory", "--steps-may-call", "127.0.0.0/8"];
    if !collector.is_empty() {
        args.extend(["--otlp-endpoint", collector]);
    }
    args.extend(more);
    let server = Server::start_with(tempfile::tempdir().unwrap(), &args);
    shop(&server, &["spec", "set", "name=mill"]);
    let file = server.home.path().join("flow.yaml");
    let document = format!(
        r#"document: {{dsl: 1.0.3, namespace: shop, name: grind, version: 1.0.0}}
schedule:
  on: {{one: {{with: {{type: io.lockstep.http.request.v1}}}}}}
do:
- grind: {{call: work, with: {{spec: mill, data: {{n: 1}}}}}}
- tell: {{call: http, with: {{method: post, endpoint: '{receiver}/told', body: {{n: 1}}}}}}
"#
    );
    std::fs::write(&file, document).unwrap();
    server.json(&["workflow", "publish", file.to_str().unwrap()]);
    server
}

/// Asks the server about its one namespace.
fn shop(server: &Server, args: &[&str]) -> Value {
    server.json(&[&["--namespace", "shop"], args].concat())
}

fn worker(server: &Server, args: &[&str]) -> Child {
    let exec = r#"echo "{\"context\": \"$TRACEPARENT\"}""#;
    let mut command = server.command();
    command.args(["worker", "--exec", exec, "--spec", "mill", "--name", "miller"]).args(args);
    command.env("LOCKSTEP_NAMESPACE", "shop");
    command.stdout(Stdio::null()).spawn().unwrap()
}

fn call_hook(server: &Server) {
    let body = json!({ "password": SECRET }).to_string();
    assert_eq!(post(&server.url, &format!("/hooks/shop/{SECRET}"), &body), 202);
}

fn finished(server: &Server) -> Option<Value> {
    let list = shop(server, &["instance", "list", "--status", "finished"]);
    list["instances"].as_array().unwrap().first().cloned()
}

#[test]
fn one_trace_shows_the_way_from_a_hook_to_what_the_last_worker_did() {
    let (collector, receiver) = (Listener::start(), Listener::start());
    let server = server(&collector.url, &receiver.url, &[]);
    let mut miller = worker(&server, &["--otlp-endpoint", &collector.url]);
    call_hook(&server);
    until("the workflow is done", || finished(&server));
    terminate(&miller);
    assert_eq!(wait(&mut miller).code(), Some(0));
    let unit = shop(&server, &["unit", "list", "mill"])["units"][0]["name"].clone();
    let unit = shop(&server, &["unit", "show", "mill", unit.as_str().unwrap()]);
    // What is left is sent before a program ends.
    assert_eq!(server.terminate().0.code(), Some(0));

    let spans = collector.spans();
    let named = |name: &str| {
        let found: Vec<_> = spans.iter().filter(|span| span["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name}: {spans:#?}");
        found[0]
    };
    let way = [
        ("POST /hooks/{namespace}/{path}", "lockstep"),
        ("event io.lockstep.http.request.v1", "lockstep"),
        ("workflow grind", "lockstep"),
        ("unit mill", "lockstep"),
        ("attempt mill", "lockstep"),
        ("work mill", "lockstep-worker"),
    ];
    let first = named(way[0].0);
    assert_eq!(first["parentSpanId"], "");
    for pair in way.windows(2) {
        let (parent, span) = (named(pair[0].0), named(pair[1].0));
        assert_eq!(span["parentSpanId"], parent["spanId"], "{span:#} is not below {parent:#}");
        assert_eq!(span["service"], pair[1].1);
    }
    let own = named("work lockstep.http");
    assert_eq!(own["parentSpanId"], named("attempt lockstep.http")["spanId"]);
    assert_eq!(named("unit lockstep.http")["parentSpanId"], named("workflow grind")["spanId"]);
    for span in &spans {
        assert_eq!(span["traceId"], first["traceId"], "{span:#}");
        let time = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"), "{span:#}");
        assert_eq!(span["status"]["code"], 0, "{span:#}");
    }

    // What they call goes on with the trace.
    let context = |span: &Value| {
        let text = |key: &str| span[key].as_str().unwrap().to_owned();
        format!("00-{}-{}-01", text("traceId"), text("spanId"))
    };
    assert_eq!(unit["data"]["context"], context(named("work mill")));
    let told = receiver.heard();
    assert!(told[0].0.contains(&format!("traceparent: {}\r\n", context(own))), "{told:?}");

    let all: Vec<_> = collector.heard().into_iter().map(|(_, body)| body).collect();
    assert!(!all.concat().contains(SECRET), "{all:#?}");
}

#[test]
fn traces_that_are_not_to_be_recorded_are_not() {
    let (collector, receiver) = (Listener::start(), Listener::start());
    let server = server(&collector.url, &receiver.url, &["--otlp-sample", "0"]);
    let mut miller = worker(&server, &["--otlp-endpoint", &collector.url]);
    call_hook(&server);
    until("the workflow is done", || finished(&server));
    terminate(&miller);
    wait(&mut miller);
    // It is one trace all the same, for whoever else records it.
    let told = receiver.heard();
    let context = told[0].0.lines().find_map(|line| line.strip_prefix("traceparent: "));
    assert!(context.unwrap().ends_with("-00"), "{told:?}");
    server.terminate();
    assert_eq!(collector.spans(), Vec::<Value>::new());
}

#[test]
fn without_a_collector_nothing_is_added() {
    let receiver = Listener::start();
    let server = server("", &receiver.url, &[]);
    let mut miller = worker(&server, &[]);
    call_hook(&server);
    until("the workflow is done", || finished(&server));
    terminate(&miller);
    wait(&mut miller);
    let events = shop(&server, &["event", "list"]);
    assert!(!events.to_string().contains("traceparent"), "{events:#}");
    assert!(!receiver.heard()[0].0.contains("traceparent"));
}

#[test]
fn a_dead_collector_disturbs_nothing_and_what_it_misses_is_counted() {
    let receiver = Listener::start();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = server(&format!("http://{gone}"), &receiver.url, &[]);
    let mut miller = worker(&server, &["--otlp-endpoint", &format!("http://{gone}")]);
    call_hook(&server);
    until("the workflow is done", || finished(&server));
    terminate(&miller);
    assert_eq!(wait(&mut miller).code(), Some(0));
    until("dropped spans are counted", || {
        let metrics = fetch(&server.url, "/metrics");
        let line = metrics.lines().find(|line| line.starts_with("lockstep_spans_dropped_total "));
        (line.unwrap() != "lockstep_spans_dropped_total 0").then_some(())
    });
    let (status, log) = server.terminate();
    assert_eq!(status.code(), Some(0));
    let told = log.iter().filter(|line| line.contains("the collector of spans takes none"));
    assert_eq!(told.count(), 1, "{log:#?}");
}

#[test]
fn a_round_of_mail_and_a_slot_of_a_schedule_begin_traces_of_their_own() {
    let collector = Listener::start();
    let args = ["--store", "memory", "--otlp-endpoint", &collector.url];
    let server = Server::start_with(tempfile::tempdir().unwrap(), &args);
    let file = server.home.path().join("flows.yaml");
    let document = |name: &str, schedule: &str| {
        format!(
            "document: {{dsl: 1.0.3, namespace: shop, name: {name}, version: 1.0.0}}\n\
             schedule: {schedule}\ndo:\n- a: {{set: {{n: 1}}}}\n"
        )
    };
    for (name, schedule) in [
        ("sort", "{on: {one: {with: {type: io.lockstep.mail.message.arrived.v1}}}}"),
        ("tick", "{every: {milliseconds: 500}}"),
    ] {
        std::fs::write(&file, document(name, schedule)).unwrap();
        server.json(&["workflow", "publish", file.to_str().unwrap()]);
    }
    let write = |command: Value| {
        let write = json!({ "namespace": "shop", "commands": [{ "mail": command }] }).to_string();
        assert_eq!(post(&server.url, "/v1/write", &write), 200, "{write}");
    };
    write(json!({"open": {"account": "home", "interval": {"secs": 3600, "nanos": 0}}}));
    let event = json!({"id": "1", "source": "mail/home/INBOX",
        "type": "io.lockstep.mail.message.arrived.v1", "data": {"subject": SECRET}});
    write(json!({"record": {"account": "home", "after": 0, "events": [event]}}));
    let named = |name: &str| {
        let spans = collector.spans();
        spans.into_iter().filter(|span| span["name"] == name).collect::<Vec<_>>()
    };
    let sorted = until("a mail was sorted", || named("workflow sort").pop());
    let event = named("event io.lockstep.mail.message.arrived.v1").pop().unwrap();
    let round = named("mail round").pop().unwrap();
    assert_eq!(sorted["parentSpanId"], event["spanId"]);
    assert_eq!(event["parentSpanId"], round["spanId"]);
    assert_eq!(round["parentSpanId"], "");
    let ticks = until("it ticked twice", || {
        let ticks = named("workflow tick");
        (ticks.len() > 1).then_some(ticks)
    });
    for tick in &ticks {
        assert_eq!(tick["parentSpanId"], "");
        let same = ticks.iter().filter(|other| other["traceId"] == tick["traceId"]);
        assert_eq!(same.count(), 1, "{ticks:#?}");
    }
}
