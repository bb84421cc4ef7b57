//! Who may do what: the matrix of all routes and all kinds of callers.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use model::{
    AdminCommand, Backend, Command, Namespace, Query, Resource, Scope, Time, TokenInfo, Verb, Write,
};
use serde_json::json;
use server::{Authorized, Guard, Place, ROUTES, Route};
use sha2::{Digest, Sha256};

use crate::support::{Client, Request, Server};

/// A caller, and what it should be told.
struct Caller {
    what: String,
    token: Option<String>,
    /// The status of refusal, if any.
    refused: fn(&Caller, Guard) -> Option<u16>,
    scope: Scope,
    namespace: Option<&'static str>,
}

const MINE: &str = "mine";

pub(crate) fn info(id: &str, namespace: Option<&str>, scope: Scope) -> TokenInfo {
    TokenInfo {
        id: id.to_owned(),
        namespace: namespace.map(|name| Namespace::new(name).unwrap()),
        scopes: vec![scope],
        created: Time(0),
        expires: None,
    }
}

pub(crate) async fn create(server: &Server, info: TokenInfo) -> String {
    let token = format!("lk_{}_secret", info.id);
    let hash = Sha256::digest(&token).into();
    admin(server, AdminCommand::CreateToken { info, hash }).await;
    token
}

pub(crate) async fn admin(server: &Server, command: AdminCommand) {
    let namespace = Namespace::new("").unwrap();
    let write = Write {
        commands: vec![Command::Admin(command)],
        ..Write::one(&namespace, model::QueueCommand::CreateNamespace)
    };
    server.backend.write(write).await.unwrap();
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Time(i64::try_from(since.as_nanos()).unwrap())
}

fn by_scope(caller: &Caller, guard: Guard) -> Option<u16> {
    let Guard::Needs(verb, resource, place) = guard else {
        // No token lets anybody in where nodes come in.
        return (guard == Guard::Node).then_some(401);
    };
    let reached = match place {
        Place::Path | Place::Body => caller.namespace.is_none_or(|name| name == MINE),
        Place::Own => true,
        Place::Server => caller.namespace.is_none(),
    };
    (!reached || !caller.scope.allows(verb, resource)).then_some(403)
}

fn by_nothing(_: &Caller, guard: Guard) -> Option<u16> {
    (guard != Guard::Open).then_some(401)
}

async fn callers(server: &Server) -> Vec<Caller> {
    let caller = |what: String, token, refused, scope, namespace| Caller {
        what,
        token,
        refused,
        scope,
        namespace,
    };
    let mut callers = vec![
        caller("no token".into(), None, by_nothing, Scope::ALL, None),
        caller("nonsense".into(), Some("lk_x_y".into()), by_nothing, Scope::ALL, None),
    ];
    let mut expired = info("expired", None, Scope::ALL);
    expired.expires = Some(now());
    let token = create(server, expired).await;
    callers.push(caller("expired".into(), Some(token), by_nothing, Scope::ALL, None));
    let token = create(server, info("revoked", None, Scope::ALL)).await;
    admin(server, AdminCommand::RevokeToken { id: "revoked".into() }).await;
    callers.push(caller("revoked".into(), Some(token), by_nothing, Scope::ALL, None));
    let mut scopes = vec![Scope::ALL];
    for verb in [Verb::Read, Verb::Write] {
        scopes.push(Scope { verb: Some(verb), resource: None });
        let single = |resource| Scope { verb: Some(verb), resource: Some(resource) };
        scopes.extend(Resource::ALL.map(single));
    }
    for scope in scopes {
        for namespace in [None, Some(MINE), Some("other")] {
            let id = format!("{scope}-{namespace:?}");
            let token = create(server, info(&id, namespace, scope)).await;
            callers.push(caller(id, Some(token), by_scope, scope, namespace));
        }
    }
    callers
}

fn request(route: &Route, token: Option<&str>) -> Request {
    let path = route
        .path
        .replace("{namespace}", MINE)
        .replace("{work_spec}", "s")
        .replace("{work_unit}", "u")
        .replace("{worker}", "w")
        .replace("{attempt}", "1")
        .replace("{instance}", "1")
        .replace("{definition}", "d")
        .replace("{trigger}", "t")
        .replace("{version}", "v")
        .replace("{run}", "1")
        .replace("{blob}", &"9f".repeat(32))
        .replace("{step}", "s")
        .replace("{account}", "a")
        .replace("{user}", "u")
        .replace("{secret}", &"9f".repeat(32))
        .replace("{path}", "p")
        .replace("{file}", "f");
    assert!(!path.contains('{'), "no value for a parameter of {path}");
    let mut request = Request::new(route.method, &path);
    if matches!(route.method, "POST" | "PUT") {
        request = request.json(&json!({"name": MINE, "namespace": MINE}));
    }
    match token {
        Some(token) => request.token(token),
        None => request,
    }
}

