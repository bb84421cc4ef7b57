//! Media types, methods, unknown URLs and the forms of errors.

use serde_json::json;

use crate::support::{Reply, Request, Server, V1};

async fn accept(server: &Server, method: &str, path: &str, accept: &str) -> Reply {
    server.send(Request::new(method, path).header("Accept", accept)).await
}

#[tokio::test]
async fn the_answer_has_the_type_that_is_accepted() {
    let server = Server::start();
    for (header, media) in [
        ("*/*", V1),
        ("application/json", "application/json"),
        ("text/*", "text/json"),
        (
            "text/html, application/vnd.diffeo.coordinate+json;q=0.1",
            "application/vnd.diffeo.coordinate+json",
        ),
    ] {
        let reply = accept(&server, "GET", "/", header).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(media)), "{header}");
        let error = accept(&server, "GET", "/namespace/n/work_spec/s", header).await;
        assert_eq!((error.status, error.header("content-type")), (404, Some(media)), "{header}");
    }
    let none = accept(&server, "GET", "/", "image/png").await;
    assert_eq!((none.status, none.header("content-type")), (406, Some(V1)));
    assert_eq!(none.error(), "error");
    let malformed = accept(&server, "GET", "/", "json").await;
    assert_eq!((malformed.status, malformed.header("content-type")), (400, Some(V1)));
    let empty = accept(&server, "DELETE", "/namespace/n", "text/json").await;
    assert_eq!((empty.status, empty.header("content-type")), (404, Some("text/json")));
}

#[tokio::test]
async fn nothing_is_done_for_those_who_cannot_be_answered() {
    let server = Server::start();
    let request = Request::new("POST", "/namespace").json(&json!({"name": "n"}));
    assert_eq!(server.send(request.header("Accept", "image/png")).await.status, 406);
    assert_eq!(server.get("/namespace").await.json()["namespaces"], json!([]));
}

#[tokio::test]
async fn bodies_must_be_json_objects() {
    let server = Server::start();
    let post = |content_type: &str, body: &str| {
        Request::new("POST", "/namespace").header("Content-Type", content_type).body(body)
    };
    for media in [V1, "application/json; charset=utf-8", "TEXT/JSON"] {
        assert_eq!(server.send(post(media, r#"{"name":"n"}"#)).await.status, 201, "{media}");
    }
    let reply = server.send(post("text/plain", "{}")).await;
    assert_eq!((reply.status, reply.error().as_str()), (415, "error"));
    assert_eq!(reply.json()["message"], "Unsupported media type \"text/plain\"");
    let reply = server.send(Request::new("POST", "/namespace").body("{}")).await;
    assert_eq!(reply.json()["message"], "Unsupported media type \"application/octet-stream\"");
    let zipped = post("application/json", "{}").header("Content-Encoding", "gzip");
    assert_eq!(server.send(zipped).await.status, 415);
    for (body, message) in [
        ("", "EOF"),
        ("null", "Invalid input format"),
        ("[]", "Invalid input format"),
        ("3", "Invalid input format"),
    ] {
        let reply = server.send(post("application/json", body)).await;
        assert_eq!((reply.status, &reply.json()["message"]), (400, &json!(message)), "{body}");
    }
    for body in ["{", "{}}", "{\"name\":3}", "nul", "{\"name\":\"\\ud800\"}", "\u{feff}{}"] {
        let reply = server.send(post("application/json", body)).await;
        assert_eq!((reply.status, reply.error().as_str()), (400, "error"), "{body}");
    }
}

#[tokio::test]
async fn methods_and_urls_are_known_or_not() {
    let server = Server::start();
    let unit = "/namespace/n/work_spec/s/work_unit/u";
    for (method, path, allow) in [
        ("POST", "/", "GET, HEAD"),
        ("PATCH", "/namespace/n", "GET, HEAD, DELETE"),
        ("DELETE", "/namespace/n/worker", "GET, HEAD"),
        ("OPTIONS", unit, "GET, HEAD, PUT, DELETE"),
        ("BREW", "/livez", "GET, HEAD"),
    ] {
        let reply = server.send(Request::new(method, path)).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {path}");
        assert_eq!(reply.json()["message"], format!("Method {method} not allowed"));
    }
    for method in ["GET", "POST", "PUT", "DELETE"] {
        let reply = server.send(Request::new(method, &format!("{unit}/attempt"))).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("")), "{method}");
    }
    for path in ["/nothing", "/namespace/", "/namespace/n/", "/namespace/n/work_spec/a%2fb", "/v1"]
    {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.text()), (404, "404 page not found\n"), "{path}");
        assert!(reply.header("content-type").unwrap().starts_with("text/plain"));
    }
    let doubled = server.get("//namespace///n?x=1").await;
    assert_eq!((doubled.status, doubled.header("location")), (301, Some("/namespace/n?x=1")));
}

#[tokio::test]
async fn head_says_what_get_would() {
    let server = Server::start();
    server.set_spec(json!({"name": "s"})).await;
    server.add_units("s", &["a"]).await;
    for path in
        ["/", "/summary", "/namespace", "/namespace/n/work_spec/s/work_unit", "/metrics", "/api"]
    {
        let (get, head) = (server.get(path).await, server.send(Request::new("HEAD", path)).await);
        assert_eq!((head.status, head.header("content-type")), (200, get.header("content-type")));
        assert!(head.body.is_empty());
        if path != "/metrics" {
            assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        }
    }
}

#[tokio::test]
async fn problems_are_for_those_who_accept_them() {
    let server = Server::start();
    let header = "application/json, application/problem+json";
    let reply = accept(&server, "GET", "/namespace/n/work_spec/s", header).await;
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let expected = json!({
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "no_such_work_spec",
        "detail": "No such work spec s",
        "hint": "check the name, or create the work spec first",
        "error": {"no_such_work_spec": "s"},
    });
    assert_eq!((reply.status, reply.json()), (404, expected));
    let reply = accept(&server, "BREW", "/namespace", header).await;
    assert_eq!((reply.status, &reply.json()["code"]), (405, &json!("method_not_allowed")));
}
