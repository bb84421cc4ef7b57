//! Requests as they should be: made from the OpenAPI document of the server, and from seed files.

use model::BlobId;
use serde_json::{Map, Value, json};

use super::{
    request::{Framing, Request},
    spoil::spoil,
};
use crate::rig::{mutate, random::Random, targets::seeds};

const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

/// Names that requests use, so that they meet.
const SPECS: [&str; 6] = ["plain", "plain", "plain", "chain", "gone", "-YS9i"];
const UNITS: [&str; 6] = ["u1", "u2", "u3", "-", "-__4", "-AA"];
const WORKERS: [&str; 3] = ["w1", "w2", "-"];
const NAMESPACES: [&str; 6] = ["rig", "rig", "rig", "rig", "gone", "-"];
const DEFINITIONS: [&str; 4] = ["tended", "tended", "wild", "gone"];
const VERSIONS: [&str; 3] = ["1.0.0", "1.1.0", "2"];
const TRIGGERS: [&str; 3] = ["on", "on", "every"];

/// The content of the blob that requests make and ask for.
const BLOB: &str = r#"{"blob":1}"#;

/// What requests can find besides what has a name.
#[derive(Default)]
pub(super) struct Known {
    /// The URLs of the newest attempts.
    pub(super) attempts: Vec<String>,
    /// The newest instances of workflows.
    pub(super) instances: Vec<u64>,
    /// The newest runs of the publishing pipeline.
    pub(super) runs: Vec<u64>,
}

/// A workflow that is published as often as it takes, in the namespace of the requests.
pub(super) fn tended(version: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: rig, name: tended, version: '{version}'}}\n\
         schedule: {{on: {{one: {{with: {{type: rig.event}}}}}}}}\n\
         do:\n- wait: {{listen: {{to: {{one: {{with: {{type: rig.answer}}}}}}}}}}\n"
    )
}

