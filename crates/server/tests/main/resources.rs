//! Root, namespaces, work specs, meta and summaries.

use serde_json::{Value, json};

use crate::support::{Request, Server, V1};

#[tokio::test]
async fn the_root_leads_everywhere() {
    let server = Server::start();
    let reply = server.get("/").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some(V1));
    let expected = json!({
        "url": "",
        "summary_url": "/summary",
        "namespaces_url": "/namespace",
        "namespace_url": "/namespace/{namespace}",
    });
    assert_eq!(reply.json(), expected);
}

#[tokio::test]
async fn namespaces_come_and_go() {
    let server = Server::start();
    assert_eq!(server.get("/namespace").await.text(), r#"{"namespaces":[]}"#);
    let created = server.post("/namespace", json!({"name": "a/b", "more": 1})).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("location"), Some("/namespace/-YS9i"));
    let expected = json!({
        "url": "/namespace/-YS9i",
        "name": "a/b",
        "summary_url": "/namespace/-YS9i/summary",
        "work_specs_url": "/namespace/-YS9i/work_spec",
        "work_spec_url": "/namespace/-YS9i/work_spec/{spec}",
        "workers_url": "/namespace/-YS9i/worker",
        "worker_url": "/namespace/-YS9i/worker/{worker}",
    });
    assert_eq!(created.json(), expected);
    assert_eq!(server.get("/namespace/-YS9i").await.json(), expected);
    // Looking creates, and HEAD looks.
    assert_eq!(server.get("/namespace/-").await.json()["name"], "");
    let reply = server.send(Request::new("HEAD", "/namespace/seen")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some(V1)));
    let listed = json!({"namespaces": [
        {"url": "/namespace/-", "name": ""},
        {"url": "/namespace/-YS9i", "name": "a/b"},
        {"url": "/namespace/seen", "name": "seen"},
    ]});
    assert_eq!(server.get("/namespace").await.json(), listed);
    let page = server.get("/namespace?previous=-&limit=1").await.json();
    assert_eq!(page["namespaces"], json!([{"url": "/namespace/-YS9i", "name": "a/b"}]));
    let gone = server.delete("/namespace/-YS9i").await;
    assert_eq!((gone.status, gone.header("content-type")), (204, Some(V1)));
    assert_eq!(server.get("/namespace").await.json()["namespaces"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn work_specs_are_set_and_shown() {
    let server = Server::start();
    assert_eq!(server.get("/namespace/n/work_spec").await.text(), r#"{"work_specs":[]}"#);
    let absent = server.get("/namespace/n/work_spec/s/meta").await;
    assert_eq!((absent.status, absent.error().as_str()), (404, "ErrNoSuchWorkSpec"));
    let data = json!({"name": "a b", "desc": [], "n": 1, "f": 1.0, "interval": 60});
    let created = server.post("/namespace/n/work_spec", json!({"data": data})).await;
    assert_eq!(created.status, 201);
    let url = "/namespace/n/work_spec/-YSBi";
    assert_eq!(created.header("location"), Some(url));
    assert_eq!(created.json(), json!({"url": url, "name": "a b"}));
    let expected = json!({
        "url": url,
        "name": "a b",
        "data": data,
        "summary_url": format!("{url}/summary"),
        "work_units_url": format!("{url}/work_unit"),
        "work_unit_query_url": format!("{url}/work_unit{{?name*,status*,previous,limit}}"),
        "work_unit_url": format!("{url}/work_unit/{{unit}}"),
        "work_unit_counts_url": format!("{url}/counts"),
        "work_unit_change_url": format!("{url}/change{{?name*,status*,previous,limit}}"),
        "work_unit_adjust_url": format!("{url}/adjust{{?name*,status*,previous,limit}}"),
        "meta": format!("{url}/meta{{?counts}}"),
    });
    let shown = server.get(url).await;
    assert_eq!(shown.json(), expected);
    assert!(shown.text().contains(r#""f":1.0"#), "{}", shown.text());
    let listed = server.get("/namespace/n/work_spec").await.json();
    assert_eq!(listed, json!({"work_specs": [{"url": url, "name": "a b"}]}));

    let replaced = json!({"name": "a b", "other": true});
    assert_eq!(server.put(url, json!({"data": replaced})).await.status, 204);
    assert_eq!(server.get(url).await.json()["data"], replaced);
    assert_eq!(server.put(url, json!({})).await.status, 204);
    assert_eq!(server.get(url).await.json()["data"], replaced);
    let renamed = server.put(url, json!({"data": {"name": "c"}})).await;
    assert_eq!((renamed.status, renamed.error().as_str()), (409, "ErrChangedName"));

    assert_eq!(server.delete(url).await.status, 204);
    for reply in [server.get(url).await, server.delete(url).await, server.put(url, json!({})).await]
    {
        assert_eq!((reply.status, reply.error().as_str()), (404, "ErrNoSuchWorkSpec"));
        assert_eq!(reply.json()["message"], "No such work spec a b");
        assert_eq!(reply.json()["value"], "a b");
    }
}

#[tokio::test]
async fn refused_specs_leave_nothing_behind() {
    let server = Server::start();
    let table = [
        (json!({}), 400, "error"),
        (json!({"data": null}), 400, "error"),
        (json!({"data": {}}), 400, "ErrNoWorkSpecName"),
        (json!({"data": {"name": ""}}), 400, "ErrNoWorkSpecName"),
        (json!({"data": {"name": null}}), 400, "ErrNoWorkSpecName"),
        (json!({"data": {"name": 17}}), 400, "ErrBadWorkSpecName"),
        (json!({"data": {"name": "s", "priority": true}}), 400, "error"),
        (json!({"data": 5}), 400, "error"),
        (json!({"data": "?"}), 400, "error"),
    ];
    for (body, status, code) in table {
        let reply = server.post("/namespace/n/work_spec", body.clone()).await;
        assert_eq!((reply.status, reply.error().as_str()), (status, code), "{body}");
    }
    assert_eq!(server.get("/namespace/n/work_spec").await.json()["work_specs"], json!([]));
}

#[tokio::test]
async fn data_travels_as_json_or_as_cbor() {
    let server = Server::start();
    // {"key": ()} and {"name": "s", "key": h'00'} and {"name": "s", 1: …} inside.
    let tuple = "omRuYW1lYXNja2V52ICA";
    let reply = server.post("/namespace/n/work_spec", json!({"data": tuple})).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let shown = server.get("/namespace/n/work_spec/s").await.json()["data"].clone();
    let Value::String(text) = shown else { panic!("a tuple became {shown}") };
    assert_eq!(server.put("/namespace/n/work_spec/s", json!({"data": text})).await.status, 204);
    let bytes = "omRuYW1lYXNja2V5QQA=";
    assert_eq!(server.put("/namespace/n/work_spec/s", json!({"data": bytes})).await.status, 204);
    assert!(server.get("/namespace/n/work_spec/s").await.json()["data"].is_string());
    let int_keys = "omRuYW1lYXNja2V5oQEC";
    assert_eq!(server.put("/namespace/n/work_spec/s", json!({"data": int_keys})).await.status, 204);
    assert!(server.get("/namespace/n/work_spec/s").await.json()["data"].is_string());
    let plain = "omRuYW1lYXNja2V5AQ==";
    assert_eq!(server.put("/namespace/n/work_spec/s", json!({"data": plain})).await.status, 204);
    let shown = server.get("/namespace/n/work_spec/s").await.json()["data"].clone();
    assert_eq!(shown, json!({"name": "s", "key": 1}));
}

#[tokio::test]
async fn meta_is_shown_and_set() {
    let server = Server::start();
    server
        .set_spec(json!({"name": "s", "continuous": true, "interval": 60, "then": "t",
            "min_gb": 0.5, "max_running": 3, "max_getwork": 4, "max_retries": 5, "nice": 5,
            "runtime": "go", "priority": 2}))
        .await;
    let expected = json!({
        "priority": 2, "weight": 15, "paused": false, "continuous": true,
        "can_be_continuous": true, "min_memory_gb": 0.5, "interval": 60_000_000_000_u64,
        "next_continuous": "0001-01-01T00:00:00Z", "max_running": 3, "max_attempts_returned": 4,
        "max_retries": 5, "next_work_spec_name": "t", "available_count": 0, "pending_count": 0,
        "runtime": "go",
    });
    let url = "/namespace/n/work_spec/s/meta";
    assert_eq!(server.get(url).await.json(), expected);
    server.add_units("s", &["a", "b"]).await;
    server.claim("w", 1).await;
    assert_eq!(server.get(url).await.json(), expected);
    assert_eq!(server.get(&format!("{url}?counts=no")).await.json(), expected);
    let counted = server.get(&format!("{url}?counts=T")).await.json();
    assert_eq!((&counted["available_count"], &counted["pending_count"]), (&json!(1), &json!(1)));

    let set = json!({"priority": 9, "weight": 7, "next_continuous": "2030-01-01T00:00:00Z",
        "runtime": "ignored", "max_running": -1});
    assert_eq!(server.put(url, set).await.status, 204);
    let meta = server.get(url).await.json();
    assert_eq!(meta["priority"], 9);
    assert_eq!(meta["weight"], 7);
    assert_eq!(meta["continuous"], false);
    assert_eq!(meta["can_be_continuous"], true);
    assert_eq!(meta["next_continuous"], "2030-01-01T00:00:00Z");
    assert_eq!(meta["runtime"], "go");
    assert_eq!(meta["max_running"], 0);
    assert_eq!(meta.get("min_memory_gb"), None);
}

#[tokio::test]
async fn summaries_have_three_levels() {
    let server = Server::start();
    assert_eq!(server.get("/summary").await.text(), "[]");
    assert_eq!(server.get("/namespace/n/summary").await.text(), "[]");
    assert_eq!(server.get("/namespace/n/work_spec/s/summary").await.status, 404);
    server.set_spec(json!({"name": "s"})).await;
    server.add_units("s", &["a", "b"]).await;
    server.claim("w", 1).await;
    let expected = json!([
        {"Namespace": "n", "WorkSpec": "s", "Status": "available", "Count": 1},
        {"Namespace": "n", "WorkSpec": "s", "Status": "pending", "Count": 1},
    ]);
    for path in ["/summary", "/namespace/n/summary", "/namespace/n/work_spec/s/summary"] {
        assert_eq!(server.get(path).await.json(), expected, "{path}");
    }
    let counts = server.get("/namespace/n/work_spec/s/counts").await.json();
    assert_eq!(counts, json!({"available": 1, "pending": 1}));
}
