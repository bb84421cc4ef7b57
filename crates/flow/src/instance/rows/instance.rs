//! The rows of instances.

use model::{Id, Instance, InstanceStatus, JournalEntry, Result, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::{Doc, Key, Row, Table, Value, tables};

use crate::{
    rows::{body, json, value},
    run::{Delivery, Message, Record, Snapshot, Start, State},
};

/// An instance: its snapshot.
#[derive(Clone, Debug)]
pub struct InstanceRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// Its id.
    pub id: Id,
    /// The incarnation of its definition.
    pub definition: Id,
    /// How it stands.
    pub status: InstanceStatus,
    /// The rest.
    pub body: InstanceBody,
}

/// What else there is to know of an instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceBody {
    /// The name of its definition.
    pub definition: String,
    /// The version that it follows to its end.
    pub version: String,
    /// The hash of that version.
    pub hash: String,
    /// How many messages it has taken; its journal has an entry for each.
    pub seq: u64,
    /// When it was started.
    pub started: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// What started it.
    pub cause: Cause,
    /// What it took.
    pub input: Json,
    /// What it gave.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub output: Json,
    /// The error that ended it.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub error: Json,
    /// The state, once the first message was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Snapshot>,
    /// The line in which it takes its turn, if its definition says how many there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// What it begins with when its turn comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Box<Start>>,
    /// The trace context of what started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What tells the names of secrets in its state from those that others make up.
    #[serde(default)]
    pub seal: u64,
    /// How many instances follow from each other up to this one, each started by the lifecycle of
    /// the last.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// The position of the newest event when it was started: older ones are not for it.
    #[serde(default)]
    pub events_after: u64,
    /// The instances that its steps wait for: step, instance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<(String, Id)>,
}

/// What started an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody asked for it.
    Manual,
    /// A slot of a schedule.
    Slot {
        /// The trigger.
        trigger: String,
        /// The slot.
        slot: Time,
    },
    /// An event.
    Event {
        /// The trigger.
        trigger: String,
        /// The position of the event.
        event: u64,
    },
    /// A step of another instance.
    Step {
        /// The other instance.
        parent: Id,
        /// The step; none if it does not wait.
        step: Option<String>,
    },
    /// A restart of another instance.
    Restart {
        /// The other instance.
        of: Id,
    },
}

