//! Users: how they sign in, what ends that, and what keeps others out.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use engine::{Engine, SystemClock};
use model::{Backend, Grant, Namespace, Role, UserChange, UserCommand, UserName, Write, limits};
use serde_json::json;
use server::{Rate, hash_password};

use crate::{
    access::{create, info},
    support::{Reply, Request, Server},
    ui::{cookie_of, form, page, sign_in_with, token_of},
};

const PASSWORD: &str = "correct horse battery";

fn name(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn grant(role: Role, namespace: Option<&str>) -> Grant {
    Grant { role, namespace: namespace.map(|name| Namespace::new(name).unwrap()) }
}

async fn command(backend: &Arc<dyn Backend>, command: UserCommand) {
    backend.write(Write::one(&Namespace::empty(), command)).await.unwrap();
}

async fn change(backend: &Arc<dyn Backend>, user: &str, change: UserChange) {
    command(backend, UserCommand::Change { name: name(user), change }).await;
}

pub(crate) async fn add(backend: &Arc<dyn Backend>, user: &str, grants: Vec<Grant>) {
    let password = Some(hash_password(PASSWORD).unwrap());
    command(backend, UserCommand::Add { name: name(user), password, grants, identity: None }).await;
}

async fn sign_in(server: &Server, user: &str, password: &str) -> Reply {
    let password = password.replace(' ', "+");
    sign_in_with(server, &format!("name={user}&password={password}")).await
}

async fn visit(server: &Server, path: &str, cookie: &str) -> u16 {
    server.send(page(path).header("Cookie", cookie)).await.status
}

#[tokio::test]
async fn a_user_sees_what_the_roles_say_and_nothing_else() {
    let server = Server::with(false);
    let all = create(&server, info("all", None, model::Scope::ALL)).await;
    for namespace in ["n", "other"] {
        let path = format!("/namespace/{namespace}/work_spec");
        let spec = Request::new("POST", &path).json(&json!({"data": {"name": "s"}}));
        assert_eq!(server.send(spec.token(&all)).await.status, 201);
    }
    let grants = vec![grant(Role::Operate, Some("n")), grant(Role::View, Some("third"))];
    add(&server.backend, "ann", grants).await;
    let signed = sign_in(&server, "ann", PASSWORD).await;
    assert_eq!((signed.status, signed.header("location")), (303, Some("/ui/ns/n/specs")));
    let line = signed.header("set-cookie").unwrap();
    assert!(line.contains("; HttpOnly; SameSite=Strict"), "{line}");
    let cookie = cookie_of(&signed);
    for (path, status) in [
        ("/ui/ns/n/spec/s", 200),
        ("/ui/ns/other/spec/s", 403),
        ("/ui/me", 200),
        ("/ui/users", 403),
        ("/ui/tokens", 403),
        ("/ui/audit", 403),
        ("/ui/nodes", 403),
    ] {
        assert_eq!(visit(&server, path, &cookie).await, status, "{path}");
    }
    let twin = Request::new("GET", "/ui/namespaces").header("Cookie", &cookie);
    let listed = server.send(twin).await.json();
    let names: Vec<_> = listed["namespaces"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 1, "{listed}");
    assert_eq!(names[0]["name"], "n");

    // Whoever operates pauses a spec, and does not remove it.
    let shown = server.send(page("/ui/ns/n/spec/s").header("Cookie", &cookie)).await;
    let token = token_of(&shown);
    let does = |what: &str| {
        let fields = format!("do={what}&form={token}");
        server.send(form("/ui/ns/n/spec/s", &fields).header("Cookie", &cookie))
    };
    assert_eq!(does("pause").await.header("location"), Some("/ui/ns/n/spec/s?done=paused"));
    assert_eq!(does("delete").await.status, 403);
    // A cookie opens no door of the API.
    let api = Request::new("GET", "/namespace").header("Cookie", &cookie);
    assert_eq!(server.send(api).await.status, 401);
    let rows = Request::new("GET", "/audit?namespace=n&kind=spec.control").token(&all);
    assert_eq!(server.send(rows).await.json()["rows"][0]["actor"], "user/ann");
    let rows = Request::new("GET", "/audit?kind=session.").token(&all);
    assert_eq!(server.send(rows).await.json()["rows"][0]["record"], "user/ann");
}

#[tokio::test]
async fn unknown_wrong_and_disabled_are_one_answer_in_the_same_time() {
    let server = Server::with(false);
    add(&server.backend, "ann", vec![]).await;
    add(&server.backend, "off", vec![]).await;
    change(&server.backend, "off", UserChange::Disable).await;
    // The first one hashes what the others are compared with.
    sign_in(&server, "nobody", "x").await;
    let mut answers = Vec::new();
    let mut times = Vec::new();
    for (user, password) in
        [("ann", "wrong horse battery"), ("nobody", PASSWORD), ("off", PASSWORD), ("ann", "")]
    {
        let begun = Instant::now();
        let reply = sign_in(&server, user, password).await;
        times.push(begun.elapsed());
        assert_eq!((reply.status, reply.cookie("lockstep_session")), (200, None), "{user}");
        let (_, rest) = reply.text().split_once("role=\"alert\"").unwrap();
        answers.push(rest.split("</p>").next().unwrap().to_owned());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // A machine that is busy is slow for all; what must not be is one that needs no hash at all.
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*least > Duration::from_millis(5) && *most < *least * 20, "{times:?}");
    assert_eq!(sign_in(&server, "ann", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn what_is_changed_counts_at_once_for_those_who_are_signed_in() {
    let server = Server::with(false);
    let backend = &server.backend;
    add(backend, "ann", vec![grant(Role::View, None)]).await;
    let enter = async || cookie_of(&sign_in(&server, "ann", PASSWORD).await);
    let cookie = enter().await;
    assert_eq!(visit(&server, "/ui/nodes", &cookie).await, 200);
    change(backend, "ann", UserChange::Ungrant { namespace: None }).await;
    assert_eq!(visit(&server, "/ui/nodes", &cookie).await, 403);
    change(backend, "ann", UserChange::Grant(grant(Role::Admin, None))).await;
    assert_eq!(visit(&server, "/ui/users", &cookie).await, 200);

    let ends = [
        UserChange::Password(hash_password(PASSWORD).unwrap()),
        UserChange::SignOut,
        UserChange::Disable,
    ];
    for end in ends {
        let cookie = enter().await;
        assert_eq!(visit(&server, "/ui/nodes", &cookie).await, 200);
        change(backend, "ann", end.clone()).await;
        assert_eq!(visit(&server, "/ui/nodes", &cookie).await, 303, "{end:?}");
    }
    // Whoever is let in again has to sign in again.
    change(backend, "ann", UserChange::Enable).await;
    assert_eq!(visit(&server, "/ui/nodes", &cookie).await, 303);
    let cookie = enter().await;
    command(backend, UserCommand::Remove { name: name("ann") }).await;
    assert_eq!(visit(&server, "/ui/nodes", &cookie).await, 303);
    add(backend, "ann", vec![grant(Role::Admin, None)]).await;
    assert_eq!(visit(&server, "/ui/nodes", &cookie).await, 303, "another one of the same name");
}

#[tokio::test]
async fn there_are_only_so_many_browsers_for_one_user() {
    let server = Server::with(false);
    add(&server.backend, "ann", vec![grant(Role::View, None)]).await;
    let first = cookie_of(&sign_in(&server, "ann", PASSWORD).await);
    for id in 1..limits::SESSIONS_MAX {
        let id = [u8::try_from(id).unwrap(); 32];
        let holder = model::Holder::User(name("ann"));
        command(&server.backend, UserCommand::BeginSession { id, holder }).await;
    }
    assert_eq!(visit(&server, "/ui/nodes", &first).await, 200);
    let last = cookie_of(&sign_in(&server, "ann", PASSWORD).await);
    assert_eq!(visit(&server, "/ui/nodes", &first).await, 303);
    assert_eq!(visit(&server, "/ui/nodes", &last).await, 200);
}

#[tokio::test]
async fn guessing_passwords_is_slow_for_the_user_and_from_the_peer() {
    let server = Server::limited(false, Rate::Usual);
    add(&server.backend, "ann", vec![]).await;
    let mut refused = None;
    for guess in 0..=limits::WRONG_PASSWORDS_AT_ONCE_MAX {
        let reply = sign_in(&server, "ann", &format!("guess number {guess}")).await;
        if reply.status == 429 {
            refused = Some((guess, reply));
            break;
        }
    }
    let (guess, reply) = refused.expect("a limit");
    assert_eq!(guess, limits::WRONG_PASSWORDS_AT_ONCE_MAX);
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=limits::WRONG_PASSWORD_EVERY.as_secs()).contains(&seconds), "{seconds}");
    // The right one is not tried either, and other names from there are no way around.
    assert_eq!(sign_in(&server, "ann", PASSWORD).await.status, 429);
    assert_eq!(sign_in(&server, "bob", PASSWORD).await.status, 429);
}

#[tokio::test]
async fn forms_of_others_do_not_sign_in_and_do_not_change_users() {
    let server = Server::with(false);
    add(&server.backend, "ann", vec![grant(Role::Admin, None)]).await;
    let shown = server.send(page("/ui/sign-in")).await;
    let fields = format!("form={}&name=ann&password={}", token_of(&shown), "correct+horse+battery");
    // Without the cookie of that very page, and from a page of others.
    assert_eq!(server.send(form("/ui/sign-in", &fields)).await.status, 400);
    let cookie = shown.cookie("lockstep_sign_in").unwrap();
    let own = form("/ui/sign-in", &fields).header("Cookie", &cookie);
    let foreign = own.clone().header("Sec-Fetch-Site", "cross-site");
    assert_eq!(server.send(foreign).await.status, 400);
    let cookie = cookie_of(&server.send(own).await);
    let without =
        |path: &str, fields: &str| server.send(form(path, fields).header("Cookie", &cookie));
    for (path, fields) in [
        ("/ui/user/ann", "do=disable"),
        ("/ui/users", "name=eve&password=correct+horse+battery&role=admin&where=all"),
        ("/ui/me", "do=sign-out&form=AAAA"),
    ] {
        assert_eq!(without(path, fields).await.status, 400, "{path}");
    }
    assert_eq!(visit(&server, "/ui/users", &cookie).await, 200);
}

#[tokio::test]
async fn an_administrator_does_on_pages_what_the_command_line_does() {
    let server = Server::with(false);
    add(&server.backend, "root", vec![grant(Role::Admin, None)]).await;
    let cookie = cookie_of(&sign_in(&server, "root", PASSWORD).await);
    let get = async |path: &str| server.send(page(path).header("Cookie", &cookie)).await;
    let token = token_of(&get("/ui/users").await);
    let does = async |path: &str, fields: &str| {
        let fields = format!("form={token}&{fields}");
        let reply = server.send(form(path, &fields).header("Cookie", &cookie)).await;
        assert_eq!(reply.status, 303, "{path} {fields}: {}", reply.text());
    };
    let weak = format!("form={token}&name=bob&password=short&role=view&where=all");
    let weak = server.send(form("/ui/users", &weak).header("Cookie", &cookie)).await;
    assert!(weak.status == 400 && weak.text().contains("needs 12"), "{}", weak.text());
    does("/ui/users", "name=bob&password=correct+horse+battery&role=operate&where=one&namespace=n")
        .await;
    let bob = cookie_of(&sign_in(&server, "bob", PASSWORD).await);
    let shown = get("/ui/user/bob").await;
    assert!(shown.text().contains("lockstep user ungrant bob --namespace n"), "{}", shown.text());
    does("/ui/user/bob", "do=grant&role=author&where=one&namespace=n").await;
    does("/ui/user/bob", "do=grant&role=view&where=all").await;
    does("/ui/user/bob", "do=ungrant&where=all").await;
    let twin = Request::new("GET", "/ui/user/bob").header("Cookie", &cookie);
    let twin = server.send(twin).await;
    let expected = json!([{"role": "author", "namespace": "n"}]);
    assert_eq!(twin.json()["user"]["grants"], expected);
    assert!(!twin.text().contains("argon2"), "no page shows a hash");
    assert_eq!(twin.json()["sessions"].as_array().unwrap().len(), 1);
    does("/ui/user/bob", "do=sign-out").await;
    assert_eq!(visit(&server, "/ui/me", &bob).await, 303);
    does("/ui/user/bob", "do=disable").await;
    assert_eq!(sign_in(&server, "bob", PASSWORD).await.status, 200);
    does("/ui/user/bob", "do=enable").await;
    does("/ui/user/bob", "do=password&password=another+horse+battery").await;
    let bob = cookie_of(&sign_in(&server, "bob", "another horse battery").await);

    // Users change their own password, if they know it.
    let own = server.send(page("/ui/me").header("Cookie", &bob)).await;
    let own = token_of(&own);
    let changes = |current: &str| {
        let fields =
            format!("form={own}&do=password&current={current}&password=third+horse+battery");
        server.send(form("/ui/me", &fields).header("Cookie", &bob))
    };
    assert_eq!(changes("wrong+horse+battery").await.status, 400);
    assert_eq!(changes("another+horse+battery").await.status, 303);
    assert_eq!(visit(&server, "/ui/me", &bob).await, 303);
    assert_eq!(sign_in(&server, "bob", "third horse battery").await.status, 303);
    does("/ui/user/bob", "do=remove").await;
    assert_eq!(get("/ui/user/bob").await.status, 404);
}

#[tokio::test]
async fn users_over_http() {
    let server = Server::with(false);
    let all = create(&server, info("all", None, model::Scope::ALL)).await;
    let ask = |request: Request| server.send(request.token(&all));
    let bob = json!({
        "name": "b/b", "password": PASSWORD, "grants": [{"role": "view", "namespace": "n"}],
    });
    let added = ask(Request::new("POST", "/user").json(&bob)).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let place = added.header("location").unwrap().to_owned();
    assert!(!added.text().contains("argon2") && !added.text().contains(PASSWORD));
    let again = ask(Request::new("POST", "/user").json(&bob)).await;
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("user_exists")));
    let shown = ask(Request::new("GET", &place)).await.json();
    assert_eq!(
        (&shown["user"]["name"], &shown["user"]["has_password"]),
        (&json!("b/b"), &json!(true))
    );
    let listed = ask(Request::new("GET", "/user")).await.json();
    assert_eq!(listed["users"].as_array().unwrap().len(), 1);
    let changed = ask(Request::new("PUT", &place).json(&json!({
        "is_disabled": true, "grants": [{"role": "admin", "namespace": null}],
    })));
    assert_eq!(changed.await.status, 204);
    let shown = ask(Request::new("GET", &place)).await.json();
    assert_eq!(shown["user"]["is_disabled"], true);
    assert_eq!(shown["user"]["grants"], json!([{"role": "admin", "namespace": null}]));
    let weak = ask(Request::new("PUT", &place).json(&json!({"password": "short"}))).await;
    assert_eq!((weak.status, &weak.json()["code"]), (400, &json!("bad_input")));
    assert_eq!(ask(Request::new("DELETE", &place)).await.status, 204);
    let gone = ask(Request::new("GET", &place)).await;
    assert_eq!((gone.status, &gone.json()["code"]), (404, &json!("no_such_user")));
    let kinds = ask(Request::new("GET", "/audit?kind=user.")).await;
    assert!(!kinds.text().contains("argon2") && !kinds.text().contains(PASSWORD));
    let kinds = kinds.json();
    let kinds: Vec<_> = kinds["rows"].as_array().unwrap().iter().map(|row| &row["kind"]).collect();
    assert_eq!(kinds, ["user.remove", "user.disable", "user.grants", "user.add"]);
}

