//! What people come for.

use serde_json::{Value, json};

use super::stage::{self, REFUND, check_seen, publish, refund, shop, start, wait_for, work};

/// A workflow that events start.
const GREETING: &str = "
document: {dsl: 1.0.3, namespace: shop, name: greeting, version: 1.0.0}
schedule: {name: on-hello, on: {one: {with: {type: com.acme.hello.v1}}}}
do:
- greet:
    set: {said: hello}
";

#[test]
fn publish_and_watch_the_waterfall() {
    let (server, mut browser) = start(1440);
    // Who opens the server's address is led to the overview, and on from there by keys.
    browser.go(&server.url);
    assert_eq!(browser.text("h1"), "Overview");
    browser.go(&format!("{}/ui/ns/shop", server.url));
    browser.lead(|browser| browser.press(&["g", "d"]));
    assert_eq!(browser.text("h1"), "Definitions");
    browser.lead(|browser| browser.click(".title .primary"));

    // What is wrong is said where it was written, and the text is still there.
    browser.fill("#source", &REFUND.replace("call: work", "call: nobody"));
    browser.lead(|browser| browser.click("main form .primary"));
    assert!(browser.text(".problem").contains("not published"), "{}", browser.text("main"));
    assert!(browser.eval("document.querySelector('#source').value").to_string().contains("nobody"));

    browser.fill("#source", REFUND);
    browser.lead(|browser| browser.click("main form .primary"));
    browser.until("/settled/.test(document.querySelector('#standing').innerText)");
    let stages = browser.eval(
        "[...document.querySelectorAll('.waterfall tbody tr:not(.opens) th')]\
         .map(cell => cell.firstChild.textContent)",
    );
    let pipeline = shop(&server, &["workflow", "explain-pipeline"]);
    let expected: Vec<_> =
        pipeline["stages"].as_array().unwrap().iter().map(|stage| &stage["name"]).collect();
    assert_eq!(expected.len(), 22, "{pipeline}");
    assert_eq!(json!(expected), stages);
    let bars = browser.eval("document.querySelectorAll('.chart rect.ok').length");
    assert!(bars.as_u64().unwrap() >= 15, "{bars}");
    assert!(browser.text("#barrier").contains("effective"), "{}", browser.text("#barrier"));

    // The twin says the same.
    let twin = browser.eval(
        "fetch(location.pathname, {headers: {accept: 'application/json'}}).then(a => a.json())",
    );
    assert_eq!(twin["run"]["state"], "settled", "{twin}");
    assert!(browser.text("#triggers").contains("has none"), "{}", browser.text("#triggers"));

    // What a publish does to triggers is on its page, and what events do is on the first one.
    publish(&server, GREETING);
    let run = shop(&server, &["workflow", "history", "shop/greeting"])["runs"][0]["id"].clone();
    browser.go(&format!("{}/ui/ns/shop/run/{run}", server.url));
    let triggers = browser.text("#triggers tbody");
    assert!(triggers.contains("on-hello") && triggers.contains("added"), "{triggers}");
    shop(&server, &["event", "send", "com.acme.hello.v1", "--source", "shop", "--data", "{}"]);
    browser.go(&format!("{}/ui/ns/shop", server.url));
    let events = browser.text("#events");
    for shown in ["com.acme.hello.v1", "1 in an hour", "#"] {
        assert!(events.contains(shown), "{shown}: {events}");
    }
    check_seen(&browser.take_seen(), &server);
}

#[test]
fn find_a_failed_instance_and_retry_it_with_edited_input() {
    let (server, mut browser) = start(1440);
    publish(&server, REFUND);
    shop(&server, &["spec", "set", "name=refunds"]);
    let id = refund(&server, &json!({"total": 7, "account": "closed"}));
    work(&server, "refunds", "echo the account is closed >&2; exit 1");
    wait_for(&server, id, "faulted");

    browser.go(&format!("{}/ui", server.url));
    assert!(browser.text("#needs").contains("the account is closed"), "{}", browser.text("main"));
    let link = format!("#needs a[href$='/instance/{id}']");
    browser.lead(|browser| browser.click(&link));
    assert!(browser.text("#fault h2").contains("the account is closed"));
    let drawn = browser.text("#graph .failed");
    assert!(drawn.contains("pay-back"), "{drawn}");

    // The journal is gone through step by step, and the drawing shows how it stood.
    browser.lead(|browser| browser.click(".stepper a[rel=prev]"));
    assert_eq!(browser.text("#graph .failed"), "");
    browser.go(&format!("{}/ui/ns/shop/instance/{id}", server.url));

    browser.fill("#retry-input", "{\"total\": 7, \"account\": \"open\"}");
    browser.lead(|browser| browser.click("button[value=retry]"));
    assert!(browser.text(".said").contains("tried again"));
    let script = "jq -e '.account == \"open\"' >/dev/null && echo '{\"paid\": true}'";
    let script = script.replace("jq -e '.account == \"open\"' >/dev/null", "grep -q open");
    work(&server, "refunds", &script);
    // The page hears of it by itself.
    browser.until("/finished/.test(document.querySelector('#standing').innerText)");
    browser.until("/paid/.test(document.querySelector('#values').innerText)");
    assert_eq!(wait_for(&server, id, "finished")["output"]["paid"], json!(true));
    check_seen(&browser.take_seen(), &server);
}

