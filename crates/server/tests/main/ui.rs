//! The dashboard, asked as browsers ask: who may see it, what its forms need, and what it says.

use std::time::Duration;

use model::{Scope, Verb};
use serde_json::json;
use server::{ROUTES, Rate};

use crate::{
    access::{admin, create, info},
    support::{Client, Reply, Request, Server},
};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

pub(crate) fn page(path: &str) -> Request {
    Request::new("GET", path).header("Accept", BROWSER)
}

pub(crate) fn form(path: &str, fields: &str) -> Request {
    let request = Request::new("POST", path).header("Accept", BROWSER);
    request.header("Content-Type", "application/x-www-form-urlencoded").body(fields)
}

/// Takes what the forms of a page carry.
pub(crate) fn token_of(reply: &Reply) -> String {
    let (_, rest) = reply.text().split_once("name=\"form\" value=\"").expect("a form");
    rest.split('"').next().unwrap().to_owned()
}

/// Signs in with these fields, as a browser does.
pub(crate) async fn sign_in_with(server: &Server, fields: &str) -> Reply {
    let page = server.send(page("/ui/sign-in?to=%2Fui%2Fns%2Fn%2Fspecs")).await;
    let fields = format!("form={}&to=%2Fui%2Fns%2Fn%2Fspecs&{fields}", token_of(&page));
    let cookie = page.cookie("lockstep_sign_in").unwrap();
    server.send(form("/ui/sign-in", &fields).header("Cookie", &cookie)).await
}

/// Signs in with a token.
async fn sign_in(server: &Server, token: &str) -> Reply {
    sign_in_with(server, &format!("token={token}")).await
}

pub(crate) fn cookie_of(reply: &Reply) -> String {
    reply.cookie("lockstep_session").unwrap_or_else(|| panic!("not signed in: {reply:?}"))
}

