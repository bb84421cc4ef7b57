//! The schemas of the native door are what goes through it.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};

use crate::support::Server;

/// Checks values against the part of JSON Schema that the document uses.
struct Checker {
    document: Value,
}

impl Checker {
    fn new() -> Self {
        Self { document: server::openapi() }
    }

    /// Finds the schema of a request body, or of an answer with status 200.
    fn schema(&self, path: &str, part: &str) -> &Value {
        let operation = &self.document["paths"][path]["post"];
        let content = match part {
            "request" => &operation["requestBody"]["content"],
            _ => &operation["responses"]["200"]["content"],
        };
        &content["application/json"]["schema"]
    }

    #[track_caller]
    fn insist(&self, path: &str, part: &str, value: &Value) {
        let found = self.check(self.schema(path, part), value, "");
        assert_eq!(found, Ok(()), "{part} of {path}: {value}");
    }

    /// Says where a value is not what its schema says.
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let Value::Object(schema) = schema else {
            return if *schema == json!(false) { Err(format!("{at}: never")) } else { Ok(()) };
        };
        for (key, says) in schema {
            let each = |schemas: &Value| -> Vec<Result<(), String>> {
                let all = schemas.as_array().unwrap().iter();
                all.map(|schema| self.check(schema, value, at)).collect()
            };
            let holds = match key.as_str() {
                "$ref" => {
                    let pointer = says.as_str().unwrap().strip_prefix('#').unwrap();
                    self.check(self.document.pointer(pointer).unwrap(), value, at)?;
                    true
                }
                "type" => match says {
                    Value::Array(kinds) => kinds.iter().any(|kind| is(kind, value)),
                    kind => is(kind, value),
                },
                "const" => says == value,
                "enum" => says.as_array().unwrap().contains(value),
                "oneOf" | "anyOf" => {
                    let found = each(says);
                    let good = found.iter().filter(|found| found.is_ok()).count();
                    if good == 0 {
                        let why: Vec<_> = found.into_iter().filter_map(Result::err).collect();
                        return Err(why.into_iter().max_by_key(String::len).unwrap_or_default());
                    }
                    good == 1 || key == "anyOf"
                }
                "minimum" => value.as_f64().is_none_or(|n| n >= says.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|n| n <= says.as_f64().unwrap()),
                "minItems" => {
                    value.as_array().is_none_or(|a| a.len() as u64 >= says.as_u64().unwrap())
                }
                "maxItems" => {
                    value.as_array().is_none_or(|a| a.len() as u64 <= says.as_u64().unwrap())
                }
                "required" => value.as_object().is_none_or(|object| {
                    says.as_array()
                        .unwrap()
                        .iter()
                        .all(|n| object.contains_key(n.as_str().unwrap()))
                }),
                "additionalProperties" | "properties" | "items" | "prefixItems" => {
                    self.check_parts(key, schema, value, at)?;
                    true
                }
                "title" | "description" | "format" | "default" | "contentEncoding"
                | "contentMediaType" | "deprecated" => true,
                other => panic!("this checker does not know {other:?}"),
            };
            if !holds {
                return Err(format!("{at}: {key} is {says}, found {value}"));
            }
        }
        Ok(())
    }

    /// Checks what is inside an object or a list.
    fn check_parts(
        &self,
        key: &str,
        schema: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let says = &schema[key];
        match key {
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                let known = |name: &String| known.is_some_and(|known| known.contains_key(name));
                for (name, inner) in value.as_object().into_iter().flatten() {
                    if !known(name) {
                        self.check(says, inner, &format!("{at}/{name}"))?;
                    }
                }
            }
            "properties" => {
                for (name, schema) in says.as_object().unwrap() {
                    if let Some(inner) = value.get(name) {
                        self.check(schema, inner, &format!("{at}/{name}"))?;
                    }
                }
            }
            _ => {
                for (place, inner) in value.as_array().into_iter().flatten().enumerate() {
                    let schema = if says.is_array() { &says[place] } else { says };
                    if !schema.is_null() {
                        self.check(schema, inner, &format!("{at}/{place}"))?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other:?}"),
    }
}

fn seeds(target: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| serde_json::from_slice(&fs::read(file).unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn what_goes_through_the_native_door_fits_its_schemas() {
    let checker = Checker::new();
    let server = Server::start();
    // Twice, so that what one write makes is there for those that come before it in the folder.
    for write in [seeds("write"), seeds("write")].concat() {
        checker.insist("/v1/write", "request", &write);
        let mut write = write;
        write["wait"] = json!({"secs": 0, "nanos": 0});
        let reply = server.post("/v1/write", write).await;
        if reply.status == 200 {
            checker.insist("/v1/write", "answer", &reply.json());
        }
    }
    let mut answered = 0;
    for query in seeds("query") {
        let asked = json!({"query": query});
        checker.insist("/v1/read", "request", &asked);
        let reply = server.post("/v1/read", asked).await;
        if reply.status == 200 {
            checker.insist("/v1/read", "answer", &reply.json());
            answered += 1;
        }
    }
    assert!(answered > 5, "{answered}");
    let asked = json!({"namespace": "", "limit": 1_000});
    checker.insist("/v1/events", "request", &asked);
    let events = server.post("/v1/events", asked).await;
    assert!(events.json().as_array().is_some_and(|events| !events.is_empty()), "{events:?}");
    checker.insist("/v1/events", "answer", &events.json());
}

#[test]
fn the_schemas_refuse_what_the_door_refuses() {
    let checker = Checker::new();
    let write = |commands: Value| json!({"namespace": "n", "commands": commands});
    let schema = checker.schema("/v1/write", "request");
    let refused = |value: &Value| checker.check(schema, value, "").is_err();
    assert!(!refused(&write(json!([{"queue": "create_namespace"}]))));
    for commands in [
        json!(["create_namespace"]),
        json!([{"queue": "create_everything"}]),
        json!([{"queue": {"create_worker": {}}}]),
        json!([{"queue": {"create_worker": {"worker": 1}}}]),
        json!([{"queue": {"create_worker": {"worker": "w", "odd": 1}}}]),
        json!([{"queue": {"claim": {"worker": "w", "count": -1}}}]),
    ] {
        assert!(refused(&write(commands.clone())), "{commands}");
        let door = serde_json::from_value::<model::Write>(write(commands.clone()));
        assert!(door.is_err(), "{commands}");
    }
    let schema = checker.schema("/v1/read", "request");
    assert!(checker.check(schema, &json!({"query": {"unit": ["n"]}}), "").is_err());
}
