//! The native door.

use model::{Namespace, Page, Query, QueueCommand, SpecName, Write};
use serde_json::{Value, json};

use crate::support::{Reply, Request, Server};

async fn write(server: &Server, write: &Write) -> Reply {
    server.post("/v1/write", serde_json::to_value(write).unwrap()).await
}

#[tokio::test]
async fn writes_reads_and_events_pass_through() {
    let server = Server::start();
    let namespace = Namespace::new("n").unwrap();
    let data = json!({"name": "s"});
    let data = model::data_from_json(&data).unwrap();
    let reply = write(&server, &Write::one(&namespace, QueueCommand::SetSpec { data })).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let committed: model::Committed = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(committed.replies.len(), 1);
    assert_eq!(reply.revision(), committed.revision);

    let query = Query::Specs(namespace.clone(), Page::default());
    let asked = json!({"query": query, "at_least": committed.revision});
    let reply = server.post("/v1/read", asked).await;
    let read: model::Read = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(read.as_of, committed.revision);
    let model::Answer::Specs(specs) = read.answer else { panic!("{read:?}") };
    assert_eq!(specs[0].name, SpecName::new("s").unwrap());

    let reply = server.post("/v1/events", json!({"namespace": "n", "after": 0, "limit": 10})).await;
    let events: Vec<model::Event> = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(events.last().unwrap().revision, committed.revision);
    let direct = server.backend.events(&namespace, 0, 10).await.unwrap();
    assert_eq!(events, direct);
}

#[tokio::test]
async fn errors_come_back_as_values() {
    let server = Server::start();
    let namespace = Namespace::new("n").unwrap();
    let command = QueueCommand::ChangeSpec {
        spec: model::SpecRef { name: SpecName::new("s").unwrap(), id: None },
        data: model::Data::default(),
    };
    let reply = write(&server, &Write::one(&namespace, command.clone())).await;
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let error: model::Error = serde_json::from_value(reply.json()["error"].clone()).unwrap();
    let direct = server.backend.write(Write::one(&namespace, command)).await.unwrap_err();
    assert_eq!(error, direct);
    assert_eq!(reply.status, direct.code().status);
    assert_eq!(reply.json()["code"], direct.code().code);
    assert_eq!(reply.json()["hint"], direct.code().hint);
}

#[tokio::test]
async fn what_is_no_command_is_refused() {
    let server = Server::start();
    let table: [(&str, Value); 9] = [
        ("/v1/write", json!({})),
        ("/v1/write", json!({"namespace": "n", "commands": [], "unknown": 1})),
        ("/v1/write", json!({"namespace": "n", "commands": [{"queue": "nonsense"}]})),
        (
            "/v1/write",
            json!({"namespace": "n", "commands": [
            {"queue": {"create_worker": {"worker": "w", "more": 1}}}]}),
        ),
        (
            "/v1/write",
            json!({"namespace": "n", "commands": [
            {"queue": {"set_spec": {"data": "not base64"}}}]}),
        ),
        ("/v1/write", json!({"namespace": 1, "commands": []})),
        ("/v1/read", json!({"query": {"nothing": 1}})),
        ("/v1/read", json!({"query": {"spec": ["n", {"name": "", "id": null}]}})),
        ("/v1/events", json!({"namespace": "n", "after": -1})),
    ];
    for (path, body) in table {
        let reply = server.post(path, body.clone()).await;
        assert_eq!((reply.status, &reply.json()["code"]), (400, &json!("bad_input")), "{body}");
    }
    let reply = server.send(Request::new("GET", "/v1/write")).await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
}
