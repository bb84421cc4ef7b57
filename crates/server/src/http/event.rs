//! Events for workflows: CloudEvents over HTTP, in each of the three modes of its HTTP binding,
//! and hooks for those who speak none of them.

use std::collections::BTreeMap;

use http::{HeaderMap, StatusCode, header};
use model::{
    Answer, CloudEvent, Error, InstanceAnswer, InstanceCommand, InstanceQuery, Page, Query, Reply,
    Result,
};
use serde_json::{Value as Json, json};

use crate::{
    body,
    call::{Call, mismatch},
    outcome::Outcome,
    trace,
    wire::{EventList, Explanation, ReceivedList},
};

/// The type of the events that hooks make.
const HOOK_EVENT: &str = "io.lockstep.http.request.v1";
/// What the names of headers begin with that are attributes.
const BINARY: &str = "ce-";

/// Takes events in: structured, binary or a batch.
pub(crate) async fn receive(call: Call) -> Result<Outcome> {
    let events = events_of(&call.head.headers, &call.body)?;
    send(&call, events, StatusCode::OK).await
}

/// Makes an event of any request; its subject is the path.
pub(crate) async fn hook(call: Call) -> Result<Outcome> {
    let path = call.part("{path}")?;
    let kind = media(&call.head.headers);
    let body = data_of(&kind, &call.body)?;
    let id = match call.request_id()? {
        Some(id) => id,
        None => random()?,
    };
    let data = json!({
        "method": call.head.method.as_str(),
        "path": path,
        "query": call.head.uri.query().unwrap_or_default(),
        "contentType": kind,
        "body": body,
    });
    let event = CloudEvent {
        id,
        source: format!("/hooks/{}", call.namespace()?),
        kind: HOOK_EVENT.to_owned(),
        subject: Some(path),
        time: None,
        datacontenttype: Some("application/json".to_owned()),
        dataschema: None,
        data,
        extensions: BTreeMap::new(),
    };
    send(&call, vec![event], StatusCode::ACCEPTED).await
}

pub(crate) fn random() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Unavailable(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn send(call: &Call, mut events: Vec<CloudEvent>, status: StatusCode) -> Result<Outcome> {
    for event in &mut events {
        trace::carry(trace::context(&call.head.headers), event);
    }
    let committed =
        call.write(call.namespace()?, vec![InstanceCommand::Send(events).into()]).await?;
    let received = committed.replies.into_iter().next();
    let Some(Reply::Received(received)) = received else { return Err(mismatch()) };
    let list = ReceivedList { received };
    Ok(Outcome::json(&list)?.with_status(status).at(committed.revision))
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let params = call.params()?;
    let page = Page { after: params.previous_id()?, limit: params.limit()? };
    let query = Query::Instances(call.namespace()?, InstanceQuery::Events(page));
    let read = call.read(query).await?;
    let Answer::Instances(InstanceAnswer::Events(events)) = read.answer else {
        return Err(mismatch());
    };
    Ok(Outcome::json(&EventList { events })?.tagged(read.as_of))
}

/// Tells what each trigger says to an event, without taking it in.
pub(crate) async fn explain(call: Call) -> Result<Outcome> {
    let event: CloudEvent = call.json()?;
    let query = Query::Instances(call.namespace()?, InstanceQuery::Match(event));
    let read = call.read(query).await?;
    let Answer::Instances(InstanceAnswer::Explained(explained)) = read.answer else {
        return Err(mismatch());
    };
    Outcome::json(&Explanation { explained })
}

/// Gives the media type, without parameters and in small letters.
fn media(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = value.unwrap_or_default().split(';').next().unwrap_or_default();
    media.trim().to_ascii_lowercase()
}

fn events_of(headers: &HeaderMap, bytes: &[u8]) -> Result<Vec<CloudEvent>> {
    match media(headers).as_str() {
        "application/cloudevents-batch+json" => body::parse_any(bytes),
        kind if headers.contains_key("ce-id") => Ok(vec![binary(headers, kind, bytes)?]),
        "application/cloudevents+json" | "application/json" => Ok(vec![body::parse(bytes)?]),
        other => Err(Error::bad_input(format!(
            "{other:?} is no form of an event: send application/cloudevents+json, \
             application/cloudevents-batch+json, or the attributes as headers that begin with ce-"
        ))),
    }
}

/// Reads an event whose attributes are headers and whose data is the body.
fn binary(headers: &HeaderMap, kind: &str, bytes: &[u8]) -> Result<CloudEvent> {
    let mut attributes = serde_json::Map::new();
    for (name, value) in headers {
        if let Some(attribute) = name.as_str().strip_prefix(BINARY) {
            let wrong = |_| Error::bad_input(format!("header {name} is not ASCII text"));
            let value = value.to_str().map_err(wrong)?;
            attributes.insert(attribute.to_owned(), value.into());
        }
    }
    if !kind.is_empty() {
        attributes.insert("datacontenttype".to_owned(), kind.into());
    }
    attributes.insert("data".to_owned(), data_of(kind, bytes)?);
    serde_json::from_value(Json::Object(attributes))
        .map_err(|error| Error::bad_input(format!("the headers are no event: {error}")))
}

/// Reads a body as what its media type says: JSON, or else text.
fn data_of(kind: &str, bytes: &[u8]) -> Result<Json> {
    if bytes.is_empty() {
        return Ok(Json::Null);
    }
    if kind == "application/json" || kind.ends_with("+json") {
        return body::parse_any(bytes);
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Error::bad_input("the body is neither JSON nor UTF-8 text"))?;
    Ok(Json::String(text.to_owned()))
}
