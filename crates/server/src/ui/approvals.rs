//! What instances wait for, answering it, and links with which somebody without a token can.

use std::time::Duration;

use askama::Template;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::header;
use model::{
    Answer, Backend as _, CloudEvent, Error, Id, InstanceAnswer, InstanceCommand, InstanceQuery,
    Invite, Namespace, Page, Query, Read, Result, Time, Wait, decision,
};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    ask,
    form::{Form, unknown},
    frame::{Frame, Here, page},
    place, show,
};
use crate::{
    auth::now,
    call::{Call, take},
    outcome::Outcome,
};

/// For how long links work.
const SPANS: [(&str, u64); 5] =
    [("1 hour", 1), ("1 day", 24), ("3 days", 72), ("1 week", 168), ("30 days", 720)];

#[derive(Template, Serialize)]
#[template(path = "approvals.html")]
struct Approvals {
    namespace: Namespace,
    waits: Vec<Wait>,
    next: Option<Id>,
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let (namespace, params) = (call.namespace()?, call.params()?);
    let shown = Page { after: params.previous_id()?, limit: ask::ROWS };
    let (waits, as_of) = waits(&call, &namespace, shown).await?;
    // An instance is on one page with all its waits, so how many there are says nothing of more.
    let last = Page { after: waits.last().map(|wait| wait.instance), limit: 1 };
    let next = match last.after {
        Some(_) if !self::waits(&call, &namespace, last.clone()).await?.0.is_empty() => last.after,
        _ => None,
    };
    let frame = Frame::of(&namespace, "Approvals", Here::Approvals).live(as_of);
    page(&call, frame, &Approvals { namespace, waits, next })
}

async fn waits(call: &Call, of: &Namespace, page: Page<Id>) -> Result<(Vec<Wait>, u64)> {
    match call.read(Query::Instances(of.clone(), InstanceQuery::Waits(page))).await {
        Err(Error::NoSuchNamespace(_)) => Ok((Vec::new(), 0)),
        read => {
            let read = read?;
            let answer = take!(read.answer, Answer::Instances)?;
            Ok((take!(answer, InstanceAnswer::Waits)?, read.as_of))
        }
    }
}

/// Gives what one instance waits for.
pub(super) async fn of_instance(call: &Call, of: &Namespace, instance: Id) -> Result<Vec<Wait>> {
    let just = Page { after: instance.checked_sub(1), limit: 1 };
    let (mut waits, _) = waits(call, of, just).await?;
    waits.retain(|wait| wait.instance == instance);
    Ok(waits)
}

#[derive(Template, Serialize)]
#[template(path = "wait.html")]
struct OneWait {
    namespace: Namespace,
    wait: Wait,
    /// What the document says of it.
    asks: Option<String>,
    /// The filter that is answered.
    filter: usize,
    /// What the event says that an answer becomes.
    event: CloudEvent,
    /// A link that was just made; it is not shown again.
    link: Option<String>,
    #[serde(skip)]
    form: String,
}

impl OneWait {
    fn href(&self) -> String {
        place::wait(&self.namespace, &self.wait)
    }

    fn command(&self, verb: &str, rest: &[&str]) -> String {
        let id = self.wait.instance.to_string();
        let words = ["instance", verb, id.as_str(), "--step", self.wait.name.as_str()];
        show::command_in(&self.namespace, &[&words[..], rest].concat())
    }

    fn data(&self) -> String {
        show::json(&self.event.data)
    }

    fn spans(&self) -> [(&'static str, u64); 5] {
        SPANS
    }
}

pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let filter = call.params()?.previous_id().ok().flatten().unwrap_or(0);
    answer(&call, usize::try_from(filter).unwrap_or(0), None).await
}

async fn answer(call: &Call, filter: usize, link: Option<String>) -> Result<Outcome> {
    let (namespace, wait, as_of) = find(call).await?;
    let asks = asks(call, &namespace, &wait).await;
    let event = wait.answer(filter, &[0; 32])?;
    let form = call.app.sessions.form_token(&call.visit);
    let title = format!("{} of {} #{}", wait.task(), wait.definition, wait.instance);
    let frame = Frame::of(&namespace, title, Here::Approvals).live(as_of);
    page(call, frame, &OneWait { namespace, wait, asks, filter, event, link, form })
}