#[tokio::test]
async fn nobody_asks_for_hashes_or_makes_sessions_through_the_native_door() {
    let server = Server::with(false);
    let all = create(&server, info("all", None, model::Scope::ALL)).await;
    add(&server.backend, "ann", vec![]).await;
    let read = |query: serde_json::Value| {
        let asked = json!({ "query": { "users": query } });
        server.send(Request::new("POST", "/v1/read").json(&asked).token(&all))
    };
    let listed = read(json!({"list": {"after": null, "limit": 0}})).await;
    assert!(listed.status == 200 && !listed.text().contains("argon2"), "{}", listed.text());
    assert_eq!(read(json!({"password": "ann"})).await.status, 403);
    assert_eq!(read(json!({"session": vec![7; 32]})).await.status, 403);
    let write = |command: serde_json::Value| {
        let write = json!({"namespace": "", "commands": [{ "user": command }]});
        server.send(Request::new("POST", "/v1/write").json(&write).token(&all))
    };
    let begin = json!({"begin_session": {"id": vec![7; 32], "holder": {"user": "ann"}}});
    assert_eq!(write(begin).await.status, 403);
    let costly = "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQxMjM$kR2xZPBpFqS8yq5d";
    let costly = json!({"change": {"name": "ann", "change": {"password": costly}}});
    assert_eq!(write(costly).await.status, 400);
    assert_eq!(write(json!({"change": {"name": "ann", "change": "disable"}})).await.status, 200);
}

