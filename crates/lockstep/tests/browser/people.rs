//! Journeys to what only a person can decide.

use serde_json::{Value, json};

use super::{
    post::Post,
    stage::{APPROVAL, check_seen, publish, shop, start, wait_for},
};
use crate::support::{get, until};

#[test]
fn held_deletions_are_let_through_by_whoever_sees_them() {
    let (server, mut browser) = start(1440);
    let post = Post::start(&server, "home", &[("INBOX", 6)]);
    browser.go(&format!("{}/ui/ns/shop/mail", server.url));
    assert!(browser.text("#list").contains("home"), "{}", browser.text("main"));
    browser.lead(|browser| browser.click("#list tbody a"));
    assert!(browser.text("#folders").contains("INBOX"), "{}", browser.text("main"));
    assert_eq!(browser.text("#held"), "");

    post.remove("INBOX", 1..5);
    let token = until("the removals are held", || {
        let shown = shop(&server, &["mail", "status", "home", "--server"]);
        shown[0]["standing"]["holds"][0]["token"].as_str().map(str::to_owned)
    });
    browser.go(&format!("{}/ui", server.url));
    browser.lead(|browser| browser.click("#needs a[href$='/mail/home']"));
    let held = browser.text("#held");
    assert!(held.contains(&token) && held.contains("4 messages of INBOX"), "{held}");
    assert!(held.contains(&format!("mail approve {token} --server")), "{held}");
    assert_eq!(post.count("right", "INBOX"), 6, "nothing is removed before that");
    browser.click("#held summary");
    browser.lead(|browser| browser.click("#held button.danger"));
    assert!(browser.text(".said").contains("exactly that set"), "{}", browser.text("main"));
    until("what was confirmed is gone", || (post.count("right", "INBOX") == 2).then_some(()));
    // The page hears of it by itself.
    browser.until("!document.querySelector('#held article')");
    check_seen(&browser.take_seen(), &server);
}

#[test]
fn a_link_answers_one_wait_once_and_needs_no_token_and_no_script() {
    let (server, mut browser) = start(390);
    publish(&server, APPROVAL);
    let began = || {
        let started = shop(&server, &["run", "big-refund", "--input", "{\"total\": 900}"]);
        let id = started["instance"].as_u64().unwrap();
        wait_for(&server, id, "waiting");
        id
    };
    let (id, other) = (began(), began());
    browser.go(&format!("{}/ui/ns/shop/approvals", server.url));
    let link = format!("#list a[href*='/approval/{id}/']");
    browser.lead(|browser| browser.click(&link));
    assert!(browser.text("main").contains("com.acme.refund.decided.v1"));
    browser.fill("#note", "May we pay 900 back?");
    browser.lead(|browser| browser.click("button[value=invite]"));
    let link = browser.text("#link");
    assert!(link.starts_with(&server.url), "{link}");

    browser.set_scripts(false);
    // What only looks like it is none.
    browser.go(&format!("{}x", link));
    assert!(browser.text("main").contains("does not work"), "{}", browser.text("main"));
    browser.go(&link.replace(&format!("/{id}/"), &format!("/{other}/")));
    assert!(browser.text("main").contains("does not work"), "{}", browser.text("main"));
    browser.go(&link);
    let asked = browser.text("main");
    assert!(asked.contains("May we pay 900 back?") && asked.contains("big-refund"), "{asked}");
    assert_eq!(browser.text("nav"), "", "whoever decides sees nothing else");
    browser.fill("#by", "Ada");
    browser.lead(|browser| browser.click("button[value=approve]"));
    assert!(browser.text("main").contains("You have approved it"), "{}", browser.text("main"));
    let ended = wait_for(&server, id, "finished");
    assert_eq!(ended["output"], json!({"paid": 900, "by": "Ada"}), "{ended}");
    let waits = shop(&server, &["instance", "waits"]);
    let left: Vec<&Value> = waits["waits"].as_array().unwrap().iter().collect();
    assert_eq!(left.len(), 1, "{waits}");
    assert_eq!(left[0]["instance"], other, "no other instance was told: {waits}");
    browser.go(&link);
    assert!(browser.text("main").contains("does not work"), "{}", browser.text("main"));

    // The same on the command line, and at once on the page.
    let made = shop(&server, &["instance", "invite", &other.to_string(), "--at", &server.url]);
    let path = made["link"].as_str().unwrap().strip_prefix(&server.url).unwrap();
    assert_eq!(get(&server.url, path), 200);
    browser.go(&format!("{}/ui/ns/shop/approvals", server.url));
    browser.lead(|browser| browser.click("#list tbody a"));
    browser.fill("#comment", "too much");
    browser.lead(|browser| browser.click("button[value=decline]"));
    let ended = wait_for(&server, other, "finished");
    assert_eq!(ended["output"]["declined"], "too much", "{ended}");
    check_seen(&browser.take_seen(), &server);
}

#[test]
fn the_journal_shows_what_each_entry_changed() {
    let (server, mut browser) = start(1440);
    publish(&server, APPROVAL);
    let started = shop(&server, &["run", "big-refund", "--input", "{\"total\": 900}"]);
    let id = started["instance"].as_u64().unwrap();
    wait_for(&server, id, "waiting");
    shop(&server, &["instance", "answer", &id.to_string(), "--approve"]);
    wait_for(&server, id, "finished");
    let page = format!("{}/ui/ns/shop/instance/{id}", server.url);
    browser.go(&format!("{page}?seq=1"));
    let come = browser.text("#changes");
    assert!(come.contains("waits for events") && come.contains("do/1/ask/0"), "{come}");
    browser.lead(|browser| browser.click(".stepper a[rel=next]"));
    assert!(browser.text("#changes .gone").contains("begun"), "{}", browser.text("#changes"));
    assert!(browser.text("#changes").contains("completed"), "{}", browser.text("#changes"));
    assert!(browser.text("#timeline").contains("pay-back"), "{}", browser.text("#timeline"));
    let twin = browser.eval("fetch('?seq=1&format=json').then(answer => answer.json())");
    assert_eq!(twin["states"][0]["status"], "pending", "{twin}");
    assert_eq!(twin["states"][1]["status"], "running", "{twin}");
    check_seen(&browser.take_seen(), &server);
}

#[test]
fn chosen_units_are_tried_again_and_no_others() {
    let (server, mut browser) = start(1440);
    shop(&server, &["spec", "set", "name=scan"]);
    for unit in ["a", "b", "c"] {
        shop(&server, &["unit", "add", "scan", unit]);
    }
    super::stage::work(&server, "scan", "exit 1");
    browser.go(&format!("{}/ui/ns/shop/spec/scan?status=failed", server.url));
    browser.click("input[value=a]");
    browser.click("input[value=c]");
    browser.lead(|browser| browser.click(".chosen button[value=retry]"));
    assert!(browser.text(".said").contains("tried again"));
    let listed = shop(&server, &["unit", "list", "scan", "--status", "failed"]);
    let names: Vec<&Value> =
        listed["units"].as_array().unwrap().iter().map(|u| &u["name"]).collect();
    assert_eq!(names, ["b"], "{listed}");
    check_seen(&browser.take_seen(), &server);
}
