//! A shop in the middle of its day: something of everything, in all states.

use serde_json::{Value, json};

use super::stage::{APPROVAL, REFUND, post, publish, refund, shop, wait_for, work};
use crate::support::Server;

/// A workflow with one of most kinds of tasks.
const ORDER: &str = "
document: {dsl: 1.0.3, namespace: shop, name: order, version: 2.4.0}
schedule:
  on: {one: {with: {type: com.acme.order.placed.v1}}}
input: {from: '${ if type == \"array\" then .[0] else . end }'}
do:
- price:
    set: {total: '${ [.items[]?.price] | add // 0 }', order: '${ .order }'}
- check:
    fork:
      branches:
      - stock: {set: {inStock: true}}
      - fraud: {set: {score: 3}}
- pack:
    try:
    - label: {set: {label: L-1}}
    catch:
      do:
      - tell: {set: {told: true}}
- ship:
    call: work
    with: {spec: shipments, data: {order: '${ . }'}}
";
/// How a mail account stands that needs somebody.
const HELD: &str = "f3a9c0b2";

/// Writes through the native door.
pub fn write(server: &Server, commands: &Value) {
    post(server, "/v1/write", &json!({"namespace": "shop", "commands": commands}));
}

/// Makes a mail account that stands like this.
pub fn account(server: &Server, name: &str, standing: &Value) {
    let interval = json!({"secs": 300, "nanos": 0});
    let record = json!({"account": name, "after": 0, "standing": standing});
    let open = json!({"account": name, "interval": interval});
    write(server, &json!([{"mail": {"open": open}}, {"mail": {"record": record}}]));
}

/// Puts something of everything into namespace `shop`, and gives the pages that show it.
pub fn fill(server: &Server) -> Vec<String> {
    let wait = units(server);
    let secret = |name| json!({"secret": {"set": {"name": name, "value": "hunter2"}}});
    write(server, &json!([secret("erp-token"), secret("mail.orders"), secret("smtp")]));
    definitions(server);
    let (failed, waiting) = instances(server);
    let (proved, long_ago) = (model::Time(wait), "2026-02-03T04:05:06Z");
    let folder =
        |name: &str, messages: u64| json!({"folder": name, "messages": messages, "proved": proved});
    let last = json!({"started": proved, "finished": proved, "summary": {"problems": []}});
    let folders = [
        folder("INBOX", 1_204),
        folder("Archive/2025", 48_211),
        folder("Lists/rust-announce", 312),
        folder("Sent", 2_950),
    ];
    account(
        server,
        "orders@acme.example",
        &json!({"folders": folders, "messages": 52_677, "proved": proved, "last": last}),
    );
    let removal = json!({"folder": "INBOX", "side": "right", "messages": 1_112});
    let why = "many at once: 1112 of 1204 messages of INBOX would be removed from the right side";
    let hold = json!({"token": HELD, "why": why, "removals": [removal], "since": long_ago});
    let conflict = json!({"folder": "INBOX", "side": "left", "key": "4711",
        "kind": "removed_but_flagged"});
    let problem = json!({"folder": "Trash", "error": {"unavailable": "the server closed"}});
    account(
        server,
        "support@acme.example",
        &json!({
            "folders": [folder("INBOX", 1_204), {"folder": "Trash", "messages": 17}],
            "messages": 1_221, "holds": [hold], "proved": null,
            "conflicts": [{"at": long_ago, "conflict": conflict}],
            "last": {"started": proved, "summary": {"problems": [problem]}},
        }),
    );
    pages(server, failed, waiting)
}

/// Gives the work queue something of each status; the number is a time of now.
fn units(server: &Server) -> i64 {
    for spec in ["refunds", "invoices", "shipments", "thumbnails", "newsletter"] {
        shop(server, &["spec", "set", &format!("name={spec}")]);
    }
    let named = |name: String| json!({"name": name, "data": {"path": name, "width": 640}});
    let many = |range: std::ops::Range<u32>, of: &dyn Fn(u32) -> String| {
        let units: Vec<_> = range.map(|number| named(of(number))).collect();
        json!({"work_units": units})
    };
    let path = |spec: &str| format!("/namespace/shop/work_spec/{spec}/work_unit");
    let invoices = many(1..25, &|number| format!("inv-{number}"));
    post(server, &path("invoices"), &invoices);
    let photo = |number| format!("photos/2026/11/IMG_{number:04}.jpeg");
    post(server, &path("thumbnails"), &many(1..140, &photo));
    let script =
        "case $LOCKSTEP_UNIT in inv-2|inv-7|inv-19) echo no such customer >&2; exit 1;; esac";
    work(server, "invoices", script);
    shop(server, &["spec", "control", "newsletter", "--pause"]);
    let claim = json!({"number_of_work_units": 9, "work_specs": ["thumbnails"]});
    let claimed = post(server, "/namespace/shop/worker/render-1/request_attempts", &claim);
    let begun = claimed["attempts"][0]["start_time"].as_str().map(model::Time::parse);
    begun.and_then(Result::ok).map_or(0, |time| time.0)
}

