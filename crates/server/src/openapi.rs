//! The OpenAPI 3.1 document, made from the route table and the wire types.

use std::sync::LazyLock;

use http::StatusCode;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    negotiate::{MEDIA_TYPES, PROBLEM},
    problem::{Envelope, Problem},
    route::{Guard, Parameter, Place, Route, Speaks},
    routes::ROUTES,
};

/// Describes every route.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut native = settings.clone().into_generator();
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| !route.is_page()) {
        let operation = if route.path.starts_with("/v1/") {
            let mut operation = operation(route, &mut native);
            name_native(&mut operation);
            operation
        } else {
            operation(route, &mut generator)
        };
        let path = paths.entry(route.path).or_insert_with(|| path_item(route.path));
        if let Value::Object(path) = path {
            path.insert(route.method.to_ascii_lowercase(), operation);
        }
    }
    let error = responses_of_errors(&mut generator);
    let mut schemas = generator.take_definitions(true);
    for (name, mut schema) in native.take_definitions(true) {
        name_native(&mut schema);
        schemas.insert(format!("{NATIVE}{name}"), schema);
    }
    schemas.values_mut().for_each(plain_descriptions);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lockstep",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Turns changes into work. Names in paths are escaped: a name that has \
                anything but letters, digits and -._: in it, is empty, or starts with -, is \
                written as - and its unpadded base64url.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": error,
            "parameters": shared_parameters(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

/// What the names of the native door's schemas start with: it speaks of the same things as the
/// resources do, in the forms of [`model`].
const NATIVE: &str = "v1.";
const SCHEMAS: &str = "#/components/schemas/";

/// Has references to schemas lead to those of the native door.
fn name_native(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("$ref")
                && let Some(name) = reference.strip_prefix(SCHEMAS)
            {
                *reference = format!("{SCHEMAS}{NATIVE}{name}");
            }
            fields.values_mut().for_each(name_native);
        }
        Value::Array(items) => items.iter_mut().for_each(name_native),
        _ => {}
    }
}