/// Finds the wait that a page is about.
async fn find(call: &Call) -> Result<(Namespace, Wait, u64)> {
    picked(call, call.read(asked(call)?).await?)
}

/// Finds the wait that somebody answers: who may answer it needs no leave to look around.
async fn find_to_answer(call: &Call) -> Result<(Namespace, Wait, u64)> {
    picked(call, call.app.backend.read(asked(call)?, 0).await?)
}

/// Asks for what the instance of a page waits for.
fn asked(call: &Call) -> Result<Query> {
    let just = Page { after: instance_of(call)?.checked_sub(1), limit: 1 };
    Ok(Query::Instances(call.namespace()?, InstanceQuery::Waits(just)))
}

fn picked(call: &Call, read: Read) -> Result<(Namespace, Wait, u64)> {
    let (namespace, instance) = (call.namespace()?, instance_of(call)?);
    let name = call.part("{step}")?;
    let as_of = read.as_of;
    let answer = take!(read.answer, Answer::Instances)?;
    let waits = take!(answer, InstanceAnswer::Waits)?;
    let is_it = |wait: &Wait| wait.instance == instance && wait.name == name;
    let gone = || {
        Error::bad_input(format!(
            "instance {instance} does not wait at {name:?}, or no longer: it was answered, has \
             ended, or was cancelled"
        ))
    };
    Ok((namespace, waits.into_iter().find(is_it).ok_or_else(gone)?, as_of))
}

fn instance_of(call: &Call) -> Result<Id> {
    let text = call.part("{instance}")?;
    text.parse().map_err(|_| Error::NoSuchInstance(text))
}

/// Gives what the document says that a step listens to.
async fn asks(call: &Call, of: &Namespace, wait: &Wait) -> Option<String> {
    let version = Some(wait.version.clone());
    let version = ask::version(call, of, &wait.definition, version).await.ok()?;
    let definition = flow::Definition::parse(&version.source).ok()?;
    let document = serde_json::to_value(&definition.document).ok()?;
    // The last part of a step's name counts its rounds.
    let (path, _round) = wait.name.rsplit_once('/')?;
    let task = document.pointer(&format!("/{path}"))?;
    task.get("listen").map(show::json)
}

/// Answers a wait at once, or makes a link that lets somebody else do it.
pub(crate) async fn change(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let (namespace, wait, _) = find_to_answer(&call).await?;
    let filter = form.number::<usize>("filter")?.unwrap_or(0);
    let data = match form.json("data")? {
        None => Map::new(),
        Some(Value::Object(data)) => data,
        Some(_) => return Err(Error::bad_input("data must be a JSON object")),
    };
    let (secret, hash) = secret()?;
    let event = CloudEvent { data: Value::Object(data), ..wait.answer(filter, &hash)? };
    let instance = wait.instance;
    let hours = form.number::<u64>("hours")?.unwrap_or(1);
    let expires = now().plus(Duration::from_secs(hours.saturating_mul(3_600)));
    let (note, wait) = (form.text("note").to_owned(), wait.name);
    let invite = Box::new(Invite { instance, wait, hash, expires, note, event });
    match form.text("do") {
        "invite" => {
            ask::change(&call, &namespace, InstanceCommand::Invite(invite)).await?;
            let path = place::link(&namespace, instance, &secret);
            answer(&call, filter, Some(absolute(&call, &path))).await
        }
        word @ ("approve" | "decline" | "send") => {
            let mut given = Map::new();
            if word != "send" {
                given = decision(word == "approve", form.text("comment"), principal(&call));
            }
            let answer = InstanceCommand::AnswerInvite { instance, hash, data: given };
            call.write(
                namespace.clone(),
                vec![InstanceCommand::Invite(invite).into(), answer.into()],
            )
            .await?;
            Ok(Outcome::see_other(place::instance(&namespace, &instance) + "?done=answered"))
        }
        other => Err(unknown(other)),
    }
}

