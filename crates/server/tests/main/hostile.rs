//! What nobody should send: each gets a clear refusal, and nothing is stored.

use serde_json::{Value, json};

use crate::support::{Client, Request, Server};

const SPECS: &str = "/namespace/n/work_spec";
const UNITS: &str = "/namespace/n/work_spec/s/work_unit";

async fn post_text(server: &Server, path: &str, body: impl Into<Vec<u8>>) -> u16 {
    let request = Request::new("POST", path).header("Content-Type", "application/json").body(body);
    let reply = server.send(request).await;
    if reply.status >= 400 {
        assert!(!reply.error().is_empty());
    }
    reply.status
}

async fn with_spec() -> Server {
    let server = Server::start();
    server.set_spec(json!({"name": "s"})).await;
    server
}

async fn check_empty(server: &Server) {
    assert_eq!(server.get(UNITS).await.json()["work_units"], json!([]));
    assert_eq!(server.get(SPECS).await.json()["work_specs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn wrong_types_are_refused() {
    let server = with_spec().await;
    let bodies = [
        json!({"name": 1}),
        json!({"name": ["a"]}),
        json!({"name": "a", "data": []}),
        json!({"name": "a", "data": true}),
        json!({"name": "a", "data": "****"}),
        json!({"name": "a", "data": "gA=="}),
        json!({"name": "a", "meta": 5}),
        json!({"name": "a", "meta": {"priority": "high"}}),
        json!({"name": "a", "meta": {"not_before": "tomorrow"}}),
        json!({"name": "a", "meta": {"not_before": 5}}),
        json!({"name": "a", "meta": {"not_before": "9999-01-01T00:00:00Z"}}),
        json!({"name": "a", "delay": -1}),
        json!({"name": "a", "delay": 1.5}),
        json!({"name": "a", "delay": 1e300}),
        json!({"work_units": {}}),
        json!({"work_units": [1]}),
        json!({"work_units": [{"name": {}}]}),
    ];
    for body in bodies {
        assert_eq!(post_text(&server, UNITS, body.to_string()).await, 400, "{body}");
    }
    check_empty(&server).await;
}

#[tokio::test]
async fn broken_json_is_refused() {
    let server = with_spec().await;
    let bodies: [&[u8]; 12] = [
        b"{",
        b"{\"name\":",
        b"{\"name\":\"a\"",
        b"{\"name\":\"a\"}x",
        b"{'name':'a'}",
        b"{\"name\":\"\xff\"}",
        b"{\"name\":\"\x00\"}",
        b"{\"name\":\"\\uD800\"}",
        b"{\"name\":\"a\",\"name\":\"b\"}",
        b"{\"meta\":{\"priority\":1e999}}",
        b"{\"meta\":{\"priority\":NaN}}",
        b"{\"delay\":99999999999999999999}",
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(body).into_owned();
        assert_eq!(post_text(&server, UNITS, body).await, 400, "{shown}");
    }
    check_empty(&server).await;
}

#[tokio::test]
async fn bombs_are_refused() {
    let server = with_spec().await;
    let nested = |depth: usize, open: &str, close: &str| {
        format!(
            "{{\"name\":\"a\",\"data\":{{\"k\":{}1{}}}}}",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    for depth in [66, 100, 130, 100_000] {
        assert_eq!(post_text(&server, UNITS, nested(depth, "[", "]")).await, 413, "{depth}");
        assert_eq!(post_text(&server, UNITS, nested(depth, "{\"a\":", "}")).await, 413, "{depth}");
    }
    let keys: Vec<String> = (0..10_001).map(|n| format!("\"{n}\":0")).collect();
    let keys = format!("{{\"data\":{{\"k\":{{{}}}}}}}", keys.join(","));
    assert_eq!(post_text(&server, UNITS, keys).await, 413);
    let long = format!("{{\"data\":{{\"k\":\"{}\"}}}}", "x".repeat((1 << 20) + 1));
    assert_eq!(post_text(&server, UNITS, long).await, 413);
    let many = format!("{{\"data\":{{\"k\":[{}0]}}}}", "[0],".repeat(600_000));
    assert_eq!(post_text(&server, UNITS, many).await, 413);
    let name = format!("{{\"name\":\"{}\"}}", "n".repeat(1025));
    assert_eq!(post_text(&server, UNITS, name).await, 413);
    for (path, size) in [("/namespace", 1 << 20), (UNITS, 16 << 20)] {
        let body = format!("{{\"name\":\"{}\"}}", "x".repeat(size));
        assert_eq!(post_text(&server, path, body).await, 413, "{path}");
    }
    check_empty(&server).await;
    let deepest = nested(60, "[", "]");
    assert_eq!(post_text(&server, UNITS, deepest).await, 201);
}

#[tokio::test]
async fn bodies_without_a_length_have_the_same_limit() {
    let server = with_spec().await;
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
    let mut client = server.connect().await;
    let head = Request::new("POST", "/namespace")
        .header("Content-Type", "application/json")
        .header("Transfer-Encoding", "chunked");
    client.write(&head).await;
    for _ in 0..17 {
        client.raw(chunk.as_bytes()).await;
    }
    let reply = client.reply(false).await;
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
    // A length that lies is as good as none.
    let mut client = server.connect().await;
    client
        .write(
            &Request::new("POST", "/namespace")
                .header("Content-Type", "application/json")
                .header("Content-Length", "99999999999"),
        )
        .await;
    assert_eq!(client.reply(false).await.status, 413);
}

#[tokio::test]
async fn names_are_data_and_nothing_else() {
    let server = with_spec().await;
    for bad in ["/namespace/-%21", "/namespace/%FF", "/namespace/n/work_spec/-", "/namespace/-_w"] {
        assert_eq!(server.get(bad).await.status, 400, "{bad}");
    }
    let long = "n".repeat(1025);
    assert_eq!(server.get(&format!("/namespace/{long}")).await.status, 413);
    let names =
        ["\0", "..", ".", "../../etc/passwd", "a\r\nb", "\u{202e}", "<script>", "'--", "%00"];
    for name in names {
        let created = server.post("/namespace", json!({"name": name})).await;
        assert_eq!(created.status, 201, "{name:?}");
        let url = created.header("location").unwrap().to_owned();
        assert_eq!(server.get(&url).await.json()["name"], name);
        assert_eq!(server.delete(&url).await.status, 204);
    }
    let listed = server.get("/namespace").await.json();
    assert_eq!(listed["namespaces"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn numbers_at_their_limits_are_taken_or_refused() {
    let server = with_spec().await;
    server.add_units("s", &["a"]).await;
    let numbers: Vec<Value> = [
        "0",
        "-1",
        "1",
        "2147483647",
        "2147483648",
        "4294967296",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1e308",
        "-1e308",
        "0.5",
        "1e-320",
    ]
    .iter()
    .map(|text| serde_json::from_str(text).unwrap())
    .collect();
    let mut client = server.connect().await;
    let fields = [
        ("POST", "/namespace/n/worker/w/request_attempts", "number_of_work_units"),
        ("POST", "/namespace/n/worker/w/request_attempts", "lifetime"),
        ("POST", "/namespace/n/worker/w/request_attempts", "available_gb"),
        ("POST", "/namespace/n/worker/w/request_attempts", "min_gb"),
        ("PUT", "/namespace/n/work_spec/s/meta", "priority"),
        ("PUT", "/namespace/n/work_spec/s/meta", "weight"),
        ("PUT", "/namespace/n/work_spec/s/meta", "interval"),
        ("PUT", "/namespace/n/work_spec/s/meta", "max_running"),
        ("PUT", "/namespace/n/work_spec/s/meta", "max_retries"),
        ("PUT", "/namespace/n/work_spec/s/meta", "min_memory_gb"),
        ("POST", UNITS, "delay"),
    ];
    for (method, path, field) in fields {
        for number in &numbers {
            let request = Request::new(method, path).json(&json!({field: number}));
            let status = client.send(request).await.status;
            assert!(matches!(status, 200..=204 | 400 | 413), "{path} {field}={number}: {status}");
        }
    }
    for number in &numbers {
        for data in [json!({"name": "x", "priority": number, "interval": number, "nice": number,
            "weight": number, "max_running": number, "min_gb": number})]
        {
            let request = Request::new("POST", SPECS).json(&json!({"data": data}));
            let status = client.send(request).await.status;
            assert!(matches!(status, 201 | 400), "{data}: {status}");
        }
        let priority = json!({"meta": {"priority": number}});
        for path in ["change", "adjust"] {
            let path = format!("{SPECS}/s/{path}");
            let status = client.send(Request::new("POST", &path).json(&priority)).await.status;
            assert!(matches!(status, 204 | 400), "{path} {number}: {status}");
        }
        for word in ["renew", "retry"] {
            let path = format!("{UNITS}/a/attempt/w/1/{word}");
            let body = json!({"extend_duration": number, "delay": number, "token": number});
            let status = client.send(Request::new("POST", &path).json(&body)).await.status;
            assert!((400..500).contains(&status) || status == 204, "{word} {number}: {status}");
        }
    }
}

#[tokio::test]
async fn broken_http_is_refused() {
    let server = Server::start();
    let host = format!("Host: {}\r\n", server.address);
    let long = "x".repeat(70 << 10);
    let many = (0..200).map(|n| format!("h{n}: x\r\n")).collect::<String>();
    let requests = [
        "\r\n\r\nnonsense\r\n\r\n".to_owned(),
        format!("GET / HTTP/3.0\r\n{host}\r\n"),
        format!("GET nothing HTTP/1.1\r\n{host}\r\n"),
        format!("GET /\0 HTTP/1.1\r\n{host}\r\n"),
        format!("GET /{long} HTTP/1.1\r\n{host}\r\n"),
        format!("GET / HTTP/1.1\r\n{host}x: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}{many}\r\n"),
        format!("POST /namespace HTTP/1.1\r\n{host}Content-Length: x\r\n\r\n"),
        format!("POST /namespace HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        format!(
            "POST /namespace HTTP/1.1\r\n{host}Content-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\nzz\r\n"
        ),
    ];
    for request in requests {
        let mut client = Client::new(server.address).await;
        client.raw(request.as_bytes()).await;
        let status = client.reply(false).await.status;
        assert!((400..500).contains(&status), "{status} for {request:.80}");
    }
    assert_eq!(server.get("/namespace").await.json()["namespaces"], json!([]));
}

#[tokio::test]
async fn mangled_requests_never_break_the_server() {
    let server = with_spec().await;
    server.add_units("s", &["a", "b"]).await;
    let attempt = server.claim("w", 1).await.remove(0);
    let finish = attempt["finish_url"].as_str().unwrap().to_owned();
    let seeds = [
        ("POST", UNITS, r#"{"name":"c","data":{"k":[1,2.5,null]},"meta":{"priority":1}}"#),
        ("POST", SPECS, r#"{"data":{"name":"t","interval":5,"then":"s"}}"#),
        ("PUT", "/namespace/n/worker/w", r#"{"active":true,"mode":"x","parent":"p"}"#),
        ("POST", "/namespace/n/worker/w/work", r#"{"changes":[],"request":{"lifetime":5}}"#),
        ("POST", &finish, r#"{"data":"oWNrZXnYgIA=","token":7}"#),
        ("POST", "/v1/write", r#"{"namespace":"n","commands":[{"queue":"create_namespace"}]}"#),
        ("POST", "/v1/read", r#"{"query":{"units":["n",{"name":"s","id":null},{"limit":5}]}}"#),
        ("GET", "/namespace/n/work_spec/s/work_unit?name=a&status=any&limit=3&previous=-LQ", ""),
    ];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let mut client = server.connect().await;
    for round in 0..4_000 {
        let (method, path, body) = seeds[round % seeds.len()];
        let (mut path, mut body) = (path.as_bytes().to_vec(), body.as_bytes().to_vec());
        for _ in 0..=next(3) {
            let target = if body.is_empty() || next(4) == 0 { &mut path } else { &mut body };
            if target.len() < 4 {
                continue;
            }
            let at = 1 + next(target.len() - 1);
            match next(4) {
                0 => target[at] = b" {}[]\",:-0919aZ/%\\"[next(18)],
                1 => drop(target.remove(at)),
                2 => target.insert(at, b"{}[]\"e-.9"[next(9)]),
                _ => target.truncate(at.max(2)),
            }
        }
        let path = String::from_utf8(path).unwrap().replace(' ', "+");
        let request = Request::new(method, &path)
            .header("Content-Type", "application/json")
            .body(body.clone());
        let reply = client.send(request).await;
        let shown = format!("{method} {path} {}", String::from_utf8_lossy(&body));
        assert!(reply.status < 500, "{shown}: {reply:?}");
        if reply.header("connection") == Some("close") || reply.status == 400 {
            client = server.connect().await;
        }
    }
    assert_eq!(server.get("/readyz").await.status, 200);
}
