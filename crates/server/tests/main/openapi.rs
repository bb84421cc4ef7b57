//! The document says what the server does.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;
use server::{ROUTES, openapi};

use crate::support::{Request, Server};

#[test]
fn the_committed_document_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = format!("{:#}\n", openapi());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "openapi.json is not fresh: run the tests with UPDATE=1");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = openapi();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                found.push(reference.clone());
            }
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_has_every_route_and_no_other() {
    let server = Server::start();
    let document = server.get("/openapi.json").await.json();
    assert_eq!(document, openapi());
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method != "parameters" {
                described.insert((method.to_uppercase(), path.clone()));
                assert!(operation["operationId"].is_string());
            }
        }
    }
    let routes: BTreeSet<_> =
        ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(routes.len(), ROUTES.len(), "a route is in the table twice");
    let of_api = ROUTES.iter().filter(|route| !route.is_page());
    let of_api: BTreeSet<_> =
        of_api.map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(described, of_api);
    let names: BTreeSet<_> = ROUTES.iter().map(|route| route.name).collect();
    assert_eq!(names.len(), ROUTES.len(), "two routes have one name");
    for (_, path) in routes {
        let path = path.replace(['{', '}'], "");
        let reply = server.send(Request::new("BREW", &path)).await;
        assert_eq!(reply.status, 405, "{path} is not routed");
    }
}

#[tokio::test]
async fn the_page_shows_every_route_and_loads_nothing() {
    let server = Server::start();
    let page = server.get("/api").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
    let html = page.text();
    for route in ROUTES.iter().filter(|route| !route.is_page()) {
        assert!(html.contains(&format!("id=\"{}\"", route.name)), "{}", route.name);
        assert!(html.contains(&format!("<code>{}</code>", route.path)), "{}", route.path);
    }
    for loading in ["<script", "<img", "<link", "src=", "http://", "url(", "@import"] {
        assert!(!html.contains(loading), "{loading}");
    }
    let open = html.matches("<details").count();
    assert_eq!(open, html.matches("</details>").count());
    for (_, target) in html.match_indices("href=\"#").map(|(at, _)| (at, &html[at + 7..])) {
        let target = target.split('"').next().unwrap();
        assert!(html.contains(&format!("id=\"{target}\"")), "{target}");
    }
}