fn principal(call: &Call) -> &str {
    &call.backend.principal().name
}

/// Makes the secret of a link, and its hash.
fn secret() -> Result<(String, [u8; 32])> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Unavailable(error.to_string()))?;
    let secret = URL_SAFE_NO_PAD.encode(bytes);
    let hash = Sha256::digest(&secret).into();
    Ok((secret, hash))
}

/// Gives the address of a page as the visitor's browser sees this server.
fn absolute(call: &Call, path: &str) -> String {
    let header = |name| call.head.headers.get(name).and_then(|value| value.to_str().ok());
    match header(header::HOST) {
        Some(host) => {
            let encrypted = header(header::HeaderName::from_static("x-forwarded-proto"));
            let scheme = if encrypted == Some("https") { "https" } else { "http" };
            format!("{scheme}://{host}{path}")
        }
        None => path.to_owned(),
    }
}

#[derive(Template, Serialize)]
#[template(path = "link.html")]
struct Link {
    /// What is to be decided; none if the link does not work.
    asked: Option<Asked>,
    /// What was decided with it.
    decided: Option<bool>,
}

/// What a link shows of its wait.
#[derive(Serialize)]
struct Asked {
    note: String,
    definition: String,
    task: String,
    instance: Id,
    expires: Time,
}

/// Shows whoever has a link what is to be decided.
pub(crate) async fn link(call: Call) -> Result<Outcome> {
    let (namespace, instance, hash) = link_of(&call)?;
    let query = InstanceQuery::Invite(instance, hash);
    let invite = match read_link(&call, &namespace, query).await? {
        Some(InstanceAnswer::Invite(Some(invite))) => Some(invite),
        _ => None,
    };
    let asked = match invite.filter(|invite| invite.expires > now()) {
        None => None,
        Some(invite) => {
            let found = read_link(&call, &namespace, InstanceQuery::One(instance)).await?;
            let definition = match found {
                Some(InstanceAnswer::Instance(instance)) => instance.definition,
                _ => String::new(),
            };
            let (note, expires) = (invite.note, invite.expires);
            let task = invite.wait.rsplit('/').nth(1).unwrap_or(&invite.wait).to_owned();
            Some(Asked { note, definition, task, instance, expires })
        }
    };
    page(&call, Frame::new("Approval", Here::Link), &Link { asked, decided: None })
}

/// Asks in the name of the link; none if what it is about is not there.
async fn read_link(
    call: &Call,
    of: &Namespace,
    query: InstanceQuery,
) -> Result<Option<InstanceAnswer>> {
    match call.read_unchecked(Query::Instances(of.clone(), query)).await {
        Ok(read) => Ok(Some(take!(read.answer, Answer::Instances)?)),
        Err(Error::NoSuchNamespace(_) | Error::NoSuchInstance(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn link_of(call: &Call) -> Result<(Namespace, Id, [u8; 32])> {
    let secret = call.part("{secret}")?;
    Ok((call.namespace()?, instance_of(call)?, Sha256::digest(secret).into()))
}

/// Takes the decision of whoever has a link; the link is what allows it.
pub(crate) async fn decide(call: Call) -> Result<Outcome> {
    let form = Form::parse(&call.body)?;
    let (namespace, instance, hash) = link_of(&call)?;
    let approved = match form.text("do") {
        "approve" => true,
        "decline" => false,
        other => return Err(unknown(other)),
    };
    let data = decision(approved, form.text("comment"), form.text("by"));
    let answer = InstanceCommand::AnswerInvite { instance, hash, data };
    let view = match call.write_as("link", namespace, answer.into()).await {
        Ok(_) => Link { asked: None, decided: Some(approved) },
        // It was used or has expired since the page was opened.
        Err(Error::BadInput(_) | Error::NoSuchNamespace(_)) => Link { asked: None, decided: None },
        Err(error) => return Err(error),
    };
    page(&call, Frame::new("Approval", Here::Link), &view)
}