#[tokio::test]
async fn every_route_keeps_out_whom_it_should() {
    let server = Server::with(false);
    let mut client = server.connect().await;
    for caller in callers(&server).await {
        for route in ROUTES {
            let expected = (caller.refused)(&caller, route.guard);
            let request = request(route, caller.token.as_deref());
            let reply = if route.path.ends_with("/live") {
                // What is told there has no end.
                let mut listener = server.connect().await;
                listener.write(&request).await;
                listener.reply(true).await
            } else {
                client.send(request).await
            };
            if reply.header("connection") == Some("close") {
                client = server.connect().await;
            }
            let refused = Some(reply.status).filter(|status| matches!(status, 401 | 403));
            let at = format!("{} {} for {}", route.method, route.path, caller.what);
            assert_eq!(refused, expected, "{at}: {}", reply.text());
            assert!(reply.status < 500, "{at}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn wrong_tokens_all_get_the_same_answer() {
    let server = Server::with(false);
    let mut expired = info("expired", None, Scope::ALL);
    expired.expires = Some(Time(1));
    let expired = create(&server, expired).await;
    let mut answers = Vec::new();
    for header in ["Bearer lk_a_b", "Bearer ", "Basic eDp5", "x", &format!("Bearer {expired}")] {
        let reply = server.send(Request::new("GET", "/").header("Authorization", header)).await;
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
        answers.push(reply.text().to_owned());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_revoked_token_stops_working_within_a_second() {
    let server = Server::with(false);
    let token = create(&server, info("t", None, Scope::ALL)).await;
    let mut client = server.connect().await;
    assert_eq!(client.send(Request::new("GET", "/").token(&token)).await.status, 200);
    admin(&server, AdminCommand::RevokeToken { id: "t".into() }).await;
    let revoked = std::time::Instant::now();
    while client.send(Request::new("GET", "/").token(&token)).await.status != 401 {
        assert!(revoked.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn a_token_of_one_namespace_sees_only_that() {
    let server = Server::with(false);
    let all = create(&server, info("all", None, Scope::ALL)).await;
    let mine = create(&server, info("mine", Some(MINE), Scope::ALL)).await;
    let get = |path: &str, token: &str| server.send(Request::new("GET", path).token(token));
    for name in ["mine", "other"] {
        let spec = json!({"data": {"name": "s"}});
        let path = format!("/namespace/{name}/work_spec");
        server.send(Request::new("POST", &path).json(&spec).token(&all)).await;
        let unit = Request::new("POST", &format!("{path}/s/work_unit")).json(&json!({"name": "u"}));
        assert_eq!(server.send(unit.token(&all)).await.status, 201);
    }
    let names = get("/namespace", &mine).await.json();
    assert_eq!(names["namespaces"].as_array().unwrap().len(), 1);
    assert_eq!(names["namespaces"][0]["name"], "mine");
    let after = get("/namespace?previous=mine", &mine).await.json();
    assert_eq!(after["namespaces"], json!([]));
    let summary = get("/summary", &mine).await.json();
    assert_eq!(summary.as_array().unwrap().len(), 1);
    assert_eq!(summary[0]["Namespace"], "mine");
    assert_eq!(get("/summary", &all).await.json().as_array().unwrap().len(), 2);
    let unborn = create(&server, info("unborn", Some("unborn"), Scope::ALL)).await;
    assert_eq!(get("/summary", &unborn).await.text(), "[]");
    assert_eq!(get("/namespace", &unborn).await.text(), r#"{"namespaces":[]}"#);
    // What is there and what is not look the same from outside.
    let there = get("/namespace/other/work_spec/s", &mine).await;
    let nowhere = get("/namespace/nowhere/work_spec/s", &mine).await;
    assert_eq!((there.status, nowhere.status), (403, 403));
    assert_eq!(there.text().replace("other", "nowhere"), nowhere.text());
}

#[tokio::test]
async fn looking_creates_only_for_those_who_may() {
    let server = Server::with(false);
    let scope = Scope { verb: Some(Verb::Read), resource: None };
    let reader = create(&server, info("reader", None, scope)).await;
    for path in ["/namespace/new", "/namespace/new/worker/w"] {
        let reply = server.send(Request::new("GET", path).token(&reader)).await;
        assert_eq!(reply.status, 404, "{path}");
    }
    let query = Query::Namespace(Namespace::new("new").unwrap());
    assert!(server.backend.read(query, 0).await.is_err());
}

#[tokio::test]
async fn the_native_door_checks_every_command() {
    let server = Server::with(false);
    let scope = Scope { verb: Some(Verb::Write), resource: Some(Resource::Worker) };
    let token = create(&server, info("w", Some(MINE), scope)).await;
    let door = |body: serde_json::Value| {
        server.send(Request::new("POST", "/v1/write").json(&body).token(&token))
    };
    let worker = json!({"queue": {"create_worker": {"worker": "w"}}});
    let create = json!({"queue": "create_namespace"});
    let revoke = json!({"admin": {"revoke_token": {"id": "w"}}});
    let both = |command| json!({"namespace": MINE, "commands": [worker.clone(), command]});
    assert_eq!(door(json!({"namespace": MINE, "commands": [worker.clone()]})).await.status, 200);
    assert_eq!(door(json!({"namespace": "other", "commands": [worker.clone()]})).await.status, 403);
    assert_eq!(door(both(create)).await.status, 403);
    assert_eq!(door(both(revoke)).await.status, 403);
    let asked = json!({"query": "tokens"});
    let read = server.send(Request::new("POST", "/v1/read").json(&asked).token(&token)).await;
    assert_eq!((read.status, &read.json()["code"]), (403, &json!("denied")));
}

#[tokio::test]
async fn an_open_server_answers_only_this_machine() {
    let server = Server::start();
    let port = server.address.port();
    let get = |host: &str| Request::new("GET", "/").header("Host", host);
    for host in ["127.0.0.1", "localhost", "[::1]", "127.8.8.8"] {
        assert_eq!(server.send(get(&format!("{host}:{port}"))).await.status, 200, "{host}");
    }
    let hosts = ["evil.example", "localhost", "localhost:1", "127.0.0.1.evil.example", "", "0"];
    for host in hosts.map(str::to_owned).into_iter().chain([format!("evil.example:{port}")]) {
        assert_eq!(server.send(get(&host)).await.status, 403, "{host:?}");
    }
    let origin = |origin: &str| {
        Request::new("POST", "/namespace").json(&json!({"name": "n"})).header("Origin", origin)
    };
    let own = format!("http://localhost:{port}");
    assert_eq!(server.send(origin(&own)).await.status, 201);
    let others = ["null", "http://evil.example", "http://localhost:1", "https://localhost"];
    let lookalike = format!("http://localhost:{port}.evil.example");
    for other in others.into_iter().chain([lookalike.as_str()]) {
        assert_eq!(server.send(origin(other)).await.status, 403, "{other}");
    }
    // Without a Host header there is nothing to trust.
    let mut client = Client::new(server.address).await;
    client.raw(b"GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.reply(false).await.status, 403);
    client = Client::new(server.address).await;
    client
        .raw(
            format!("GET http://evil.example:{port}/ HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")
                .as_bytes(),
        )
        .await;
    assert_eq!(client.reply(false).await.status, 403);
    // A token counts wherever it is shown, and so does a wrong one.
    assert_eq!(server.send(Request::new("GET", "/").token("lk_a_b")).await.status, 401);
}

fn open_at(listen: SocketAddr) -> server::Options {
    server::Options { listen, open: true, rate: server::Rate::Usual, grace: Duration::ZERO }
}

#[tokio::test]
async fn an_open_server_must_not_be_reachable() {
    let server = Server::start();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let options = open_at(listen.parse().unwrap());
        let refused = server::bind(options, server.backend.clone()).err().unwrap();
        assert!(matches!(&refused, model::Error::Denied(text) if text.contains("tokens")));
    }
    let taken = open_at(server.address);
    let refused = server::bind(taken, server.backend.clone()).err().unwrap();
    assert!(refused.to_string().contains(&server.address.to_string()));
}

#[tokio::test]
async fn the_wrapper_stands_alone() {
    let server = Server::start();
    let mine = Some(Namespace::new(MINE).unwrap());
    let scopes = vec![Scope { verb: Some(Verb::Read), resource: Some(Resource::Event) }];
    let principal = model::Principal::new("p", mine, scopes);
    let wrapped = Authorized::new(server.backend.clone(), principal.into());
    let other = Namespace::new("other").unwrap();
    assert!(matches!(wrapped.events(&other, 0, 1).await, Err(model::Error::Denied(_))));
    let read = wrapped.read(Query::Namespaces(model::Page::default()), 0).await;
    assert!(matches!(read, Err(model::Error::Denied(_))));
}
