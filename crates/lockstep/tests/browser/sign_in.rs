//! Signing in, where the server asks for tokens, also without scripts.

use serde_json::json;

use super::{chromium::Browser, stage::check_seen};
use crate::support::{Server, lockstep, run, run_with};

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
    browser.lead(|browser| browser.click("#with-token button"));
    assert!(browser.text(".problem").contains("not valid"));
    browser.fill("#token", &reader);
    browser.lead(|browser| browser.click("#with-token button"));
    assert_eq!(browser.text("h1"), "scan");
    let cookies =
        browser.call("Network.getCookies", json!({"urls": [format!("{}/ui", server.url)]}));
    let cookie = &cookies["cookies"][0];
    assert_eq!(cookie["httpOnly"], true, "{cookie}");
    assert_eq!(cookie["sameSite"], "Strict", "{cookie}");
    assert!(!cookie["value"].as_str().unwrap().contains(&reader), "the cookie is not the token");

    // A token that may only read changes nothing, and sees no other namespace.
    browser.lead(|browser| browser.click("button[value=pause]"));
    assert!(browser.text("main").contains("write:control"), "{}", browser.text("main"));
    browser.go(&format!("{}/ui/ns/other/specs", server.url));
    assert!(browser.text("main").contains("denied"), "{}", browser.text("main"));
    browser.go(&format!("{}/ui", server.url));
    assert!(browser.text("#depth").contains("scan"));

    browser.lead(|browser| browser.click(".who form:last-child button"));
    assert_eq!(browser.text("h1"), "Sign in");
    browser.go(&format!("{}/ui/ns/shop/spec/scan", server.url));
    assert_eq!(browser.text("h1"), "Sign in", "the session is over");
    browser.fill("#token", &admin);
    browser.lead(|browser| browser.click("#with-token button"));
    browser.lead(|browser| browser.click("button[value=pause]"));
    assert!(browser.text("#standing").contains("paused"));
    check_seen(&browser.take_seen(), &server);
}

#[test]
fn people_sign_in_with_a_password_and_keep_it_to_themselves() {
    let home = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", home.path().join("queue.db").display());
    let args = ["user", "add", "root", "--role", "admin", "-A", "--store", &store];
    run_with(&mut lockstep(home.path()), &args, "correct horse battery\n").with_code(0);
    let server = Server::start_with(home, &["--store", &store, "--require-token"]);
    let mut browser = Browser::start(1440);
    browser.set_scripts(false);
    browser.go(&format!("{}/ui/users", server.url));
    let sign_in = |browser: &mut Browser, name: &str, password: &str| {
        browser.fill("#name", name);
        browser.fill("#password", password);
        browser.lead(|browser| browser.click("#with-password button"));
    };
    sign_in(&mut browser, "root", "wrong horse battery");
    assert!(browser.text(".problem").contains("not right"), "{}", browser.text("main"));
    sign_in(&mut browser, "root", "correct horse battery");
    assert_eq!(browser.text("h1"), "Users");

    // An administrator adds somebody, who sees what the role says and no more.
    browser.fill("[name=name]", "ann <b>");
    browser.fill("[name=password]", "another horse battery");
    browser.fill("[name=namespace]", "shop");
    browser.lead(|browser| browser.click("button[value=add]"));
    assert_eq!(browser.text("h1"), "ann <b>");
    assert!(browser.text("#roles").contains("view") && browser.text("#roles").contains("shop"));
    assert!(browser.text("main").contains("lockstep user disable 'ann <b>'"));
    browser.lead(|browser| browser.click(".facts a"));
    assert_eq!(browser.text("h1"), "Audit log");
    browser.go(&format!("{}/ui/audit?verify=1", server.url));
    assert!(browser.text("#verdict").contains("as they were written"));
    assert!(browser.text("#list").contains("user.add"), "{}", browser.text("#list"));
    browser.lead(|browser| browser.click(".who form:last-child button"));
    sign_in(&mut browser, "ann <b>", "another horse battery");
    assert!(browser.text(".who").contains("ann <b>"), "{}", browser.text(".who"));
    browser.go(&format!("{}/ui/users", server.url));
    assert!(browser.text("main").contains("denied"), "{}", browser.text("main"));

    // With another password, the browsers that know the old one are out.
    browser.go(&format!("{}/ui/me", server.url));
    browser.fill("[name=current]", "another horse battery");
    browser.fill("#password [name=password]", "a third horse battery");
    browser.lead(|browser| browser.click("button[value=password]"));
    assert_eq!(browser.text("h1"), "Sign in");
    sign_in(&mut browser, "ann <b>", "another horse battery");
    assert!(browser.text(".problem").contains("not right"));
    sign_in(&mut browser, "ann <b>", "a third horse battery");
    browser.go(&format!("{}/ui/me", server.url));
    assert!(browser.text("main").contains("view in shop"), "{}", browser.text("main"));
    check_seen(&browser.take_seen(), &server);
}
