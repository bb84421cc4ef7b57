//! The audit log over HTTP.

use model::Scope;
use serde_json::{Value, json};

use crate::{
    access::{create, info},
    support::{Request, Server},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn rows(server: &Server, query: &str, token: &str) -> Value {
    let reply = server.send(Request::new("GET", &format!("/audit{query}")).token(token)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["rows"].clone()
}

#[tokio::test]
async fn whose_token_it_was_is_written_down_with_the_trace() {
    let server = Server::with(false);
    let all = create(&server, info("all", None, Scope::ALL)).await;
    let mine = create(&server, info("mine", Some("mine"), Scope::ALL)).await;
    let spec = |namespace: &str| {
        let path = format!("/namespace/{namespace}/work_spec");
        Request::new("POST", &path).json(&json!({"data": {"name": "s"}}))
    };
    let traced = spec("mine").header("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01"));
    assert_eq!(server.send(traced.token(&mine)).await.status, 201);
    assert_eq!(server.send(spec("other").token(&all)).await.status, 201);
    let found = rows(&server, "?namespace=mine", &all).await;
    assert_eq!(found[0]["actor"], "mine");
    assert_eq!((&found[0]["kind"], &found[0]["record"]), (&json!("spec.set"), &json!("spec/s")));
    assert_eq!(found[0]["trace"], TRACE);
    let found = rows(&server, "?namespace=other", &all).await;
    assert_eq!((&found[0]["actor"], &found[0]["trace"]), (&json!("all"), &json!(null)));

    // Nobody can say to be somebody else.
    let command = json!({"queue": {"control_spec": {
        "spec": {"name": "s", "id": null}, "control": {"paused": true}
    }}});
    let write = json!({
        "namespace": "mine", "commands": [command], "caller": {"name": "root", "trace": null},
    });
    let door = Request::new("POST", "/v1/write").json(&write).token(&mine);
    assert_eq!(server.send(door).await.status, 200);
    let found = rows(&server, "?namespace=mine&kind=spec.control", &all).await;
    assert_eq!(found[0]["actor"], "mine");

    // A token of one namespace sees the chain of that one, and no other.
    assert_eq!(rows(&server, "", &mine).await.as_array().unwrap().len(), 2);
    let refused =
        |query: &str| server.send(Request::new("GET", &format!("/audit?{query}")).token(&mine));
    assert_eq!(refused("namespace=other").await.status, 403);
    assert_eq!(refused("before=x").await.status, 400);
    let everywhere = rows(&server, "?kind=token.create", &all).await;
    assert_eq!(everywhere.as_array().unwrap().len(), 2);
}
