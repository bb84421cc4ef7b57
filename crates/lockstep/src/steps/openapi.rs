//! Operations of OpenAPI documents, which are read anew for each call.

use flow::run::Fault;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Map, Value as Json};

use super::{
    Secrets,
    http::{
        self, Client, Wanted, authenticate, body_of, configuration, go_along, output, parse, put,
    },
};

/// The methods that an operation can have.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Does `call: openapi`.
pub(super) async fn call(client: &Client, secrets: &Secrets, input: &Json) -> Result<Json, Fault> {
    let place = input.pointer("/document/endpoint").unwrap_or(&Json::Null);
    let address = place.get("uri").unwrap_or(place).as_str().unwrap_or_default();
    let mut headers = HeaderMap::new();
    authenticate(client, secrets, place.get("authentication"), &mut headers).await?;
    let url = parse(address)?;
    let wanted =
        Wanted { method: Method::GET, url: url.clone(), headers, body: None, follows: true };
    let document = read(&http::text_of(&client.send(wanted).await?))?;
    let id = input.get("operationId").and_then(Json::as_str).unwrap_or_default();
    let operation = find(&document, id)
        .ok_or_else(|| configuration(format!("{address} has no operation {id:?}")))?;
    let given = input.get("parameters").and_then(Json::as_object).cloned().unwrap_or_default();
    let (path, query, mut headers, body) = parameters(&document, &operation, given)?;
    let server = document.pointer("/servers/0/url").and_then(Json::as_str).unwrap_or("/");
    let base = url.join(server).map_err(|error| configuration(format!("{server:?}: {error}")))?;
    let mut target = parse(&format!("{}{path}", base.as_str().trim_end_matches('/')))?;
    for (name, value) in query {
        target.query_pairs_mut().append_pair(&name, &value);
    }
    authenticate(client, secrets, input.get("authentication"), &mut headers).await?;
    go_along(input, &mut headers)?;
    let body = body_of(body.as_ref(), &mut headers)?;
    let follows = input.get("redirect").and_then(Json::as_bool).unwrap_or(false);
    let method = operation.method.to_ascii_uppercase();
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| configuration(format!("{method:?} is no method of HTTP")))?;
    let shown = target.to_string();
    let answer = client.send(Wanted { method, url: target, headers, body, follows }).await?;
    output(&answer, input, &shown, follows)
}

fn read(text: &str) -> Result<Json, Fault> {
    if let Ok(document) = serde_json::from_str(text) {
        return Ok(document);
    }
    serde_saphyr::from_str(text)
        .map_err(|error| configuration(format!("the OpenAPI document cannot be read: {error}")))
}

/// An operation: where it is, and what it says.
struct Operation<'d> {
    path: &'d str,
    method: &'static str,
    item: &'d Json,
    about: &'d Json,
}

fn find<'d>(document: &'d Json, id: &str) -> Option<Operation<'d>> {
    let paths = document.get("paths")?.as_object()?;
    paths.iter().find_map(|(path, item)| {
        METHODS.into_iter().find_map(|method| {
            let about = item.get(method)?;
            let is_it = about.get("operationId").and_then(Json::as_str) == Some(id);
            is_it.then_some(Operation { path, method, item, about })
        })
    })
}

type Parts = (String, Vec<(String, String)>, HeaderMap, Option<Json>);

/// Puts what is given where the operation wants it; what it does not name is the body.
fn parameters(
    document: &Json,
    operation: &Operation<'_>,
    mut given: Map<String, Json>,
) -> Result<Parts, Fault> {
    let (mut path, mut query, mut headers) =
        (operation.path.to_owned(), Vec::new(), HeaderMap::new());
    let lists = [operation.item.get("parameters"), operation.about.get("parameters")];
    for parameter in lists.into_iter().flatten().filter_map(Json::as_array).flatten() {
        let parameter = followed(document, parameter);
        let word = |key: &str| parameter.get(key).and_then(Json::as_str).unwrap_or_default();
        let (name, place) = (word("name"), word("in"));
        let Some(value) = given.remove(name) else {
            if parameter.get("required") == Some(&Json::Bool(true)) {
                return Err(configuration(format!("the parameter {name:?} is missing")));
            }
            continue;
        };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match place {
            "path" => {
                let encoded = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
                path = path.replace(&format!("{{{name}}}"), &encoded);
            }
            "query" => query.push((name.to_owned(), text)),
            "header" => put(&mut headers, name, &text)?,
            _ => {}
        }
    }
    let has_body = operation.about.get("requestBody").is_some() && !given.is_empty();
    let body = has_body.then(|| given.remove("body").unwrap_or(Json::Object(given)));
    Ok((path, query, headers, body))
}

/// Follows a reference within the document.
fn followed<'d>(document: &'d Json, part: &'d Json) -> &'d Json {
    let reference = part.get("$ref").and_then(Json::as_str);
    let target = reference.and_then(|text| document.pointer(text.strip_prefix('#')?));
    target.unwrap_or(part)
}
