//! Names and data that would be scripts if they were ever taken for markup.

use serde_json::{Value, json};

use super::{
    filled::account,
    stage::{self, REFUND, check_seen, publish, start},
};
use crate::support::Server;

const STRINGS: usize = 200;

/// Ways to make a browser run something, each of which calls `hit()`.
const WAYS: [&str; 25] = [
    "<script>hit()</script>",
    "<img src=x onerror=hit()>",
    "<svg onload=hit()>",
    "<svg><script>hit()</script></svg>",
    "<body onload=hit()>",
    "<iframe srcdoc='<script>parent.hit()</script>'></iframe>",
    "<a href=javascript:hit() autofocus onfocus=hit()>x</a>",
    "<details open ontoggle=hit()>",
    "<input autofocus onfocus=hit()>",
    "<style>@import '//evil.example/x'</style>",
    "<link rel=stylesheet href=//evil.example/x>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<object data=javascript:hit()></object>",
    "<form action=//evil.example><button autofocus>",
    "{{ 7 * 7 }}${hit()}",
    "%3Cscript%3Ehit()%3C/script%3E",
    "&lt;script&gt;hit()&lt;/script&gt;",
    "javascript:hit()",
    "<math><mtext><script>hit()</script></mtext></math>",
    "<template><script>hit()</script></template>",
    "<video><source onerror=hit()></video>",
    "<x style=animation-name:fresh onanimationstart=hit()>",
    "<noscript><p title='</noscript><img src=x onerror=hit()>'>",
    "\u{202e}<script>hit()</script>\u{0}",
];

/// Ways out of where a text stands.
const ENDS: [&str; 8] =
    ["", "\">", "'>", "</title>", "</textarea>", "</pre></code>", "--></svg>", "]]></script>"];

fn strings() -> Vec<String> {
    let all: Vec<_> = (0..STRINGS)
        .map(|at| format!("{}{}{at}", ENDS[at / WAYS.len()], WAYS[at % WAYS.len()]))
        .collect();
    assert_eq!(all.len(), ENDS.len() * WAYS.len());
    all
}

/// Tells what of a page has come from a string: elements and attributes that no page of ours has.
const FOREIGN: &str = "[...document.querySelectorAll('*')].filter(element => \
    element.matches('iframe, object, embed, base, style, math, template, video, x, \
        meta[http-equiv], link:not([rel=icon]):not([href^=\"/ui/assets/\"]), \
        a[href^=\"javascript:\"], script:not([src^=\"/ui/assets/\"])') || \
    [...element.attributes].some(attribute => /^(on|style)/.test(attribute.name)))\
    .map(element => element.outerHTML)";

#[test]
fn hostile_strings_stay_strings() {
    let (server, mut browser) = start(1440);
    let strings = strings();
    fill(&server, &strings);
    for page in pages(&server, &strings) {
        browser.go(&format!("{}{page}", server.url));
        let foreign = browser.eval(FOREIGN);
        assert_eq!(foreign, json!([]), "{page}");
        assert_eq!(browser.eval("typeof hit"), "undefined", "{page}");
    }
    check_seen(&browser.take_seen(), &server);
}

/// Puts the strings wherever a caller can put one.
fn fill(server: &Server, strings: &[String]) {
    let at = |path: &str| format!("/namespace/shop/{path}");
    publish(server, REFUND);
    for (number, text) in strings.iter().enumerate() {
        let data = json!({"name": text, "runtime": text, "note": {text: text}});
        stage::post(server, &at("work_spec"), &json!({"data": data}));
        if number % 10 == 0 {
            let input = json!({"total": 1, "account": text, text: [text]});
            let start = json!({"definition": "refund", "input": input});
            stage::post(server, &at("instance"), &start);
        }
    }
    let named = |text: &String| json!({"name": text, "data": {text: text, "list": [text]}});
    let units: Vec<_> = strings.iter().map(named).collect();
    stage::post(server, &at("work_spec"), &json!({"data": {"name": "scan"}}));
    stage::post(server, &at("work_spec/scan/work_unit"), &json!({"work_units": units}));
    // Each worker claims and fails a few, with a text that tells why.
    for (number, text) in strings.iter().enumerate().step_by(10) {
        let worker = at(&format!("worker/{}", model::escape(text.as_bytes())));
        let claim = json!({"number_of_work_units": 10, "work_specs": ["scan"]});
        let claimed = stage::post(server, &format!("{worker}/request_attempts"), &claim);
        for attempt in claimed["attempts"].as_array().unwrap() {
            let path = attempt["fail_url"].as_str().unwrap();
            stage::post(server, path, &json!({"data": {"traceback": strings[number]}}));
        }
    }
    for (number, text) in strings.iter().enumerate() {
        let conflict = json!({"folder": text, "side": text, "key": text, "kind": text});
        let hold = json!({"token": text, "why": text,
            "removals": [{"folder": text, "side": text, "messages": 1}]});
        account(
            server,
            &format!("a{number}"),
            &json!({
                "folders": [{"folder": text, "messages": 1}], "holds": [hold],
                "conflicts": [{"conflict": conflict}],
                "last": {"summary": {"problems": [{"folder": text, "error": text}]}},
            }),
        );
    }
    for text in users(strings) {
        let user = json!({"name": text, "grants": [{"role": "view", "namespace": text}]});
        stage::post(server, "/user", &user);
    }
    waits(server, strings);
    for text in strings {
        let event = json!({
            "specversion": "1.0", "id": text, "source": text, "type": text, "subject": text,
            "data": {text: text},
        });
        stage::post(server, &at("event"), &event);
    }
}