/// Two servers, each with an engine of its own.
async fn a_session_of_one_node_is_one_of_the_other(engines: [Arc<Engine>; 2]) {
    let [one, other] = engines.map(|engine| Server::over(engine, false, Duration::ZERO));
    add(&one.backend, "ann", vec![grant(Role::Admin, None)]).await;
    let cookie = cookie_of(&sign_in(&one, "ann", PASSWORD).await);
    let shown = other.send(page("/ui/users").header("Cookie", &cookie)).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    // The form of a page of one node is good on the other.
    let fields = format!("form={}&do=grant&role=view&where=one&namespace=n", token_of(&shown));
    let done = one.send(form("/ui/user/ann", &fields).header("Cookie", &cookie)).await;
    assert_eq!(done.status, 303, "{}", done.text());
    // So is the form for signing in.
    let shown = one.send(page("/ui/sign-in")).await;
    let fields = format!("form={}&name=ann&password=correct+horse+battery", token_of(&shown));
    let own = shown.cookie("lockstep_sign_in").unwrap();
    let signed = other.send(form("/ui/sign-in", &fields).header("Cookie", &own)).await;
    let second = cookie_of(&signed);
    assert_eq!(visit(&one, "/ui/users", &second).await, 200);
    change(&other.backend, "ann", UserChange::Ungrant { namespace: None }).await;
    assert_eq!(visit(&one, "/ui/users", &cookie).await, 403);
    change(&other.backend, "ann", UserChange::SignOut).await;
    for cookie in [&cookie, &second] {
        assert_eq!(visit(&one, "/ui/me", cookie).await, 303);
        assert_eq!(visit(&other, "/ui/me", cookie).await, 303);
    }
}