impl Cause {
    /// Says it for people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Manual => "manual".to_owned(),
            Self::Slot { trigger, slot } => format!("{trigger} at {slot}"),
            Self::Event { trigger, event } => format!("{trigger} by event {event}"),
            Self::Step { parent, .. } => format!("instance {parent}"),
            Self::Restart { of } => format!("restart of instance {of}"),
        }
    }

    /// Gives the trigger, if one started it.
    pub(crate) fn trigger(&self) -> Option<&str> {
        match self {
            Self::Slot { trigger, .. } | Self::Event { trigger, .. } => Some(trigger),
            Self::Manual | Self::Step { .. } | Self::Restart { .. } => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(depth: &u32) -> bool {
    *depth == 0
}

/// Gives the steps that wait for something outside, or for a time to come.
fn steps_of(state: &State) -> Vec<String> {
    let timed = state.timers.keys().filter_map(|name| name.strip_suffix("#wait"));
    let mut steps: Vec<String> =
        state.waiting.keys().map(String::as_str).chain(timed).map(str::to_owned).collect();
    steps.sort();
    steps.dedup();
    steps
}

/// The number of a status in its column.
pub(crate) fn status_number(status: InstanceStatus) -> i64 {
    InstanceStatus::ALL
        .iter()
        .position(|known| *known == status)
        .and_then(|position| i64::try_from(position).ok())
        .unwrap_or_default()
}

impl InstanceRow {
    /// Gives the primary key.
    pub(crate) fn key(namespace: Id, id: Id) -> Key {
        vec![Value::id(namespace), Value::id(id)]
    }

    /// Gives its state; none if it has not taken a message yet.
    pub(crate) fn state(&self) -> Result<Option<State>> {
        self.body.state.as_ref().map(Snapshot::read).transpose()
    }

    /// Shows it; in lists, without what it holds.
    pub(crate) fn show(self, is_listed: bool) -> Result<Instance> {
        let at = self.state()?.as_ref().map(steps_of).unwrap_or_default();
        let InstanceBody { definition, version, hash, seq, started, ended, cause, .. } = self.body;
        let held = |json: Json| if is_listed { Json::Null } else { json };
        Ok(Instance {
            id: self.id,
            definition,
            version,
            hash,
            status: self.status,
            seq,
            started,
            ended,
            cause: cause.text(),
            input: held(self.body.input),
            output: held(self.body.output),
            error: self.body.error,
            at,
        })
    }
}

impl Row for InstanceRow {
    const TABLE: &'static Table = &tables::INSTANCE;

    fn to_doc(&self) -> Doc {
        Doc {
            key: Self::key(self.namespace, self.id),
            columns: vec![Value::id(self.definition), Value::Int(status_number(self.status))],
            body: body(&self.body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let status = usize::try_from(value(&doc.columns, 1)?.as_int()?).unwrap_or(usize::MAX);
        let unknown = || model::Error::Internal(format!("status {status} is not known"));
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            id: value(&doc.key, 1)?.as_id()?,
            definition: value(&doc.columns, 0)?.as_id()?,
            status: InstanceStatus::ALL.get(status).copied().ok_or_else(unknown)?,
            body: json("instance", &doc.body)?,
        })
    }
}

/// An entry of a journal.
#[derive(Clone, Debug)]
pub struct JournalRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The instance.
    pub instance: Id,
    /// The position, from 1.
    pub seq: u64,
    /// What was taken, and what it led to.
    pub record: Record,
}

impl JournalRow {
    /// Shows it.
    pub(crate) fn show(self) -> JournalEntry {
        let time = self.record.delivery.at;
        let body = serde_json::to_value(&self.record).unwrap_or_default();
        JournalEntry { seq: self.seq, time, body }
    }
}

impl Row for JournalRow {
    const TABLE: &'static Table = &tables::JOURNAL;

    fn to_doc(&self) -> Doc {
        Doc {
            key: vec![Value::id(self.namespace), Value::id(self.instance), Value::id(self.seq)],
            columns: Vec::new(),
            body: body(&self.record),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            instance: value(&doc.key, 1)?.as_id()?,
            seq: value(&doc.key, 2)?.as_id()?,
            record: json("journal", &doc.body)?,
        })
    }
}

/// Something that an instance was told and has not yet acted on.
#[derive(Clone, Debug)]
pub struct InboxRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The instance.
    pub instance: Id,
    /// Its place among all messages of the namespace.
    pub seq: Id,
    /// What, and when.
    pub delivery: Delivery,
    /// The event that it brings, by its position.
    pub event: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct InboxBody {
    at: Time,
    message: Message,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<u64>,
}

impl InboxRow {
    /// Gives the primary key.
    pub(crate) fn key(namespace: Id, instance: Id, seq: Id) -> Key {
        vec![Value::id(namespace), Value::id(instance), Value::id(seq)]
    }
}

impl Row for InboxRow {
    const TABLE: &'static Table = &tables::INBOX;

    fn to_doc(&self) -> Doc {
        let Delivery { at, message } = self.delivery.clone();
        Doc {
            key: Self::key(self.namespace, self.instance, self.seq),
            columns: Vec::new(),
            body: body(&InboxBody { at, message, event: self.event }),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let InboxBody { at, message, event } = json("inbox", &doc.body)?;
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            instance: value(&doc.key, 1)?.as_id()?,
            seq: value(&doc.key, 2)?.as_id()?,
            delivery: Delivery { at, message },
            event,
        })
    }
}