/// Gives the strings that can be the names of users.
fn users(strings: &[String]) -> impl Iterator<Item = &String> {
    strings.iter().filter(|text| !text.chars().any(char::is_control))
}

/// Has instances wait for events that are called like this, and makes links that say it.
fn waits(server: &Server, strings: &[String]) {
    for text in strings.iter().step_by(20) {
        let with = json!({"type": text, "subject": text});
        let document = json!({
            "document": {"dsl": "1.0.3", "namespace": "shop", "name": "ask", "version": "1.0.0"},
            "do": [{"ask": {"listen": {"to": {"one": {"with": with}}}}}],
        });
        let version = format!("1.0.{}", strings.iter().position(|one| one == text).unwrap());
        publish(server, &document.to_string().replace("1.0.0", &version));
        let started = stage::shop(server, &["run", "ask"]);
        let id = started["instance"].as_u64().unwrap();
        stage::wait_for(server, id, "waiting");
    }
}

/// Gives the pages of what is waited for, and those of links, which say the strings, too.
fn waiting(server: &Server, strings: &[String]) -> Vec<String> {
    let waits = stage::shop(server, &["instance", "waits", "--limit", "0"]);
    let step = model::escape(b"do/0/ask/0");
    let waits = waits["waits"].as_array().unwrap();
    let pages = waits.iter().zip(strings).flat_map(|(wait, text)| {
        let id = wait["instance"].to_string();
        let args = ["instance", "invite", &id, "--note", text, "--data"];
        let data = json!({text: text}).to_string();
        let made = stage::shop(server, &[&args[..], &[data.as_str()]].concat());
        let link = made["link"].as_str().unwrap().to_owned();
        [format!("/ui/ns/shop/approval/{id}/{step}"), format!("/ui/ns/shop/instance/{id}"), link]
    });
    pages.collect()
}

/// Gives the pages on which the strings stand.
fn pages(server: &Server, strings: &[String]) -> Vec<String> {
    let mut pages = vec!["/ui".to_owned(), "/ui/ns/shop".to_owned()];
    let listed = |page: &str| format!("/ui/ns/shop/{page}");
    pages.extend(["workers", "instances", "definitions", "approvals", "mail"].map(listed));
    pages.extend(waiting(server, strings));
    pages.extend(["/ui/users", "/ui/audit", "/ui/audit?chain=%3Dshop"].map(str::to_owned));
    for text in users(strings).step_by(10) {
        pages.push(format!("/ui/user/{}", model::escape(text.as_bytes())));
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        pages.push(format!("/ui/users?previous={encoded}"));
        pages.push(format!("/ui/audit?actor={encoded}&kind={encoded}&record={encoded}"));
    }
    for (number, text) in strings.iter().enumerate() {
        let escaped = model::escape(text.as_bytes());
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        // Every text stands on lists; every few have all pages of their own, too.
        if number % 49 == 0 {
            pages.extend(["specs", "spec/scan"].map(|page| listed(page) + "?previous=" + &encoded));
            pages.push(listed(&format!("events?previous={}", number + 1)));
        }
        if number % 8 == 0 {
            pages.push(listed(&format!("mail/a{number}")));
            pages.push(listed(&format!("spec/scan/unit/{escaped}")));
        }
        if number % 10 == 0 {
            pages.push(listed(&format!("worker/{escaped}")));
            pages.push(listed(&format!("spec/{escaped}")));
            pages.push(listed(&format!("instance/{}", instance(server, number / 10))));
            pages.push(format!("/ui/search?q={encoded}"));
            pages.push(listed(&format!("events?type={encoded}&subject={encoded}&data=%22x%22")));
        }
        if number % 25 == 0 {
            pages.push(format!("/ui/ns/{escaped}/specs"));
            pages.push(format!("/ui/ns/{escaped}/secrets"));
            pages.push(listed(&format!("publish?definition={encoded}")));
            pages.push(format!("/ui/sign-in?to={encoded}"));
        }
    }
    pages
}

/// Gives the id of an instance by its place among all.
fn instance(server: &Server, at: usize) -> u64 {
    let list: Value = stage::shop(server, &["instance", "list", "--limit", "0"]);
    list["instances"][at]["id"].as_u64().unwrap()
}
