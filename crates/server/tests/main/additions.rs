//! What goes beyond the ancestor's API.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Reply, Request, Server};

const UNITS: &str = "/namespace/n/work_spec/s/work_unit";
const WORK: &str = "/namespace/n/worker/w/work";

async fn with_spec() -> Server {
    let server = Server::start();
    server.set_spec(json!({"name": "s"})).await;
    server
}

#[tokio::test]
async fn a_batch_is_added_as_a_whole() {
    let server = with_spec().await;
    let batch = json!({"work_units": [
        {"name": "a", "data": {"n": 1}, "meta": {"priority": 5}},
        {"name": "b", "delay": 3_600_000_000_000_u64},
        {"name_base64": "/w=="},
    ]});
    let added = server.post(UNITS, batch).await;
    assert_eq!(added.status, 201);
    let expected = json!({"work_units": [
        {"url": format!("{UNITS}/a"), "name": "a"},
        {"url": format!("{UNITS}/b"), "name": "b"},
        {"url": format!("{UNITS}/-_w"), "name": "\u{fffd}", "name_base64": "/w=="},
    ]});
    assert_eq!(added.json(), expected);
    assert_eq!(server.get(&format!("{UNITS}/b")).await.json()["status"], "delayed");
    assert_eq!(server.get(&format!("{UNITS}/a")).await.json()["meta"]["priority"], 5.0);

    let bad = json!({"work_units": [{"name": "c"}, {"name": "d", "data": 7}]});
    assert_eq!(server.post(UNITS, bad).await.status, 400);
    assert_eq!(server.get(&format!("{UNITS}/c")).await.status, 404);
    let unit = |n: usize| json!({"name": format!("u{n}")});
    let most: Vec<Value> = (0..1001).map(unit).collect();
    let reply = server.post(UNITS, json!({"work_units": most})).await;
    assert_eq!((reply.status, reply.error().as_str()), (413, "error"));
    assert_eq!(server.post(UNITS, json!({"work_units": most[1..]})).await.status, 201);
    assert_eq!(server.post(UNITS, json!({"work_units": []})).await.status, 201);
}

/// What is absent is so as of a revision, too: whoever carries revisions sees nothing older.
#[tokio::test]
async fn an_absence_says_its_revision() {
    let server = with_spec().await;
    server.add_units("s", &["a"]).await;
    let revision =
        |reply: &Reply| -> u64 { reply.header("lockstep-revision").unwrap().parse().unwrap() };
    let there = revision(&server.get(&format!("{UNITS}/a")).await);
    assert_eq!(server.delete(&format!("{UNITS}/a")).await.status / 100, 2);
    let absent = server.get(&format!("{UNITS}/a")).await;
    assert_eq!((absent.status, revision(&absent)), (404, there + 1));
    let asked = json!({"query": {"spec": ["n", {"name": "unknown", "id": null}]}});
    let absent = server.post("/v1/read", asked).await;
    assert_eq!((absent.status, revision(&absent)), (404, there + 1));
    let nowhere = server.get("/namespace/nowhere/work_spec/s").await;
    assert_eq!((nowhere.status, nowhere.header("lockstep-revision")), (404, None));
}