/// Bodies that make sense, by the names of the operations that take them.
const BODIES: [(&str, &str); 40] = [
    ("put_blob", BLOB),
    ("add_user", r#"{"name": "rig", "grants": [{"role": "view", "namespace": "rig"}]}"#),
    ("change_user", r#"{"grants": [], "is_disabled": true, "sign_out": true}"#),
    ("set_secret", r#"{"user": "rig"}"#),
    ("set_work_spec", r#"{"data": {"name": "plain"}}"#),
    ("set_work_spec", r#"{"data": {"name": "chain", "then": "plain", "max_retries": 3}}"#),
    ("set_work_spec", r#"{"data": "oWRuYW1lZXBsYWlu"}"#),
    ("set_work_spec", r#"{"data": {"name": "gone"}}"#),
    ("change_work_spec", r#"{"data": {"name": "plain", "weight": 5, "min_gb": 0.5}}"#),
    ("add_work_units", r#"{"name": "u1", "data": {"a": 1}, "meta": {"priority": 1.5}}"#),
    ("add_work_units", r#"{"name_base64": "/w==", "data": "oWNrZXnYgIA=", "delay": 1000000}"#),
    ("add_work_units", r#"{"work_units": [{"name": "u2", "data": {}}, {"name": "u3"}]}"#),
    ("request_attempts", r#"{"number_of_work_units": 2, "lifetime": 1000000000}"#),
    ("request_attempts", r#"{"work_specs": ["plain"], "runtimes": [""], "wait_ms": 0}"#),
    ("make_attempt", r#"{"work_spec": "plain", "work_unit": "u1", "lifetime": 60000000000}"#),
    ("finish_attempt", r#"{"data": {"output": ["u1", ["u2", {}, {"delay": 1}]]}, "token": 9}"#),
    ("finish_attempt", r#"{"data": {"output": {"u3": {"a": []}}}}"#),
    ("retry_attempt", r#"{"delay": 5000000, "data": {"a": 1}}"#),
    ("renew_attempt", r#"{"extend_duration": 60000000000, "token": 9}"#),
    ("renew_attempt", r#"{"extend_duration": 60000000000, "data": {"step": 1}}"#),
    (
        "work",
        r#"{"changes": [{"work_spec": "plain", "work_unit": "u1", "id": 9, "token": 9,
        "change": "finish", "data": {}}], "request": {"number_of_work_units": 3}}"#,
    ),
    (
        "change_worker",
        r#"{"active": true, "mode": "run", "data": {"cpus": 2}, "parent": "w2",
        "expiration": "2100-01-01T00:00:00Z"}"#,
    ),
    ("change_work_unit", r#"{"active_attempt_url": "-", "meta": {"priority": 2}}"#),
    ("events", r#"{"namespace": "rig", "after": 3, "limit": 10}"#),
    ("publish_definitions", WILD),
    ("change_definitions", r#"{"commands": [{"retract": {"name": "tended"}}]}"#),
    (
        "change_definitions",
        r#"{"commands": [{"rollback": {"name": "tended", "version": "1.0.0"}}]}"#,
    ),
    ("retract_definition", r#"{"running": "keep"}"#),
    ("retract_definition", r#"{"base": 1, "until": "committed"}"#),
    ("delete_definition", r#"{"until": "settled"}"#),
    ("roll_definition_back", r#"{"version": "1.0.0"}"#),
    ("save_draft", r#"{"source": "document: {}"}"#),
    ("start_instance", r#"{"definition": "tended", "input": {"a": [1]}}"#),
    ("control_instance", r#""cancel""#),
    ("control_instance", r#"{"retry": {"step": "wait", "input": {}}}"#),
    ("control_trigger", r#""pause""#),
    ("control_trigger", r#""resume""#),
    ("send_events", r#"{"id": "1", "source": "rig", "type": "rig.event", "data": {"a": 1}}"#),
    ("match_event", r#"{"id": "1", "source": "rig", "type": "rig.event"}"#),
    ("hook", r#"{"a": 1}"#),
];

/// A document to publish.
const WILD: &str = concat!(
    r#"{"documents": [{"source": "document: {dsl: '1.0.3', namespace: rig, name: wild, "#,
    r#"version: '1.0.0'}\ndo:\n- a: {set: {b: 1}}\n"}]}"#
);

/// Everything that can be called.
pub(super) struct Routes {
    operations: Vec<Operation>,
    schemas: Value,
}

struct Operation {
    method: String,
    path: String,
    name: String,
    /// Query parameters and their JSON types.
    parameters: Vec<(String, String)>,
    schema: Option<Value>,
    bodies: Vec<Value>,
}

impl Routes {
    /// Reads the OpenAPI document of the server.
    #[track_caller]
    pub(super) fn new() -> Self {
        let document = server::openapi();
        let paths = document.get("paths").and_then(Value::as_object).expect("paths");
        let mut operations = Vec::new();
        for (path, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get(method) {
                    operations.push(Operation::new(method, path, operation));
                }
            }
        }
        let schemas = document.pointer("/components/schemas").cloned().unwrap_or_default();
        Self { operations, schemas }
    }

    /// Makes a request that is wrong in some way, or now and then right.
    pub(super) fn request(&self, known: &Known, random: &mut Random) -> (String, Request) {
        let operation = random.pick(&self.operations);
        let mut body = operation.body(self, random);
        if !body.is_null() && random.percent(60) {
            (0..=random.below(3)).for_each(|_| mutate::value(&mut body, random));
        }
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let mut request = Request {
            method: operation.method.to_ascii_uppercase(),
            target: operation.target(known, random).into_bytes(),
            headers: Vec::new(),
            host: None,
            framing: if bytes.is_empty() { Framing::Nothing } else { Framing::Length },
            body: bytes,
        };
        if !request.body.is_empty() {
            request.headers.push(b"Content-Type: application/json".to_vec());
        }
        if random.percent(50) {
            (0..=random.below(2)).for_each(|_| spoil(&mut request, random));
        }
        (operation.name.clone(), request)
    }

    /// Makes a value of a schema.
    fn value(&self, schema: &Value, depth: usize, random: &mut Random) -> Value {
        let word = |key: &str| schema.get(key).and_then(Value::as_str);
        if let Some(name) = word("$ref").and_then(|path| path.rsplit('/').next()) {
            let named = self.schemas.get(name).cloned().unwrap_or_default();
            return if depth == 0 { Value::Null } else { self.value(&named, depth - 1, random) };
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(some) = schema.get(key).and_then(Value::as_array) {
                return self.value(random.pick(some), depth, random);
            }
        }
        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => random.pick(kinds).as_str(),
            Some(kind) => kind.as_str(),
            None => None,
        };
        match kind {
            Some("object") => self.object(schema, depth, random),
            Some("array") => match schema.get("items") {
                Some(items) if depth > 0 => {
                    let item = |_| self.value(items, depth - 1, random);
                    Value::Array((0..2).map(item).collect())
                }
                _ => json!([]),
            },
            Some("string") => json!(random.pick(&["plain", "u1", "w1", "", "oA=="])),
            Some("integer") => json!(random.below(40)),
            Some("number") => json!(random.below(40) as f64 / 4.0),
            Some("boolean") => json!(random.percent(50)),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Value, depth: usize, random: &mut Random) -> Value {
        let mut object = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (key, schema) in properties.into_iter().flatten() {
            if depth > 0 && random.percent(70) && !key.starts_with("wait") {
                object.insert(key.clone(), self.value(schema, depth - 1, random));
            }
        }
        Value::Object(object)
    }
}

impl Operation {
    fn new(method: &str, path: &str, operation: &Value) -> Self {
        let name = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let body = operation.pointer("/requestBody/content").and_then(Value::as_object);
        let schema = body.and_then(|content| content.values().next()?.get("schema").cloned());
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let parameter = |parameter: &Value| {
            let name = parameter.get("name")?.as_str()?.to_owned();
            let schema = parameter.get("schema")?;
            let schema = schema.get("items").unwrap_or(schema);
            Some((name, schema.get("type")?.as_str()?.to_owned()))
        };
        let parameters = parameters.into_iter().flatten().filter_map(parameter).collect();
        let (method, path) = (method.to_owned(), path.to_owned());
        let bodies = bodies(name);
        Self { method, path, name: name.to_owned(), parameters, schema, bodies }
    }

    fn body(&self, routes: &Routes, random: &mut Random) -> Value {
        let Some(schema) = &self.schema else { return Value::Null };
        if self.bodies.is_empty() || random.percent(30) {
            return routes.value(schema, 5, random);
        }
        random.pick(&self.bodies).clone()
    }

    fn target(&self, known: &Known, random: &mut Random) -> String {
        let mut target = self.path(known, random);
        let mut sign = '?';
        for (name, kind) in &self.parameters {
            if random.percent(30) {
                let value = match kind.as_str() {
                    "integer" => random.below(20).to_string(),
                    "boolean" => "true".to_owned(),
                    _ => random.word(&["u1", "available", "finished", "-AA"]).to_owned(),
                };
                target += &format!("{sign}{name}={value}");
                sign = '&';
            }
        }
        target
    }

    fn path(&self, known: &Known, random: &mut Random) -> String {
        if let Some((_, rest)) = self.path.split_once("{attempt}")
            && !known.attempts.is_empty()
            && random.percent(70)
        {
            return format!("{}{rest}", random.pick(&known.attempts));
        }
        // What is destroyed is mostly something that nobody misses.
        let spare = self.name.starts_with("destroy_") && !random.percent(10);
        let mut path = String::new();
        for part in self.path.split('/').skip(1) {
            path.push('/');
            match part {
                "{namespace}" if spare && self.name == "destroy_namespace" => path += "gone",
                "{work_spec}" if spare => path += "gone",
                "{namespace}" => path += random.word(&NAMESPACES),
                "{work_spec}" => path += random.word(&SPECS),
                "{work_unit}" => path += random.word(&UNITS),
                "{worker}" => path += random.word(&WORKERS),
                "{attempt}" => path += &random.below(200).to_string(),
                "{definition}" => path += random.word(&DEFINITIONS),
                "{version}" => path += random.word(&VERSIONS),
                "{trigger}" => path += random.word(&TRIGGERS),
                "{instance}" => path += &one_of(&known.instances, random),
                "{run}" => path += &one_of(&known.runs, random),
                "{blob}" => path += &BlobId::of(BLOB.as_bytes()).to_string(),
                "{user}" => path += "rig",
                "{secret}" => path += "rig",
                "{path}" => path += "orders",
                part => path += part,
            }
        }
        path
    }
}

/// Gives one of these ids, or one that may be of anything.
fn one_of(ids: &[u64], random: &mut Random) -> String {
    if ids.is_empty() || random.percent(20) {
        return random.below(2_000).to_string();
    }
    random.pick(ids).to_string()
}

/// Gives the bodies that make sense for an operation.
#[track_caller]
fn bodies(name: &str) -> Vec<Value> {
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).expect("a body");
    match name {
        "write" => seeds("write").iter().map(|seed| read(seed)).collect(),
        "read" => seeds("query").iter().map(|seed| json!({"query": read(seed)})).collect(),
        _ => {
            let own = BODIES.iter().filter(|(operation, _)| *operation == name);
            own.map(|(_, body)| read(body.as_bytes())).collect()
        }
    }
}
