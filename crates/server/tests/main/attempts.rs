//! Attempts and what ends them.

use serde_json::{Value, json};

use crate::support::Server;

const UNIT: &str = "/namespace/n/work_spec/s/work_unit/a";

async fn claimed() -> (Server, Value) {
    let server = Server::start();
    server.set_spec(json!({"name": "s"})).await;
    let unit = json!({"name": "a", "data": {"k": "v"}});
    server.post("/namespace/n/work_spec/s/work_unit", unit).await;
    let attempt = server.claim("w", 1).await.remove(0);
    (server, attempt)
}

fn url<'a>(attempt: &'a Value, key: &str) -> &'a str {
    attempt[key].as_str().unwrap()
}

#[tokio::test]
async fn a_claim_has_all_a_worker_needs() {
    let (server, attempt) = claimed().await;
    let id = attempt["id"].as_u64().unwrap();
    let own = format!("{UNIT}/attempt/w/{id}");
    assert_eq!(attempt["url"], own);
    assert_eq!(attempt["work_unit_url"], UNIT);
    assert_eq!(attempt["worker_url"], "/namespace/n/worker/w");
    assert_eq!(attempt["status"], "pending");
    assert_eq!(attempt["data"], json!({"k": "v"}));
    assert_eq!(attempt["end_time"], "0001-01-01T00:00:00Z");
    assert_eq!(attempt["token"], id);
    assert_eq!((&attempt["work_spec"], &attempt["work_unit"]), (&json!("s"), &json!("a")));
    for word in ["renew", "expire", "finish", "fail", "retry"] {
        assert_eq!(attempt[format!("{word}_url")], format!("{own}/{word}"));
    }
    assert_eq!(server.get(&own).await.json(), attempt);
    let short = json!({"attempts": [{
        "url": own, "work_unit_url": UNIT, "worker_url": "/namespace/n/worker/w",
        "start_time": attempt["start_time"], "id": id,
    }]});
    assert_eq!(server.get(&format!("{UNIT}/attempts")).await.json(), short);
    for list in ["active_attempts", "all_attempts"] {
        assert_eq!(server.get(&format!("/namespace/n/worker/w/{list}")).await.json(), short);
    }
}

