//! Work units.

use serde_json::{Value, json};

use crate::support::{Request, Server};

const UNITS: &str = "/namespace/n/work_spec/s/work_unit";

async fn with_units(names: &[&str]) -> Server {
    let server = Server::start();
    server.set_spec(json!({"name": "s"})).await;
    if !names.is_empty() {
        server.add_units("s", names).await;
    }
    server
}

async fn names(server: &Server, query: &str) -> Vec<String> {
    let reply = server.get(&format!("{UNITS}{query}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let units = reply.json()["work_units"].as_array().unwrap().clone();
    units.iter().map(|unit| unit["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_unit_is_added_and_shown() {
    let server = with_units(&[]).await;
    assert_eq!(server.get(UNITS).await.text(), r#"{"work_units":[]}"#);
    let meta = json!({"priority": 2.5, "not_before": "2100-01-01T00:00:00.5Z"});
    let body = json!({"name": "a", "data": {"k": 1}, "meta": meta});
    let added = server.post(UNITS, body).await;
    assert_eq!(added.status, 201);
    let url = format!("{UNITS}/a");
    assert_eq!(added.header("location"), Some(url.as_str()));
    assert_eq!(added.json(), json!({"url": url, "name": "a"}));
    let expected = json!({
        "url": url, "name": "a", "data": {"k": 1}, "meta": meta, "status": "delayed",
        "work_spec_url": "/namespace/n/work_spec/s", "attempts_url": format!("{url}/attempts"),
    });
    assert_eq!(server.get(&url).await.json(), expected);
    // A tuple, as the ancestor's clients send one.
    let tuple = json!({"name": "a", "data": "oWNrZXnYgIA="});
    assert_eq!(server.post(UNITS, tuple).await.status, 201);
    assert_eq!(server.get(&url).await.json()["data"], "oWNrZXnYgIA=");
    // Added again it is replaced; null meta is none, and empty data is not shown.
    let again = json!({"name": "a", "data": {}, "meta": null});
    assert_eq!(server.post(UNITS, again).await.status, 201);
    let shown = server.get(&url).await.json();
    let zero = json!({"priority": 0.0, "not_before": "0001-01-01T00:00:00Z"});
    assert_eq!((&shown["meta"], &shown["status"]), (&zero, &json!("available")));
    assert_eq!(shown.get("data"), None);
    assert_eq!(server.get(&format!("{url}/attempts")).await.text(), r#"{"attempts":[]}"#);
    assert_eq!(server.get(&format!("{url}/num-attempts")).await.text(), "0");
}

#[tokio::test]
async fn unknown_units_and_specs_are_not_found() {
    let server = with_units(&[]).await;
    let unit = format!("{UNITS}/a");
    for reply in [
        server.get(&unit).await,
        server.delete(&unit).await,
        server.put(&unit, json!({})).await,
        server.put(&unit, json!({"meta": {"priority": 1}})).await,
        server.put(&unit, json!({"active_attempt_url": "-"})).await,
        server.get(&format!("{unit}/attempts")).await,
        server.get(&format!("{unit}/num-attempts")).await,
    ] {
        assert_eq!((reply.status, reply.error().as_str()), (404, "ErrNoSuchWorkUnit"));
        assert_eq!(reply.json()["message"], "No such work unit \"a\"");
        assert_eq!(reply.json()["value"], "a");
    }
    let other = "/namespace/n/work_spec/t/work_unit";
    for reply in [
        server.get(other).await,
        server.delete(other).await,
        server.post(other, json!({"name": "a"})).await,
        server.post("/namespace/n/work_spec/t/change", json!({})).await,
        server.get(&format!("{other}/a")).await,
        server.get("/namespace/n/work_spec/t/meta").await,
        server.put("/namespace/n/work_spec/t/meta", json!({})).await,
    ] {
        assert_eq!((reply.status, reply.error().as_str()), (404, "ErrNoSuchWorkSpec"));
    }
}

#[tokio::test]
async fn queries_select() {
    let server = with_units(&["d", "b", "c", "a", "-"]).await;
    server.claim("w", 2).await;
    assert_eq!(names(&server, "").await, ["-", "a", "b", "c", "d"]);
    assert_eq!(names(&server, "?limit=2").await, ["-", "a"]);
    assert_eq!(names(&server, "?limit=0").await.len(), 5);
    assert_eq!(names(&server, "?limit=-3").await.len(), 5);
    assert_eq!(names(&server, "?previous=a&limit=2").await, ["b", "c"]);
    // As the ancestor's client escapes it, and as it is.
    assert_eq!(names(&server, "?previous=-LQ&limit=1").await, ["a"]);
    assert_eq!(names(&server, "?previous=-%3F").await, ["a", "b", "c", "d"]);
    assert_eq!(names(&server, "?previous=d").await, [""; 0]);
    assert_eq!(names(&server, "?status=pending").await, ["-", "a"]);
    assert_eq!(names(&server, "?status=pending&status=available").await.len(), 5);
    assert_eq!(names(&server, "?status=any&status=failed").await.len(), 5);
    assert_eq!(names(&server, "?name=a&name=d&name=zz").await, ["a", "d"]);
    assert_eq!(names(&server, "?name=a&name=d&status=pending").await, ["a"]);
    for bad in ["?status=odd", "?status=", "?limit=x", "?limit=1e3", "?limit=99999999999999999999"]
    {
        assert_eq!(server.get(&format!("{UNITS}{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn long_lists_are_whole_and_in_order() {
    let server = with_units(&[]).await;
    let all: Vec<String> = (0..2500).map(|n| format!("u{n:05}")).collect();
    for part in all.chunks(1000) {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        server.add_units("s", &part).await;
    }
    assert!(names(&server, "").await == all);
    assert!(names(&server, "?limit=1500").await == all[..1500]);
    assert!(names(&server, "?limit=1000").await == all[..1000]);
    assert!(names(&server, "?previous=u01000&limit=1200").await == all[1001..2201]);
    let reply = server.send(Request::new("HEAD", UNITS)).await;
    assert_eq!(reply.status, 200);
    let deleted = server.delete(&format!("{UNITS}?limit=1700")).await;
    assert_eq!(deleted.json(), json!({"Deleted": 1700}));
    assert!(names(&server, "").await == all[1700..]);
    assert_eq!(server.delete(UNITS).await.json(), json!({"Deleted": 800}));
    assert_eq!(server.delete(UNITS).await.json(), json!({"Deleted": 0}));
}

#[tokio::test]
async fn priorities_are_set_and_adjusted() {
    let server = with_units(&["a", "b", "c"]).await;
    let priority = async |name: &str| {
        server.get(&format!("{UNITS}/{name}")).await.json()["meta"]["priority"].as_f64().unwrap()
    };
    let spec = "/namespace/n/work_spec/s";
    let change = json!({"meta": {"priority": 10}});
    assert_eq!(server.post(&format!("{spec}/change?name=a&name=b"), change).await.status, 204);
    let adjust = json!({"meta": {"priority": -2.5}});
    assert_eq!(server.post(&format!("{spec}/adjust?previous=a"), adjust).await.status, 204);
    assert_eq!([priority("a").await, priority("b").await, priority("c").await], [10.0, 7.5, -2.5]);
    assert_eq!(server.post(&format!("{spec}/change"), json!({})).await.status, 204);
    assert_eq!(priority("a").await, 10.0);
}

#[tokio::test]
async fn a_unit_is_changed_released_and_deleted() {
    let server = with_units(&["a"]).await;
    let attempt = server.claim("w", 1).await.remove(0);
    let unit = format!("{UNITS}/a");
    assert_eq!(server.get(&unit).await.json()["active_attempt_url"], attempt["url"]);
    assert_eq!(server.put(&unit, json!({"status": "failed"})).await.status, 204);
    assert_eq!(server.get(&unit).await.json()["status"], "pending");
    let put = json!({"active_attempt_url": "-", "meta": {"priority": 3}});
    assert_eq!(server.put(&unit, put).await.status, 204);
    let shown = server.get(&unit).await.json();
    assert_eq!(shown["status"], "available");
    assert_eq!(shown["meta"]["priority"], 3.0);
    assert_eq!(shown.get("active_attempt_url"), None);
    assert_eq!(server.get(&format!("{unit}/num-attempts")).await.json(), 1);
    assert_eq!(server.delete(&unit).await.status, 204);
    assert_eq!(server.get(&unit).await.status, 404);
    let late = server.post(attempt["finish_url"].as_str().unwrap(), json!({})).await;
    assert!([404, 410].contains(&late.status), "{late:?}");
}

#[tokio::test]
async fn every_name_has_a_url() {
    let server = with_units(&[]).await;
    let table: [(&str, &str); 9] = [
        ("foo", "foo"),
        ("", "-"),
        ("-", "-LQ"),
        ("\0", "-AA"),
        ("a/b", "-YS9i"),
        ("..", "-Li4"),
        ("a~", "-YX4"),
        ("1:2_3.4-5", "1:2_3.4-5"),
        ("é\n", "-w6kK"),
    ];
    for (name, segment) in table {
        let added = server.post(UNITS, json!({"name": name})).await.json();
        assert_eq!(added, json!({"url": format!("{UNITS}/{segment}"), "name": name}));
        assert_eq!(server.get(&format!("{UNITS}/{segment}")).await.json()["name"], name);
        let encoded: String = name.bytes().map(|b| format!("%{b:02X}")).collect();
        if !name.is_empty() && !name.starts_with('-') && !name.contains('/') {
            assert_eq!(server.get(&format!("{UNITS}/{encoded}")).await.json()["name"], name);
        }
        assert_eq!(names(&server, &format!("?name={encoded}")).await, [name]);
    }
    assert_eq!(server.get(&format!("{UNITS}/a%2Fb")).await.text(), "404 page not found\n");
    assert_eq!(server.get(&format!("{UNITS}/-%21")).await.status, 400);
    assert_eq!(server.delete(&format!("{UNITS}?name=")).await.json()["Deleted"], 1);
}

#[tokio::test]
async fn names_that_are_not_text_travel_as_base64() {
    let server = with_units(&[]).await;
    let added = server.post(UNITS, json!({"name_base64": "//4=", "data": {"a": 1}})).await.json();
    let url = format!("{UNITS}/-__4");
    assert_eq!(added, json!({"url": url, "name": "\u{fffd}\u{fffd}", "name_base64": "//4="}));
    assert_eq!(server.get(&url).await.json()["data"], json!({"a": 1}));
    assert_eq!(server.get(&format!("{UNITS}/%FF%FE")).await.json()["url"], Value::from(url));
    let attempt = server.claim("w", 1).await.remove(0);
    assert_eq!(attempt["work_unit_base64"], "//4=");
    let finished = server.post(attempt["finish_url"].as_str().unwrap(), json!({})).await;
    assert_eq!(finished.status, 204);
    assert_eq!(server.post(UNITS, json!({"name_base64": "?"})).await.status, 400);
}