fn definitions(server: &Server) {
    publish(server, REFUND);
    publish(server, &REFUND.replace("1.0.0", "1.1.0").replace("check", "verify"));
    let every = "schedule: {every: {hours: 5}}\ndo:";
    publish(server, &REFUND.replace("refund", "poll").replacen("do:", every, 1));
    let nightly = "schedule: {cron: '30 2 * * *', timezone: Europe/Zurich}\ndo:";
    publish(server, &REFUND.replace("refund", "nightly-report").replacen("do:", nightly, 1));
    let placed = "schedule: {on: {one: {with: {type: order.lost}}}}\ndo:";
    publish(server, &REFUND.replace("refund", "lost").replacen("do:", placed, 1));
    publish(server, APPROVAL);
    publish(server, ORDER);
}

/// Brings instances into all states; gives one that has failed and one that waits for an answer.
fn instances(server: &Server) -> (u64, u64) {
    let run = |name: &str, input: &Value| {
        let started = shop(server, &["run", name, "--input", &input.to_string()]);
        started["instance"].as_u64().unwrap()
    };
    for order in 1..4 {
        let items = json!([{"sku": "A-17", "price": 12 * order}, {"sku": "B-2", "price": 3}]);
        let data = json!({"order": order, "items": items}).to_string();
        let args = ["event", "send", "com.acme.order.placed.v1", "--source", "shop", "--data"];
        shop(server, &[&args[..], &[data.as_str()]].concat());
    }
    let all = shop(server, &["instance", "list", "--definition", "order"]);
    for instance in all["instances"].as_array().unwrap() {
        wait_for(server, instance["id"].as_u64().unwrap(), "waiting");
    }
    work(server, "shipments", "echo '{\"parcel\": \"P-9\"}'");
    let failed = refund(server, &json!({"total": 7, "account": "closed"}));
    work(server, "refunds", "echo the account is closed >&2; exit 1");
    wait_for(server, failed, "faulted");
    let waiting = run("big-refund", &json!({"total": 900}));
    wait_for(server, waiting, "waiting");
    let paused = run("big-refund", &json!({"total": 1_250}));
    wait_for(server, paused, "waiting");
    shop(server, &["instance", "pause", &paused.to_string()]);
    let gone = run("big-refund", &json!({"total": 2}));
    shop(server, &["instance", "cancel", &gone.to_string()]);
    shop(server, &["instance", "invite", &waiting.to_string(), "--note", "May we?"]);
    shop(server, &["event", "send", "order.lost", "--source", "shop", "--data", "{\"total\": 3}"]);
    (failed, waiting)
}

fn pages(server: &Server, failed: u64, waiting: u64) -> Vec<String> {
    for name in ["ann", "bob@acme.example"] {
        shop(server, &["user", "add", name, "--role", "operate", "--no-password"]);
    }
    shop(server, &["user", "disable", "bob@acme.example"]);
    let run = shop(server, &["workflow", "history", "shop/refund"]);
    let run = run["runs"][0]["id"].as_u64().unwrap();
    let of = |page: &str| format!("/ui/ns/shop/{page}");
    let mut pages: Vec<String> =
        ["/ui", "/ui/namespaces", "/ui/nodes", "/ui/tokens", "/ui/ns/shop"]
            .map(str::to_owned)
            .into();
    let beside =
        ["/ui/users", "/ui/user/ann", "/ui/me", "/ui/audit", "/ui/audit?chain=%3Dshop&verify=1"];
    pages.extend(beside.map(str::to_owned));
    pages.extend(["/ui/sign-in", "/ui/search?q=in", "/ui/search?q=nothing"].map(str::to_owned));
    pages.extend(
        [
            "specs",
            "spec/invoices",
            "spec/invoices?status=failed",
            "spec/invoices/unit/inv-2",
            "workers",
            "worker/bank-1",
            "definitions",
            "definition/order",
            "definition/refund",
            "definition/refund/diff",
            "publish?definition=refund",
            "runs",
            "instances",
            "instances?status=faulted",
            "approvals",
            "events",
            "events?type=order.lost&data=%7B%7D",
            "schedules",
            "mail",
            "mail/orders@acme.example",
            "mail/support@acme.example",
            "secrets",
        ]
        .map(of),
    );
    pages.push(of(&format!("run/{run}")));
    pages.push(of(&format!("instance/{failed}")));
    pages.push(of(&format!("instance/{waiting}?seq=1")));
    let step = model::escape(b"do/1/ask/0");
    pages.push(of(&format!("approval/{waiting}/{step}")));
    pages.push(format!("/ui/approve/shop/{waiting}/none"));
    let args = ["instance", "invite", &waiting.to_string(), "--note", "May we pay 900 € back?"];
    pages.push(shop(server, &args)["link"].as_str().unwrap().to_owned());
    pages
}