#[tokio::test]
async fn people_get_pages_and_programs_get_json() {
    let server = Server::start();
    let led = server.send(page("/")).await;
    assert_eq!((led.status, led.header("location")), (303, Some("/ui")));
    let root = server.get("/").await;
    assert_eq!(root.json()["namespaces_url"], "/namespace");

    let shown = server.send(page("/ui")).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    assert_eq!(shown.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = shown.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(shown.header("referrer-policy"), Some("same-origin"));
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    assert!(!shown.text().contains(" style=") && !shown.text().contains("<script>"));

    for path in ["/ui?format=json", "/ui/namespaces", "/ui/nodes"] {
        let twin = match path.contains("json") {
            true => server.send(page(path)).await,
            false => server.get(path).await,
        };
        assert_eq!(twin.header("content-type"), Some("application/json"), "{path}");
        assert!(twin.json().is_object(), "{path}");
    }
    server.set_spec(json!({"name": "s"})).await;
    let absent = server.send(page("/ui/ns/n/instance/7")).await;
    assert_eq!(absent.status, 404);
    assert!(absent.text().contains("no_such_instance"), "{}", absent.text());
    assert!(absent.header("content-security-policy").is_some());
}

#[tokio::test]
async fn every_page_has_a_twin() {
    let server = Server::start();
    server.set_spec(json!({"name": "s"})).await;
    server.add_units("s", &["u"]).await;
    server.claim("w", 1).await;
    let pages = ROUTES.iter().filter(|route| route.is_page() && route.method == "GET");
    let mut seen = 0;
    let alone = |path: &str| path.ends_with("/live") || path.starts_with("/ui/sign-in/");
    for route in pages.filter(|route| !alone(route.path)) {
        let path = route.path.replace("{namespace}", "n").replace("{work_spec}", "s");
        let path = path.replace("{work_unit}", "u").replace("{worker}", "w");
        if path.contains('{') {
            continue;
        }
        let shown = server.send(page(&path)).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.text());
        assert!(shown.text().contains("<h1"), "{path}");
        let within = server.send(page(&path).header("Lockstep-Fragment", "1")).await;
        assert!(!within.text().contains("<html"), "{path}");
        let twin = server.get(&path).await;
        assert!(twin.json().is_object(), "{path}: {}", twin.text());
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");
}

#[tokio::test]
async fn assets_are_kept_for_ever_by_what_is_in_them() {
    let server = Server::start();
    let shown = server.send(page("/ui")).await;
    let names = shown.text().split("/ui/assets/").skip(1);
    let names: Vec<_> = names.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        let asset = server.get(&format!("/ui/assets/{name}")).await;
        assert_eq!(asset.status, 200, "{name}");
        let kept = asset.header("cache-control").unwrap();
        assert!(kept.contains("immutable"), "{kept}");
        assert_eq!(asset.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(server.get("/ui/assets/dashboard.css").await.status, 400);
}

#[tokio::test]
async fn forms_of_others_do_nothing() {
    let server = Server::start();
    server.set_spec(json!({"name": "s"})).await;
    let path = "/ui/ns/n/spec/s";
    let token = token_of(&server.send(page(path)).await);
    let is_paused = async || server.get(path).await.json()["spec"]["meta"]["paused"] == true;

    let without = server.send(form(path, "do=pause")).await;
    assert_eq!(without.status, 400, "{}", without.text());
    let wrong = server.send(form(path, "do=pause&form=AAAA")).await;
    assert_eq!(wrong.status, 400);
    let fields = format!("do=pause&form={token}");
    let foreign = form(path, &fields).header("Sec-Fetch-Site", "cross-site");
    assert_eq!(server.send(foreign).await.status, 400);
    let foreign = form(path, &fields).header("Origin", "https://evil.example");
    assert_eq!(server.send(foreign).await.status, 403);
    assert!(!is_paused().await);

    let own = form(path, &fields).header("Sec-Fetch-Site", "same-origin");
    let done = server.send(own).await;
    assert_eq!((done.status, done.header("location")), (303, Some("/ui/ns/n/spec/s?done=paused")));
    assert!(is_paused().await);
    let unknown = server.send(form(path, &format!("do=explode&form={token}"))).await;
    assert_eq!(unknown.status, 400);
    // A server that starts again does not know the forms of the one before.
    let other = Server::start();
    other.set_spec(json!({"name": "s"})).await;
    assert_eq!(other.send(form(path, &fields)).await.status, 400);
}

#[tokio::test]
async fn a_session_is_its_token_until_that_is_revoked() {
    let server = Server::with(false);
    let scope = Scope { verb: Some(Verb::Read), resource: None };
    let token = create(&server, info("reader", Some("n"), scope)).await;
    let led = server.send(page("/ui/ns/n/specs?status=x")).await;
    let to_sign_in = "/ui/sign-in?to=%2Fui%2Fns%2Fn%2Fspecs%3Fstatus%3Dx";
    assert_eq!((led.status, led.header("location")), (303, Some(to_sign_in)));

    let wrong = sign_in(&server, "lk_reader_wrong").await;
    assert_eq!(wrong.status, 200);
    assert!(wrong.text().contains("not valid") && wrong.cookie("lockstep_session").is_none());
    let right = sign_in(&server, &token).await;
    assert_eq!((right.status, right.header("location")), (303, Some("/ui/ns/n/specs")));
    let line = right.header("set-cookie").unwrap();
    assert!(line.contains("; HttpOnly; SameSite=Strict"), "{line}");
    assert!(!line.contains(&token), "{line}");
    let cookie = cookie_of(&right);
    let with = |request: Request| request.header("Cookie", &cookie);
    let shown = server.send(with(page("/ui/ns/n/specs"))).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    // The scopes are those of the token, and a cookie opens no other door.
    let form_token = token_of(&shown);
    let denied = server.send(with(form("/ui/ns/n/spec/s", &format!("do=pause&form={form_token}"))));
    assert_eq!(denied.await.status, 403);
    assert_eq!(server.send(with(page("/ui/ns/other/specs"))).await.status, 403);
    assert_eq!(server.send(with(Request::new("GET", "/namespace"))).await.status, 401);
    // The form token of one visitor is of no use to another.
    let out = server.send(with(form("/ui/sign-out", "form=AAAA"))).await;
    assert_eq!(out.status, 400);

    admin(&server, model::AdminCommand::RevokeToken { id: "reader".into() }).await;
    for _ in 0..100 {
        if server.send(with(page("/ui/ns/n/specs"))).await.status == 303 {
            return;
        }
        // Sleeps because a token that was just looked up is believed for a second.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the session outlives its token");
}

#[tokio::test]
async fn signing_out_ends_the_session_here_too() {
    let server = Server::with(false);
    let token = create(&server, info("reader", None, Scope::ALL)).await;
    let cookie = cookie_of(&sign_in(&server, &token).await);
    let shown = server.send(page("/ui").header("Cookie", &cookie)).await;
    let fields = format!("form={}", token_of(&shown));
    let out = server.send(form("/ui/sign-out", &fields).header("Cookie", &cookie)).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/ui/sign-in")));
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(server.send(page("/ui").header("Cookie", &cookie)).await.status, 303);
}

#[tokio::test]
async fn guessing_tokens_is_slow() {
    let server = Server::limited(false, Rate::Usual);
    let token = create(&server, info("reader", None, Scope::ALL)).await;
    let shown = server.send(page("/ui/sign-in")).await;
    let fields = |token: &str| format!("form={}&token={token}", token_of(&shown));
    let cookie = shown.cookie("lockstep_sign_in").unwrap();
    let mut client = server.connect().await;
    let mut refused = 0;
    for guess in 0..100 {
        let reply = client
            .send(form("/ui/sign-in", &fields(&format!("lk_x_{guess}"))).header("Cookie", &cookie))
            .await;
        refused += u32::from(reply.status == 429);
    }
    assert!(refused >= 30, "{refused} of 100 guesses were refused");
    // Whoever is signed in already stays so.
    assert_eq!(server.get("/livez").await.status, 200);
    assert!(!token.is_empty());
}

#[tokio::test]
async fn pages_hear_of_changes() {
    let server = Server::start();
    server.set_spec(json!({"name": "s"})).await;
    let revision = server.get("/ui/ns/n/spec/s").await;
    assert_eq!(revision.status, 200);
    let mut client: Client = server.connect().await;
    client.write(&page("/ui/ns/n/live")).await;
    let head = client.reply(true).await;
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let first = client.event().await;
    assert!(first.contains("event: changed"), "{first}");
    server.add_units("s", &["u"]).await;
    let second = client.event().await;
    assert_ne!(first, second);
    // Who comes back with the last id is told only of what came after it.
    let id = second.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    let mut again = server.connect().await;
    again.write(&page("/ui/ns/n/live").header("Last-Event-ID", &id)).await;
    again.reply(true).await;
    server.add_units("s", &["v"]).await;
    let third = again.event().await;
    assert!(!third.contains(&format!("id: {id}\n")), "{third}");
    // A server that stops does not wait for those who listen.
    server.stop().await.unwrap();
}
