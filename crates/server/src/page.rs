//! The API page: the OpenAPI document for people, in one file that loads nothing.

use std::{fmt::Write as _, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::openapi::openapi;

const STYLE: &str = include_str!("page.css");

/// Gives the page, made once.
pub(crate) fn html() -> &'static str {
    static HTML: LazyLock<String> = LazyLock::new(|| render(&openapi()));
    &HTML
}

/// Gives the policy under which the page may use its own style and nothing else.
pub(crate) fn policy() -> Option<HeaderValue> {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    HeaderValue::try_from(format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    ))
    .ok()
}

fn render(document: &Value) -> String {
    let mut page = Page(String::with_capacity(128 << 10));
    let none = Map::new();
    let object = |value: &'_ Value| value.as_object().cloned().unwrap_or_default();
    let paths = document.get("paths").and_then(Value::as_object).unwrap_or(&none);
    let title = "Lockstep API";
    page.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\">");
    page.element("title", title);
    page.raw("<style>").raw(STYLE).raw("</style></head><body><main>");
    page.element("h1", title);
    page.element("p", text(document, "/info/description"));
    page.raw("<p>The same as a machine reads it: <a href=\"/openapi.json\">openapi.json</a>.</p>");
    page.element("h2", "Routes");
    for (path, item) in paths {
        for (method, operation) in object(item) {
            if operation.get("operationId").is_some() {
                page.operation(&method, path, &operation);
            }
        }
    }
    page.element("h2", "Schemas");
    let schemas = document.pointer("/components/schemas").map(object).unwrap_or_default();
    for (name, schema) in schemas {
        page.schema(&name, &schema);
    }
    page.raw("</main></body></html>");
    page.0
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

struct Page(String);

impl Page {
    fn raw(&mut self, html: &str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    fn escaped(&mut self, text: &str) -> &mut Self {
        for char in text.chars() {
            match char {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                char => self.0.push(char),
            }
        }
        self
    }

    fn element(&mut self, tag: &str, text: &str) {
        // Writing to a string cannot fail.
        let _infallible = write!(self.0, "<{tag}>");
        self.escaped(text);
        let _infallible = write!(self.0, "</{tag}>");
    }

    fn operation(&mut self, method: &str, path: &str, operation: &Value) {
        self.raw("<details id=\"").escaped(text(operation, "/operationId")).raw("\"><summary>");
        self.element("b", &method.to_ascii_uppercase());
        self.raw(" ");
        self.element("code", path);
        self.raw(" ").escaped(text(operation, "/summary")).raw("</summary><dl>");
        self.entry("Access", text(operation, "/x-access"));
        for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten()
        {
            self.parameter(parameter);
        }
        if let Some(body) = operation.get("requestBody") {
            self.content("Request", body);
        }
        let responses = operation.get("responses").and_then(Value::as_object);
        for (status, response) in responses.into_iter().flatten() {
            if status != "default" {
                self.content(&format!("Answer {status}"), response);
            }
        }
        self.raw("</dl></details>");
    }

    fn parameter(&mut self, parameter: &Value) {
        match parameter.get("$ref").and_then(Value::as_str) {
            Some(shared) => {
                let name = match shared.rsplit('/').next() {
                    Some("IdempotencyKey") => "Header Idempotency-Key",
                    Some("AtLeast") => "Header Lockstep-At-Least",
                    _ => "Header If-None-Match",
                };
                self.entry(name, "");
            }
            None => {
                let name = format!("Query {}", text(parameter, "/name"));
                self.entry(&name, text(parameter, "/description"));
            }
        }
    }

    fn entry(&mut self, term: &str, says: &str) {
        self.element("dt", term);
        self.element("dd", says);
    }

    /// Shows the schema of the first media type; they all have the same.
    fn content(&mut self, term: &str, holder: &Value) {
        self.element("dt", term);
        let content = holder.get("content").and_then(Value::as_object);
        let schema = content.and_then(|types| types.values().next());
        let Some(schema) = schema.and_then(|media| media.get("schema")) else {
            self.element("dd", "No body.");
            return;
        };
        match schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next()) {
            Some(name) => {
                self.raw("<dd><a href=\"#schema-").escaped(name).raw("\">");
                self.escaped(name).raw("</a></dd>");
            }
            None => {
                self.raw("<dd><pre>").escaped(&format!("{schema:#}")).raw("</pre></dd>");
            }
        }
    }

    fn schema(&mut self, name: &str, schema: &Value) {
        self.raw("<details id=\"schema-").escaped(name).raw("\"><summary>");
        self.element("code", name);
        self.raw(" ").escaped(text(schema, "/description")).raw("</summary><pre>");
        self.escaped(&format!("{schema:#}")).raw("</pre></details>");
    }
}
