//! Health, version, limits, metrics, stopping, and handlers that panic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::{
    Backend, BoxFuture, Committed, Error, Event, Namespace, Query, Read, Result, Revision, Write,
};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::{Request, Server};

#[tokio::test]
async fn the_server_says_how_it_is() {
    let server = Server::with(false);
    for path in ["/livez", "/readyz"] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.json()), (200, json!({"status": "ok"})));
    }
    let version = server.get("/version").await.json();
    assert_eq!(version["name"], "lockstep");
    let limits = server.get("/v1/limits").await.json();
    let limits = limits["limits"].as_array().unwrap().clone();
    assert_eq!(limits.len(), model::limits::all().len());
    assert!(limits.contains(&json!({"name": "batch_max", "value": 1000, "unit": "items"})));
}

#[tokio::test]
async fn metrics_count_what_is_there_now() {
    let server = Server::start();
    server.set_spec(json!({"name": "a\"\\\n"})).await;
    server.set_spec(json!({"name": "s"})).await;
    server.add_units("s", &["a", "b"]).await;
    let path = "/namespace/n/work_spec/-YSJcCg/work_unit";
    assert_eq!(server.post(path, json!({"name": "x"})).await.status, 201);
    let first = server.claim("w", 1).await.remove(0);
    let reply = server.get("/metrics").await;
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = reply.text();
    for line in [
        r#"lockstep_units{namespace="n",spec="s",status="available"} "#,
        r#"lockstep_units{namespace="n",spec="a\"\\\n",status="#,
        r#"coordinate_work_units{namespace="n",work_spec="s",status="#,
        "# TYPE lockstep_units gauge\n",
        "# TYPE coordinate_summary_seconds histogram\n",
        "coordinate_summary_seconds_bucket{le=\"0.03125\"} ",
        "# TYPE lockstep_http_request_seconds histogram\n",
        "lockstep_http_requests_in_flight ",
        "lockstep_claims_total ",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let posted = "lockstep_http_request_seconds_count{method=\"POST\",\
        route=\"/namespace/{namespace}/work_spec/{work_spec}/work_unit\",status=\"201\"} ";
    assert!(text.contains(posted), "{text}");
    server.post(first["finish_url"].as_str().unwrap(), json!({})).await;
    server.delete("/namespace/n").await;
    let text = server.get("/metrics").await;
    assert!(!text.text().contains("lockstep_units{"), "{}", text.text());
}

#[tokio::test]
async fn a_server_that_stops_finishes_what_it_began() {
    let gate = Arc::new(Gate::default());
    let server = Server::over(Arc::clone(&gate) as _, true, Duration::from_secs(60));
    let mut slow = server.connect().await;
    slow.write(&Request::new("GET", "/summary")).await;
    gate.entered.notified().await;
    let mut idle = server.connect().await;
    assert_eq!(idle.send(Request::new("GET", "/livez")).await.status, 200);
    let address = server.address;
    let stopped = server.stop();
    assert_eq!(idle.closed().await, b"");
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopped.is_finished());
    gate.open.notify_one();
    let reply = slow.reply(false).await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_server_that_stops_sends_waiters_away() {
    let server = Server::start();
    let mut waiting = server.connect().await;
    let wait = Request::new("POST", "/namespace/n/worker/w/request_attempts")
        .json(&json!({"wait_ms": 60_000}));
    waiting.write(&wait).await;
    while !server.get("/metrics").await.text().contains("requests_in_flight 2") {
        tokio::task::yield_now().await;
    }
    let stopped = server.stop();
    let reply = waiting.reply(false).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    stopped.await.unwrap();
}

#[tokio::test]
async fn requests_that_do_not_end_are_cut_off() {
    let gate = Arc::new(Gate::default());
    let server = Server::over(Arc::clone(&gate) as _, true, Duration::ZERO);
    let mut slow = server.connect().await;
    slow.write(&Request::new("GET", "/summary")).await;
    gate.entered.notified().await;
    server.stop().await.unwrap();
    assert_eq!(slow.closed().await, b"");
}

#[tokio::test]
async fn a_panic_fails_one_request() {
    let gate = Arc::new(Gate::default());
    gate.panics.store(true, Ordering::Relaxed);
    let server = Server::over(Arc::clone(&gate) as _, true, Duration::ZERO);
    let mut other = server.connect().await;
    assert_eq!(other.send(Request::new("GET", "/livez")).await.status, 200);
    let reply = server.get("/summary").await;
    assert_eq!((reply.status, reply.error().as_str()), (500, "panic"));
    assert_eq!(other.send(Request::new("GET", "/livez")).await.status, 200);
    let not_ready = server.get("/readyz").await;
    assert_eq!(not_ready.status, 500);
}

/// A backend whose reads wait until they are let through, or panic.
#[derive(Default)]
struct Gate {
    panics: AtomicBool,
    entered: Notify,
    open: Notify,
}

impl Backend for Gate {
    fn write(&self, _: Write) -> BoxFuture<'_, Result<Committed>> {
        Box::pin(async { Err(Error::Unavailable("closed".into())) })
    }

    fn read(&self, _: Query, _: Revision) -> BoxFuture<'_, Result<Read>> {
        Box::pin(async {
            assert!(!self.panics.load(Ordering::Relaxed), "as the test wants");
            self.entered.notify_one();
            self.open.notified().await;
            Ok(Read { as_of: 0, answer: model::Answer::Summary(Vec::new()) })
        })
    }

    fn events(&self, _: &Namespace, _: Revision, _: u16) -> BoxFuture<'_, Result<Vec<Event>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