#[test]
fn pause_a_spec_and_see_work_stop() {
    let (server, mut browser) = start(390);
    shop(&server, &["spec", "set", "name=busy"]);
    let units: Vec<_> = (0..900).map(|number| json!({"name": format!("u{number:03}")})).collect();
    let path = "/namespace/shop/work_spec/busy/work_unit";
    stage::post(&server, path, &json!({"work_units": units}));
    let mut worker = server.command();
    let args = ["worker", "--exec", "true", "--spec", "busy", "--namespace", "shop"];
    let mut worker = worker.args(args).stderr(std::process::Stdio::null()).spawn().unwrap();

    let count = |browser: &mut super::chromium::Browser, word: &str| -> u64 {
        let text = browser.text(&format!(".tabs .{word} b"));
        text.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    browser.go(&format!("{}/ui/ns/shop/spec/busy", server.url));
    // Work goes on, and the page shows it without being loaded again.
    let before = count(&mut browser, "finished");
    let digits = "document.querySelector('.tabs .finished b').innerText.replace(/\\D/g, '')";
    browser.until(&format!("{digits} > {before}"));
    browser.lead(|browser| browser.click("button[value=pause]"));
    assert!(browser.text("#standing").contains("paused"));
    // What is under way ends, and nothing new begins.
    browser.until("document.querySelector('.tabs .pending b').innerText === '0'");
    let stopped = shop(&server, &["spec", "show", "busy"]);
    let available = stopped["counts"]["available"].clone();
    assert!(available.as_u64().unwrap() > 0, "all was done before it could stop: {stopped}");
    let witness = shop(&server, &["spec", "set", "name=witness"]);
    assert!(witness.is_object());
    shop(&server, &["unit", "add", "witness", "w"]);
    work(&server, "witness", "true");
    let later = shop(&server, &["spec", "show", "busy"]);
    assert_eq!(later["counts"]["available"], available, "{later}");
    assert_eq!(count(&mut browser, "available"), available.as_u64().unwrap());

    browser.lead(|browser| browser.click("button[value=resume]"));
    let finished = count(&mut browser, "finished");
    browser.until(&format!("{digits} > {finished}"));
    let _gone = worker.kill();
    let _reaped = worker.wait();
    check_seen(&browser.take_seen(), &server);
}

#[test]
fn the_theme_stays_and_search_leads_to_what_it_finds() {
    let (server, mut browser) = start(1440);
    shop(&server, &["spec", "set", "name=scan"]);
    shop(&server, &["unit", "add", "scan", "src/main.rs"]);
    browser.go(&format!("{}/ui/ns/shop/specs", server.url));
    let theme = "document.documentElement.dataset.theme ?? ''";
    assert_eq!(browser.eval(theme), "");
    browser.lead(|browser| browser.click("button[name=theme]"));
    assert_eq!(browser.eval(theme), "dark");
    let shown = browser.eval("getComputedStyle(document.body).backgroundColor");
    assert_eq!(shown, "rgb(15, 18, 22)");
    browser.press(&["/"]);
    browser.call("Input.insertText", json!({"text": "src/main.rs"}));
    browser.lead(|browser| {
        for kind in ["keyDown", "keyUp"] {
            let enter = json!({
                "type": kind, "key": "Enter", "code": "Enter", "text": "\r",
                "windowsVirtualKeyCode": 13,
            });
            browser.call("Input.dispatchKeyEvent", enter);
        }
    });
    assert_eq!(browser.text("h1"), "src/main.rs");
    assert_eq!(browser.eval(theme), "dark", "the next page has it too");
    let json: Value = browser.eval("fetch('?format=json').then(answer => answer.json())");
    assert_eq!(json["unit"]["status"], "available", "{json}");
    check_seen(&browser.take_seen(), &server);
}
