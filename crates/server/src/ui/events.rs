//! Events: what came, what it did, and why something would start or not.

use std::collections::BTreeMap;

use askama::Template;
use model::{
    Answer, CloudEvent, Explained, InstanceAnswer, InstanceCommand, InstanceQuery, Namespace,
    Query, Received, Reply, Result, Time,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    ask,
    form::Form,
    frame::{Frame, Here, page},
    place, show,
};
use crate::{
    call::{Call, mismatch, take},
    outcome::Outcome,
};

/// Where an event comes from that somebody sends with this page.
const SOURCE: &str = "/dashboard";

#[derive(Template, Serialize)]
#[template(path = "events.html")]
struct Events {
    namespace: Namespace,
    events: Vec<(CloudEvent, Received)>,
    next: Option<u64>,
    /// The event that is asked about.
    asked: Option<CloudEvent>,
    /// What each trigger and each wait says to it.
    explained: Vec<Explained>,
    #[serde(skip)]
    data: String,
    #[serde(skip)]
    form: String,
}

impl Events {
    fn kind(&self) -> &str {
        self.asked.as_ref().map_or("", |event| event.kind.as_str())
    }

    fn subject(&self) -> &str {
        self.asked.as_ref().and_then(|event| event.subject.as_deref()).unwrap_or("")
    }

    fn command(&self, verb: &[&str]) -> String {
        let rest = [self.kind(), "--data", self.data.as_str()];
        show::command_in(&self.namespace, &[verb, &rest].concat())
    }
}

/// Reads the time of an event, which is that of its coming if its sender gave none.
pub(crate) fn time(event: &CloudEvent) -> Option<Time> {
    event.time.as_deref().and_then(|text| Time::parse(text).ok())
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let (namespace, params) = (call.namespace()?, call.params()?);
    let page_of = ask::rows(params.previous_id()?);
    let (mut events, as_of) = ask::events(&call, &namespace, page_of).await?;
    let next = ask::cut(&mut events, |(_, received)| received.seq);
    let asked = match params.word("type")? {
        Some(kind) => Some(event(kind, params.word("subject")?, params.word("data")?)?),
        None => None,
    };
    let explained = match &asked {
        Some(event) => {
            let query = InstanceQuery::Match(event.clone());
            let read = call.read(Query::Instances(namespace.clone(), query)).await?;
            take!(take!(read.answer, Answer::Instances)?, InstanceAnswer::Explained)?
        }
        None => Vec::new(),
    };
    let data = asked.as_ref().map_or_else(|| "{}".to_owned(), |event| show::json(&event.data));
    let form = call.app.sessions.form_token(&call.visit);
    let view = Events { namespace, events, next, asked, explained, data, form };
    page(&call, Frame::of(&view.namespace, "Events", Here::Events).live(as_of), &view)
}

fn event(kind: String, subject: Option<String>, data: Option<String>) -> Result<CloudEvent> {
    let data = data.unwrap_or_else(|| "null".to_owned());
    let wrong = |error| model::Error::bad_input(format!("the data is not JSON: {error}"));
    let data: Value = serde_json::from_str(&data).map_err(wrong)?;
    Ok(CloudEvent {
        id: "question".to_owned(),
        source: SOURCE.to_owned(),
        kind,
        subject,
        time: None,
        datacontenttype: None,
        dataschema: None,
        data,
        extensions: BTreeMap::new(),
    })
}

/// Takes an event in.
pub(crate) async fn send(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let namespace = call.namespace()?;
    let text = |name| form.some(name).map(str::to_owned);
    let mut event = event(form.text("type").to_owned(), text("subject"), text("data"))?;
    event.id = crate::http::event::random()?;
    match ask::change(&call, &namespace, InstanceCommand::Send(vec![event])).await? {
        Reply::Received(_) => {
            Ok(Outcome::see_other(place::of(&namespace, "events") + "?done=sent"))
        }
        _ => Err(mismatch()),
    }
}