#[tokio::test]
async fn an_attempt_ends_once() {
    let (server, attempt) = claimed().await;
    let done = json!({"data": {"out": 1}});
    assert_eq!(server.post(url(&attempt, "finish_url"), done).await.status, 204);
    let unit = server.get(UNIT).await.json();
    assert_eq!((&unit["status"], &unit["data"]), (&json!("finished"), &json!({"out": 1})));
    let shown = server.get(url(&attempt, "url")).await.json();
    assert_eq!(shown["status"], "finished");
    assert_ne!(shown["end_time"], "0001-01-01T00:00:00Z");
    for word in ["renew_url", "expire_url", "finish_url", "fail_url", "retry_url"] {
        let reply = server.post(url(&attempt, word), json!({})).await;
        if reply.status != 204 {
            assert_eq!((reply.status, reply.error().as_str()), (409, "ErrNotPending"), "{word}");
            assert_eq!(reply.json()["message"], "Attempt is not pending");
        }
        assert_eq!(server.get(UNIT).await.json()["status"], "finished");
    }
    let active = server.get("/namespace/n/worker/w/active_attempts").await;
    assert_eq!(active.text(), r#"{"attempts":[]}"#);
}

#[tokio::test]
async fn renewing_moves_the_end_of_the_lease() {
    let (server, attempt) = claimed().await;
    let long = json!({"extend_duration": 86_400_000_000_000_u64, "data": {"x": 1}});
    assert_eq!(server.post(url(&attempt, "renew_url"), long).await.status, 204);
    let shown = server.get(url(&attempt, "url")).await.json();
    assert!(url(&shown, "expiration_time") > url(&attempt, "expiration_time"));
    assert_eq!(shown["data"], json!({"x": 1}));
    let back = json!({"extend_duration": -1});
    assert_eq!(server.post(url(&attempt, "renew_url"), back).await.status, 400);
}

#[tokio::test]
async fn a_retried_unit_waits() {
    let (server, attempt) = claimed().await;
    let later = json!({"delay": 3_600_000_000_000_u64});
    assert_eq!(server.post(url(&attempt, "retry_url"), later).await.status, 204);
    assert_eq!(server.get(UNIT).await.json()["status"], "delayed");
    assert_eq!(server.get(url(&attempt, "url")).await.json()["status"], "retryable");
    assert!(server.claim("w", 1).await.is_empty());
}

#[tokio::test]
async fn a_lost_lease_changes_nothing() {
    let (server, attempt) = claimed().await;
    server.put(UNIT, json!({"active_attempt_url": "-"})).await;
    let newer = server.claim("other", 1).await.remove(0);
    assert!(newer["token"].as_u64() > attempt["token"].as_u64());
    for word in ["renew_url", "expire_url", "finish_url", "fail_url", "retry_url"] {
        let body = json!({"token": attempt["token"], "data": {"stolen": true}});
        let reply = server.post(url(&attempt, word), body).await;
        assert_eq!((reply.status, reply.error().as_str()), (409, "ErrLostLease"), "{word}");
        let unit = server.get(UNIT).await.json();
        assert_eq!(unit["active_attempt_url"], newer["url"]);
        assert_eq!(unit["data"], json!({"k": "v"}));
    }
    let renewed = server.post(url(&attempt, "renew_url"), json!({})).await;
    assert_eq!((renewed.status, renewed.error().as_str()), (409, "ErrLostLease"));
    let finished = server.post(url(&newer, "finish_url"), json!({"token": newer["token"]})).await;
    assert_eq!(finished.status, 204);
}

#[tokio::test]
async fn the_ancestors_attempt_urls_resolve_to_the_newest() {
    let (server, first) = claimed().await;
    server.put(UNIT, json!({"active_attempt_url": "-"})).await;
    let body = json!({"work_spec": "s", "work_unit": "a"});
    let second = server.post("/namespace/n/worker/w/make_attempt", body).await;
    assert_eq!(second.status, 200);
    let second = second.json();
    let start = url(&second, "start_time");
    let by_second = format!("{UNIT}/attempt/w/{}Z", start.split('.').next().unwrap());
    assert_eq!(server.get(&by_second).await.json(), second);
    if first["start_time"].as_str().unwrap()[..19] == start[..19] {
        assert_ne!(first["id"], second["id"]);
    }
    assert_eq!(server.post(&format!("{by_second}/finish"), json!({})).await.status, 204);
    assert_eq!(server.get(UNIT).await.json()["status"], "finished");
    for wrong in ["w/2001-01-01T00:00:00Z", "v/2001-01-01T00:00:00Z", "w/123456", "w/never"] {
        let reply = server.get(&format!("{UNIT}/attempt/{wrong}")).await;
        assert_eq!((reply.status, reply.error().as_str()), (404, "error"), "{wrong}");
    }
}

#[tokio::test]
async fn chained_units_run_and_finish() {
    let server = Server::start();
    server.set_spec(json!({"name": "s", "then": "t"})).await;
    server.set_spec(json!({"name": "t"})).await;
    server.set_spec(json!({"name": "u", "then": "missing"})).await;
    server.add_units("s", &["a"]).await;
    let output = json!({"data": {"output": {"x": {"from": "a"}}}});
    for round in 0..2 {
        let first = server.claim("w", 1).await.remove(0);
        assert_eq!(first["work_spec"], "s");
        assert_eq!(server.post(url(&first, "finish_url"), output.clone()).await.status, 204);
        let second = server.claim("w", 1).await.remove(0);
        assert_eq!((&second["work_spec"], &second["work_unit"]), (&json!("t"), &json!("x")));
        assert_eq!(second["data"], json!({"from": "a"}));
        let finished = server.post(url(&second, "finish_url"), json!({})).await;
        assert_eq!(finished.status, 204, "round {round}");
        server.put(UNIT, json!({"active_attempt_url": "-"})).await;
    }
    server.delete("/namespace/n/work_spec/s").await;
    server.add_units("u", &["b"]).await;
    let last = server.claim("w", 1).await.remove(0);
    assert_eq!(server.post(url(&last, "finish_url"), output).await.status, 204);
}
