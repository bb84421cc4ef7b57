//! Workers.

use serde_json::json;

use model::Backend as _;

use crate::support::{Request, Server};

const W: &str = "/namespace/n/worker/w";

#[tokio::test]
async fn looking_at_a_worker_creates_it() {
    let server = Server::start();
    assert_eq!(server.get("/namespace/n/worker").await.text(), r#"{"workers":[]}"#);
    let none = server.get(&format!("{W}/all_attempts")).await;
    assert_eq!((none.status, none.text()), (200, r#"{"attempts":[]}"#));
    let worker = server.get(W).await;
    assert_eq!(worker.status, 200);
    let worker = worker.json();
    assert_eq!((&worker["url"], &worker["name"]), (&json!(W), &json!("w")));
    assert_eq!(worker["active"], true);
    assert_eq!(worker["mode"], "");
    assert_eq!(worker["data"], json!(null));
    assert_eq!((worker.get("parent"), worker.get("child_urls")), (None, None));
    for word in
        ["request_attempts", "make_attempt", "active_attempts", "all_attempts", "child_attempts"]
    {
        assert_eq!(worker[format!("{word}_url")], format!("{W}/{word}"));
    }
    assert_eq!(
        worker["expiration"].as_str().unwrap().len(),
        worker["last_update"].as_str().unwrap().len()
    );
    let listed = server.get("/namespace/n/worker").await.json();
    assert_eq!(listed, json!({"workers": [{"url": W, "name": "w"}]}));
    assert_eq!(server.post("/namespace/n/worker", json!({})).await.status, 405);
}

#[tokio::test]
async fn a_worker_updates_itself() {
    let server = Server::start();
    let update = json!({"active": true, "mode": "RUN", "data": {"cpus": 2},
        "expiration": "2100-01-01T00:00:00Z", "last_update": "2026-01-01T00:00:00.25Z"});
    assert_eq!(server.put(W, update).await.status, 204);
    let worker = server.get(W).await.json();
    assert_eq!((&worker["mode"], &worker["data"]), (&json!("RUN"), &json!({"cpus": 2})));
    assert_eq!(worker["expiration"], "2100-01-01T00:00:00Z");
    assert_eq!(worker["last_update"], "2026-01-01T00:00:00.25Z");
    // As the ancestor's client deactivates.
    let zero = "0001-01-01T00:00:00Z";
    let off = json!({"active": false, "mode": "", "data": null, "expiration": zero,
        "last_update": zero});
    assert_eq!(server.put(W, off).await.status, 204);
    let worker = server.get(W).await.json();
    assert_eq!((&worker["active"], &worker["mode"]), (&json!(false), &json!("RUN")));
    assert_eq!(server.put(W, json!({})).await.status, 204);
    assert_eq!(server.get(W).await.json()["active"], false);
}

#[tokio::test]
async fn setting_a_parent_does_nothing_else() {
    let server = Server::start();
    server.put(W, json!({"active": true, "mode": "RUN"})).await;
    // As the ancestor's client sets a parent.
    let zero = "0001-01-01T00:00:00Z";
    let put = json!({"parent": "p", "active": false, "mode": "", "data": null,
        "expiration": zero, "last_update": zero});
    assert_eq!(server.put(W, put).await.status, 204);
    let worker = server.get(W).await.json();
    assert_eq!(worker["parent"], "p");
    assert_eq!(worker["parent_url"], "/namespace/n/worker/p");
    assert_eq!((&worker["active"], &worker["mode"]), (&json!(true), &json!("RUN")));
    let parent = server.get("/namespace/n/worker/p").await.json();
    assert_eq!(parent["child_urls"], json!([W]));
    server.set_spec(json!({"name": "s"})).await;
    server.add_units("s", &["a"]).await;
    let attempt = server.claim("w", 1).await.remove(0);
    let children = server.get("/namespace/n/worker/p/child_attempts").await.json();
    assert_eq!(children["attempts"][0]["url"], attempt["url"]);
    assert_eq!(server.put(W, json!({"parent": "q"})).await.status, 204);
    assert_eq!(server.get(W).await.json()["parent"], "q");
    assert_eq!(server.put(W, json!({"parent": ""})).await.status, 204);
    assert_eq!(server.get(W).await.json().get("parent"), None);
    assert_eq!(server.put(W, json!({"parent": null})).await.status, 204);
}

#[tokio::test]
async fn requests_for_work_are_followed() {
    let server = Server::start();
    let request = format!("{W}/request_attempts");
    let none = server.post(&request, json!({})).await;
    assert_eq!((none.status, none.text()), (200, r#"{"attempts":[]}"#));
    server.set_spec(json!({"name": "s", "min_gb": 2})).await;
    server.set_spec(json!({"name": "t", "runtime": "go"})).await;
    server.add_units("s", &["a", "b", "c"]).await;
    server.add_units("t", &["x"]).await;
    let names = |reply: &crate::support::Reply| {
        let attempts = reply.json()["attempts"].as_array().unwrap().clone();
        attempts.iter().map(|a| a["work_unit"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let small = json!({"work_specs": ["s"], "available_gb": 1.0});
    assert_eq!(names(&server.post(&request, small).await), [""; 0]);
    let go = json!({"runtimes": ["go"], "number_of_work_units": 5});
    assert_eq!(names(&server.post(&request, go).await), ["x"]);
    let two = json!({"work_specs": ["s", "nope"], "number_of_work_units": 2, "available_gb": 0,
        "lifetime": 60_000_000_000_u64});
    let reply = server.post(&request, two).await;
    assert_eq!(names(&reply), ["a", "b"]);
    let attempt = reply.json()["attempts"][0].clone();
    let time = |key: &str| model::Time::parse(attempt[key].as_str().unwrap()).unwrap();
    let lease = time("expiration_time").since(time("start_time"));
    assert_eq!(lease, std::time::Duration::from_secs(60));
    assert_eq!(reply.json()["work_spec_url"], "/namespace/n/work_spec/s");
    let negative = json!({"number_of_work_units": -5});
    assert_eq!(names(&server.post(&request, negative).await), ["c"]);
    let active = server.get(&format!("{W}/active_attempts")).await.json();
    assert_eq!(active["attempts"].as_array().unwrap().len(), 4);
    let page = server.get(&format!("{W}/active_attempts?limit=1")).await.json();
    let first = page["attempts"][0]["id"].as_u64().unwrap();
    let rest = server.get(&format!("{W}/all_attempts?previous={first}")).await.json();
    assert_eq!(rest["attempts"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn looking_for_a_worker_in_a_revision_to_come_creates_none() {
    let server = Server::start();
    server.set_spec(json!({"name": "s"})).await;
    for namespace in ["n", "nowhere"] {
        let path = format!("/namespace/{namespace}/worker/new");
        let look = Request::new("GET", &path).header("Lockstep-At-Least", "1000000");
        assert_eq!(server.send(look).await.status, 503);
        let namespace = model::Namespace::new(namespace).unwrap();
        let worker = model::WorkerName::new("new").unwrap();
        let read = server.backend.read(model::Query::Worker(namespace, worker), 0).await;
        assert!(read.is_err(), "{read:?}");
    }
    // A revision that was reached before all was destroyed is no reason to wait.
    let revision = server.delete("/namespace/n").await.revision();
    let path = "/namespace/n/work_spec/s";
    let look = Request::new("GET", path).header("Lockstep-At-Least", &revision.to_string());
    assert_eq!(server.send(look).await.status, 404);
}

#[tokio::test]
async fn an_attempt_is_made_on_any_unit() {
    let server = Server::start();
    server.set_spec(json!({"name": "s"})).await;
    server.add_units("s", &["a"]).await;
    let make = format!("{W}/make_attempt");
    let body = json!({"work_spec": "s", "work_unit": "a", "lifetime": 0});
    let attempt = server.post(&make, body).await;
    assert_eq!((attempt.status, &attempt.json()["status"]), (200, &json!("pending")));
    assert!(server.claim("v", 5).await.is_empty());
    let reply = server.post(&make, json!({"work_spec": "s", "work_unit": "b"})).await;
    assert_eq!((reply.status, reply.error().as_str()), (404, "ErrNoSuchWorkUnit"));
    let reply = server.post(&make, json!({"work_spec": "t", "work_unit": "b"})).await;
    assert_eq!((reply.status, reply.error().as_str()), (404, "ErrNoSuchWorkSpec"));
}