#[tokio::test]
async fn one_call_ends_work_and_claims_the_next() {
    let server = with_spec().await;
    server.add_units("s", &["a", "b", "c", "d"]).await;
    let first = server.claim("w", 3).await;
    let change = |n: usize, word: &str| {
        let attempt = &first[n];
        json!({"work_spec": "s", "work_unit": attempt["work_unit"], "id": attempt["id"],
            "token": attempt["token"], "change": word, "data": {"by": word}})
    };
    let mut stolen = change(2, "finish");
    stolen["token"] = json!(999_999);
    let mut unknown = change(2, "finish");
    unknown["id"] = json!(999_999);
    let body = json!({
        "changes": [change(0, "finish"), change(1, "fail"), stolen, unknown, change(2, "renew")],
        "request": {"number_of_work_units": 5},
    });
    let reply = server.post(WORK, body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let worked = reply.json();
    let ok = json!({"ok": true});
    assert_eq!((&worked["results"][0], &worked["results"][1]), (&ok, &ok));
    assert_eq!(worked["results"][2]["ok"], false);
    assert_eq!(worked["results"][2]["error"]["code"], "lost_lease");
    assert_eq!(worked["results"][3]["error"]["code"], "no_such_attempt");
    assert_eq!(worked["results"][4], ok);
    assert_eq!(worked["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(worked["attempts"][0]["work_unit"], "d");
    let a = server.get(&format!("{UNITS}/a")).await.json();
    assert_eq!((&a["status"], &a["data"]), (&json!("finished"), &json!({"by": "finish"})));
    assert_eq!(server.get(&format!("{UNITS}/b")).await.json()["status"], "failed");

    let retry = json!({"changes": [change(2, "retry")]});
    let reply = server.post(WORK, retry).await.json();
    assert_eq!(reply, json!({"results": [ok], "attempts": []}));
    let again = server.post(WORK, json!({"request": {}})).await.json();
    assert_eq!(again["attempts"][0]["work_unit"], "c");
    for bad in [
        json!({"changes": [{"work_spec": "s", "work_unit": "a", "id": 1, "change": "eat"}]}),
        json!({"changes": [{"work_spec": "s", "work_unit": "a", "id": -1, "change": "fail"}]}),
        json!({"changes": [{"work_spec": "", "work_unit": "a", "id": 1, "change": "fail"}]}),
        json!({"changes": {}}),
    ] {
        assert_eq!(server.post(WORK, bad.clone()).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_claim_waits_for_work() {
    let server = with_spec().await;
    let request = "/namespace/n/worker/w/request_attempts";
    let mut waiting = server.connect().await;
    let wait = Request::new("POST", request).json(&json!({"wait_ms": 60_000}));
    waiting.write(&wait).await;
    let mut working = server.connect().await;
    let wait = json!({"changes": [], "request": {"wait_ms": 60_000}});
    working.write(&Request::new("POST", WORK).json(&wait)).await;
    let begin = Instant::now();
    server.add_units("s", &["a", "b"]).await;
    let (one, two) = (waiting.reply(false).await.json(), working.reply(false).await.json());
    let mut names = [&one, &two].map(|reply| reply["attempts"][0]["work_unit"].clone());
    names.sort_by_key(Value::to_string);
    assert_eq!(names, [json!("a"), json!("b")]);
    assert!(begin.elapsed() < Duration::from_secs(20));

    let short = json!({"wait_ms": 1});
    assert_eq!(server.post(request, short).await.text(), r#"{"attempts":[]}"#);
}

#[tokio::test]
async fn a_waiting_client_that_leaves_takes_nothing() {
    let server = with_spec().await;
    let wait = json!({"wait_ms": 60_000});
    for path in ["/namespace/n/worker/gone/request_attempts", "/namespace/n/worker/gone/work"] {
        let body = if path.ends_with("work") { json!({"request": wait}) } else { wait.clone() };
        let mut client = server.connect().await;
        client.write(&Request::new("POST", path).json(&body)).await;
        until(&server, |text| text.contains("requests_in_flight 2")).await;
        drop(client);
        until(&server, |text| text.contains("requests_in_flight 1")).await;
    }
    server.add_units("s", &["a"]).await;
    assert_eq!(server.claim("w", 1).await.len(), 1);
    let counted = server.get(&format!("{UNITS}/a/num-attempts")).await.json();
    assert_eq!(counted, json!(1));
}

/// Waits for metrics to say something; the request that asks is in flight too.
async fn until(server: &Server, holds: impl Fn(&str) -> bool) {
    while !holds(server.get("/metrics").await.text()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_same_key_has_one_effect() {
    let server = with_spec().await;
    let keyed = |method: &str, path: &str, key: &str, body: &Value| {
        Request::new(method, path).json(body).header("Idempotency-Key", key)
    };
    server.add_units("s", &["a", "b"]).await;
    let claim = keyed("POST", "/namespace/n/worker/w/request_attempts", "k1", &json!({}));
    let first = server.send(claim.clone()).await;
    assert_eq!(server.send(claim).await.json(), first.json());
    assert_eq!(server.claim("w", 5).await.len(), 1);

    let adjust = "/namespace/n/work_spec/s/adjust";
    let by_one = json!({"meta": {"priority": 1}});
    for _ in 0..3 {
        assert_eq!(server.send(keyed("POST", adjust, "k2", &by_one)).await.status, 204);
    }
    assert_eq!(server.get(&format!("{UNITS}/a")).await.json()["meta"]["priority"], 1.0);
    let by_two = json!({"meta": {"priority": 2}});
    let reused = server.send(keyed("POST", adjust, "k2", &by_two)).await;
    assert_eq!(reused.status, 409);

    let delete = Request::new("DELETE", UNITS).header("Idempotency-Key", "k3");
    assert_eq!(server.send(delete.clone()).await.json(), json!({"Deleted": 2}));
    server.add_units("s", &["z"]).await;
    assert_eq!(server.send(delete).await.json(), json!({"Deleted": 2}));
    assert_eq!(server.get(&format!("{UNITS}/z")).await.status, 200);

    let long = "k".repeat(256);
    for key in ["", long.as_str()] {
        let bad = keyed("POST", adjust, key, &by_one);
        assert_eq!(server.send(bad).await.status, 400);
    }
}

#[tokio::test]
async fn a_sweep_of_many_parts_happens_once_per_key() {
    let server = with_spec().await;
    let names: Vec<String> = (0..2300).map(|n| format!("u{n:04}")).collect();
    for part in names.chunks(1000) {
        server.add_units("s", &part.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let adjust = Request::new("POST", "/namespace/n/work_spec/s/adjust")
        .json(&json!({"meta": {"priority": 1}}))
        .header("Idempotency-Key", "sweep");
    for _ in 0..2 {
        assert_eq!(server.send(adjust.clone()).await.status, 204);
    }
    for name in ["u0000", "u1500", "u2299"] {
        let unit = server.get(&format!("{UNITS}/{name}")).await.json();
        assert_eq!(unit["meta"]["priority"], 1.0, "{name}");
    }
}

#[tokio::test]
async fn revisions_tag_what_was_read() {
    let server = with_spec().await;
    let added = server.post(UNITS, json!({"name": "a"})).await;
    let revision = added.revision();
    let unit = format!("{UNITS}/a");
    let read = server.get(&unit).await;
    let tag = format!("\"{revision}\"");
    assert_eq!((read.revision(), read.header("etag")), (revision, Some(tag.as_str())));
    let again = |held: &str| Request::new("GET", &unit).header("If-None-Match", held);
    for held in [tag.clone(), format!("W/{tag}"), format!("\"0\", {tag}"), "*".to_owned()] {
        let reply = server.send(again(&held)).await;
        assert_eq!((reply.status, reply.header("etag")), (304, Some(tag.as_str())), "{held}");
    }
    let put = server.put(&unit, json!({"meta": {"priority": 1}})).await;
    assert!(put.revision() > revision);
    let changed = server.send(again(&tag)).await;
    assert_eq!((changed.status, changed.revision()), (200, put.revision()));
    assert_eq!(server.get("/summary").await.header("etag"), None);

    let at_least = |text: &str| Request::new("GET", &unit).header("Lockstep-At-Least", text);
    assert_eq!(server.send(at_least(&put.revision().to_string())).await.status, 200);
    assert_eq!(server.send(at_least("soon")).await.status, 400);
    let future = server.send(at_least("18446744073709551615")).await;
    assert!((400..500).contains(&future.status) || future.status == 503, "{future:?}");
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn units_keep_the_trace_context_that_they_came_with() {
    let server = with_spec().await;
    let mut client = server.connect().await;
    let own = "00-11111111111111111111111111111111-2222222222222222-00";
    let batch = json!({"work_units": [
        {"name": "a", "data": {"n": 1}},
        {"name": "b", "data": {"traceparent": own}},
    ]});
    let sent = Request::new("POST", UNITS).header("traceparent", TRACE).json(&batch);
    assert_eq!(client.send(sent).await.status, 201);
    let no_context = Request::new("POST", UNITS).header("traceparent", "00-zz-01");
    assert_eq!(client.send(no_context.json(&json!({"name": "c"}))).await.status, 201);
    let data = |attempt: &Value| (attempt["work_unit"].clone(), attempt["data"].clone());
    let claimed = server.claim("w", 3).await;
    let claimed: Vec<_> = claimed.iter().map(data).collect();
    assert_eq!(
        claimed,
        [
            (json!("a"), json!({"n": 1, "traceparent": TRACE})),
            (json!("b"), json!({"traceparent": own})),
            (json!("c"), Value::Null),
        ]
    );
}

#[tokio::test]
async fn events_keep_the_trace_context_that_they_came_with() {
    let server = with_spec().await;
    let mut client = server.connect().await;
    let event = json!({"id": "1", "source": "s", "type": "t"});
    let sent = Request::new("POST", "/namespace/n/event").header("traceparent", TRACE);
    assert_eq!(client.send(sent.json(&event)).await.status, 200);
    let hook = Request::new("POST", "/hooks/n/h").header("traceparent", TRACE);
    assert_eq!(client.send(hook.json(&json!({}))).await.status, 202);
    let events = server.get("/namespace/n/event").await.json()["events"].clone();
    let events = events.as_array().unwrap();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event[0]["traceparent"] == TRACE), "{events:?}");
}