/// Takes the links to other pages of the Rust documentation out of descriptions.
fn plain_descriptions(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`").replace("crate::", "");
            }
            fields.values_mut().for_each(plain_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(plain_descriptions),
        _ => {}
    }
}

/// Gives the document as text, made once.
pub(crate) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| openapi().to_string());
    &TEXT
}

fn path_item(path: &str) -> Value {
    let named = |part: &&str| part.starts_with('{');
    let parameters: Vec<_> = path
        .split('/')
        .filter(named)
        .map(|part| {
            json!({
                "name": part.trim_matches(['{', '}']),
                "in": "path",
                "required": true,
                "schema": {"type": "string"},
            })
        })
        .collect();
    if parameters.is_empty() { json!({}) } else { json!({"parameters": parameters}) }
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "responses": {},
    });
    let Value::Object(fields) = &mut operation else { return operation };
    let parameters = parameters(route);
    if !parameters.is_empty() {
        fields.insert("parameters".into(), parameters.into());
    }
    if let Some(schema) = route.takes {
        let schema = schema(generator).to_value();
        fields.insert(
            "requestBody".into(),
            json!({"required": true, "content": content(route, &schema)}),
        );
    }
    let mut success = json!({"description": description(route.status)});
    if let Some(schema) = route.gives {
        let schema = schema(generator).to_value();
        if let Value::Object(success) = &mut success {
            success.insert("content".into(), content(route, &schema));
        }
    }
    let errors = match route.speaks {
        Speaks::Ancestor => "#/components/responses/Error",
        Speaks::Json | Speaks::Page | Speaks::Text(_) => "#/components/responses/Problem",
    };
    let mut responses = Map::new();
    responses.insert(route.status.to_string(), success);
    if route.method == "GET" && route.speaks == Speaks::Ancestor {
        responses.insert("304".into(), json!({"description": description(304)}));
    }
    responses.insert("default".into(), json!({"$ref": errors}));
    fields.insert("responses".into(), responses.into());
    match route.guard {
        Guard::Open => {}
        Guard::Node => drop(fields.insert("security".into(), json!([{"token": []}]))),
        Guard::Known | Guard::Needs(..) => {
            fields.insert("security".into(), json!([{"token": []}, {}]));
        }
    }
    fields.insert("x-access".into(), access(route.guard).into());
    operation
}

fn description(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Success")
}

/// Gives a schema under every media type of the route.
fn content(route: &Route, schema: &Value) -> Value {
    let types: &[&str] = match route.speaks {
        Speaks::Ancestor => &MEDIA_TYPES,
        Speaks::Json => &["application/json"],
        Speaks::Page => &["text/html", "application/json"],
        Speaks::Text(media) => &[media],
    };
    let entry = |media: &&str| ((*media).to_owned(), json!({"schema": schema}));
    Value::Object(types.iter().map(entry).collect())
}

fn parameters(route: &Route) -> Vec<Value> {
    let mut parameters: Vec<_> = route.parameters.iter().map(parameter).collect();
    let shared = |name: &str| json!({"$ref": format!("#/components/parameters/{name}")});
    if route.mutates() {
        parameters.push(shared("IdempotencyKey"));
    } else if route.speaks == Speaks::Ancestor && route.guard != Guard::Known {
        parameters.extend(["AtLeast", "IfNoneMatch"].map(shared));
    }
    parameters
}

fn parameter(parameter: &Parameter) -> Value {
    let one = json!({"type": parameter.kind});
    let schema = if parameter.many { json!({"type": "array", "items": one}) } else { one };
    json!({
        "name": parameter.name,
        "in": "query",
        "description": parameter.says,
        "schema": schema,
    })
}

fn shared_parameters() -> Value {
    let header = |name: &str, says: &str, schema: Value| {
        let place = "header";
        json!({"name": name, "in": place, "description": says, "schema": schema})
    };
    json!({
        "IdempotencyKey": header(
            "Idempotency-Key",
            "The same key and request have one effect and one answer.",
            json!({"type": "string", "minLength": 1, "maxLength": 255}),
        ),
        "AtLeast": header(
            "Lockstep-At-Least",
            "A revision, as Lockstep-Revision gave it, that the answer must have reached.",
            json!({"type": "integer", "minimum": 0}),
        ),
        "IfNoneMatch": header(
            "If-None-Match",
            "The ETag of an answer at hand; 304 if it still holds.",
            json!({"type": "string"}),
        ),
    })
}

fn responses_of_errors(generator: &mut SchemaGenerator) -> Value {
    let envelope = generator.subschema_for::<Envelope<'static>>().to_value();
    let problem = generator.subschema_for::<Problem<'static>>().to_value();
    let mut both: Map<_, _> =
        MEDIA_TYPES.iter().map(|m| ((*m).to_owned(), json!({"schema": envelope}))).collect();
    both.insert(PROBLEM.into(), json!({"schema": problem}));
    json!({
        "Error": {"description": "The request was refused.", "content": both},
        "Problem": {
            "description": "The request was refused.",
            "content": {PROBLEM: {"schema": problem}},
        },
    })
}

/// Says in words who may call a route.
fn access(guard: Guard) -> String {
    match guard {
        Guard::Open => "everyone".to_owned(),
        Guard::Node => "nodes of the same store, each by a secret of its own".to_owned(),
        Guard::Known => "every token; the commands and queries inside need their scopes".to_owned(),
        Guard::Needs(verb, resource, place) => {
            let scope = model::Scope { verb: Some(verb), resource: Some(resource) };
            match place {
                Place::Path | Place::Body => format!("scope {scope} in the namespace"),
                Place::Own => format!("scope {scope} in any namespace"),
                Place::Server => format!("scope {scope} on all namespaces"),
            }
        }
    }
}
