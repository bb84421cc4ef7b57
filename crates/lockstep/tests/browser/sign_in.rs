//! Signing in, where the server asks for tokens, also without scripts.

use serde_json::json;

use super::{chromium::Browser, stage::check_seen};
use crate::support::{Server, lockstep, run};

#[test]
fn a_token_opens_what_it_allows_also_without_scripts() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", home.path().join("queue.db").display());
    let make = |args: &[&str]| {
        let args = [&["token", "create", "--store", &store, "--json"], args].concat();
        let made = run(&mut lockstep(home.path()), &args).with_code(0).json();
        made["token"].as_str().unwrap().to_owned()
    };
    let admin = make(&["--all-namespaces", "--scope", "*"]);
    let reader = make(&["--namespace", "shop", "--scope", "read:*"]);
    let server = Server::start_with(home, &["--store", &store, "--require-token"]);
    let mut setup = server.command();
    setup.env("LOCKSTEP_TOKEN", &admin);
    run(&mut setup, &["spec", "set", "name=scan", "--namespace", "shop"]).with_code(0);
    let mut setup = server.command();
    setup.env("LOCKSTEP_TOKEN", &admin);
    run(&mut setup, &["unit", "add", "scan", "one", "--namespace", "shop"]).with_code(0);

    let mut browser = Browser::start(1440);
    browser.set_scripts(false);
    // Whoever is not known is asked, and led back to where they wanted to go.
    browser.go(&format!("{}/ui/ns/shop/spec/scan", server.url));
    assert_eq!(browser.text("h1"), "Sign in");
    browser.fill("#token", "lk_wrong_token");
    browser.lead(|browser| browser.click("main button"));
    assert!(browser.text(".problem").contains("not valid"));
    browser.fill("#token", &reader);
    browser.lead(|browser| browser.click("main button"));
    assert_eq!(browser.text("h1"), "scan");
    let cookies =
        browser.call("Network.getCookies", json!({"urls": [format!("{}/ui", server.url)]}));
    let cookie = &cookies["cookies"][0];
    assert_eq!(cookie["httpOnly"], true, "{cookie}");
    assert_eq!(cookie["sameSite"], "Strict", "{cookie}");
    assert!(!cookie["value"].as_str().unwrap().contains(&reader), "the cookie is not the token");

    // A token that may only read changes nothing, and sees no other namespace.
    browser.lead(|browser| browser.click("button[value=pause]"));
    assert!(browser.text("main").contains("write:spec"), "{}", browser.text("main"));
    browser.go(&format!("{}/ui/ns/other/specs", server.url));
    assert!(browser.text("main").contains("denied"), "{}", browser.text("main"));
    browser.go(&format!("{}/ui", server.url));
    assert!(browser.text("#depth").contains("scan"));

    browser.lead(|browser| browser.click(".who form:last-child button"));
    assert_eq!(browser.text("h1"), "Sign in");
    browser.go(&format!("{}/ui/ns/shop/spec/scan", server.url));
    assert_eq!(browser.text("h1"), "Sign in", "the session is over");
    browser.fill("#token", &admin);
    browser.lead(|browser| browser.click("main button"));
    browser.lead(|browser| browser.click("button[value=pause]"));
    assert!(browser.text("#standing").contains("paused"));
    check_seen(&browser.take_seen(), &server);
}