#[tokio::test]
async fn sessions_are_revoked_on_every_node_of_postgres() {
    let url = testkit::cluster::url();
    let node = || {
        let options = store::PostgresOptions { readers: 1, ..Default::default() };
        let store: Arc<dyn store::Store> = Arc::new(store::Postgres::open(&url, &options).unwrap());
        let clock = engine::clock_of(&store);
        Engine::new(store, clock)
    };
    a_session_of_one_node_is_one_of_the_other([node(), node()]).await;
}

#[tokio::test]
async fn sessions_outlive_a_server() {
    let engine = Engine::new(Arc::new(store::Memory::new()), Arc::new(SystemClock));
    a_session_of_one_node_is_one_of_the_other([engine.clone(), engine]).await;
}

#[tokio::test]
async fn the_audit_log_is_a_page() {
    let server = Server::with(false);
    add(&server.backend, "root", vec![grant(Role::Admin, None)]).await;
    let cookie = cookie_of(&sign_in(&server, "root", PASSWORD).await);
    let get = async |path: &str| server.send(page(path).header("Cookie", &cookie)).await;
    let token = token_of(&get("/ui/users").await);
    for number in 0..60 {
        let fields = format!(
            "form={token}&name=u{number}&password=correct+horse+battery&role=view&where=all"
        );
        let added = server.send(form("/ui/users", &fields).header("Cookie", &cookie)).await;
        assert_eq!(added.status, 303);
    }
    let first = get("/ui/audit?kind=user.add").await;
    assert!(
        first.text().contains("lockstep audit list --kind user.add --server"),
        "{}",
        first.text()
    );
    assert!(first.text().contains("href=\"/ui/user/u59\"") && !first.text().contains("user/u5\""));
    let twin = async |path: &str| {
        server.send(Request::new("GET", path).header("Cookie", &cookie)).await.json()
    };
    let page = twin("/ui/audit?kind=user.add&actor=user%2Froot").await;
    assert_eq!(page["rows"].as_array().unwrap().len(), 50);
    let next = format!("/ui/audit?kind=user.add&before={}", page["before"]);
    assert!(twin(&next).await["rows"].as_array().unwrap().len() >= 10);
    assert_eq!(twin("/ui/audit?actor=nobody").await["rows"], json!([]));
    let verdict = twin("/ui/audit?verify=1").await["verdict"].clone();
    assert_eq!((&verdict["is_whole"], &verdict["faults"]), (&json!(true), &json!([])), "{verdict}");
    assert!(verdict["followed"].as_u64().unwrap() > 60, "{verdict}");
    assert!(get("/ui/audit?verify=1").await.text().contains("as they were written"));
    assert_eq!(get("/ui/audit?chain=n").await.status, 400);
    assert_eq!(get("/ui/audit?chain=%3D").await.status, 200);
}
