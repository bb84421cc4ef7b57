//! `lockstep event`.

use anyhow::Result;
use clap::{Args, Subcommand};
use model::{
    Answer, CloudEvent, InstanceAnswer, InstanceCommand, InstanceQuery, Page, Query, Received,
    Reply, Time,
};
use serde_json::{Value, json};

use super::instance::json_of;
use crate::{
    connect::{Session, pages, unexpected},
    output::{printable, table},
};

/// What to do with events.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Send an event: it starts what its triggers say, and goes to who waits for it
    #[command(after_long_help = "\
An event with the source and id of an earlier one is known, and does nothing.

Examples:
  lockstep event send com.acme.order.placed.v1 --source shop --data '{\"total\": 12}'
  lockstep event send com.acme.approval.given.v1 --source desk --id approval-17")]
    Send(SendArgs),
    /// List events with what became of them, oldest first
    #[command(after_long_help = "Examples:\n  lockstep event list --json")]
    List {
        /// Show at most this many; 0 is all
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: u32,
        /// Show only what came after this position (the "next" of an earlier list)
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
    },
}

/// An event, by the CloudEvents specification.
#[derive(Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) event: EventArgs,
}

/// The attributes and data of an event.
#[derive(Args)]
pub(crate) struct EventArgs {
    /// Its type, such as com.acme.order.placed.v1
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Where it happened
    #[arg(long, value_name = "URI", default_value = "lockstep/cli")]
    source: String,
    /// What tells it from all others of its source [default: one made from the time]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// What it happened to
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Its data: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON", default_value = "null")]
    data: String,
}

impl EventArgs {
    /// Makes the event.
    pub(crate) fn event(self) -> Result<CloudEvent> {
        let now = jiff::Timestamp::now();
        let data = json_of(&self.data)?;
        let datacontenttype = (!data.is_null()).then(|| "application/json".to_owned());
        Ok(CloudEvent {
            id: self.id.unwrap_or_else(|| format!("{}", now.as_nanosecond())),
            source: self.source,
            kind: self.kind,
            subject: self.subject,
            time: Some(now.to_string()),
            datacontenttype,
            dataschema: None,
            data,
            extensions: Default::default(),
        })
    }
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Send(args) => send(args.event.event()?, session).await,
            Self::List { limit, after } => list(limit, after, session).await,
        }
    }
}

async fn send(event: CloudEvent, session: &Session) -> Result<()> {
    let command = InstanceCommand::Send(vec![event]);
    let Reply::Received(received) = session.lockstep.command(command).await? else {
        return Err(unexpected().into());
    };
    let Some(one) = received.first() else { return Err(unexpected().into()) };
    session.out.data(&serde_json::to_value(one)?, || rows(&[(None, one.clone())]))
}

async fn list(limit: u32, after: Option<u64>, session: &Session) -> Result<()> {
    let namespace = session.lockstep.namespace().clone();
    let fetch = async |page: Page<u64>| {
        let query = Query::Instances(namespace.clone(), InstanceQuery::Events(page));
        match session.lockstep.ask(query).await? {
            Answer::Instances(InstanceAnswer::Events(events)) => Ok(events),
            _ => Err(unexpected()),
        }
    };
    let key = |(_, received): &(CloudEvent, Received)| received.seq;
    let (events, next) = pages(limit, after, key, fetch).await?;
    let shown: Vec<Value> = events
        .iter()
        .map(|(event, received)| json!({ "event": event, "received": received }))
        .collect();
    let events = events.into_iter().map(|(event, received)| (Some(event), received));
    let events: Vec<_> = events.collect();
    session.out.data(&json!({ "events": shown, "next": next }), || rows(&events))
}

fn rows(events: &[(Option<CloudEvent>, Received)]) -> String {
    let ids = |ids: &[u64]| match ids {
        [] => "-".to_owned(),
        ids => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    };
    let row = |(event, received): &(Option<CloudEvent>, Received)| {
        let text = |of: fn(&CloudEvent) -> &String| {
            event.as_ref().map_or_else(|| "-".to_owned(), |event| printable(of(event)))
        };
        let is_known = if received.is_duplicate { "known" } else { "new" };
        vec![
            received.seq.to_string(),
            text(|event| &event.kind),
            text(|event| &event.source),
            text(|event| &event.id),
            is_known.to_owned(),
            ids(&received.started),
            ids(&received.resumed),
        ]
    };
    let heads = ["seq", "type", "source", "id", "state", "started", "resumed"];
    table(&heads, &events.iter().map(row).collect::<Vec<_>>())
}

/// Reads a time as RFC 3339 writes it.
pub(super) fn time(text: &str) -> model::Result<Time> {
    Time::parse(text)
}
