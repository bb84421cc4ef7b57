//! The rows of events, of those who wait for them, and of what was fired for them.

use model::{CloudEvent, Id, Received, Result, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{Doc, Key, Row, Table, Value, tables};

use crate::{
    publish::match_key,
    rows::{body, json, value},
    run::WaitPlan,
};

/// A wait of an instance for events of one type, or of any.
#[derive(Clone, Debug)]
pub struct WaitRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The instance.
    pub instance: Id,
    /// The name of the wait, and the number of its filter.
    pub name: String,
    /// What events are looked up by.
    pub match_key: Vec<u8>,
    /// The whole wait.
    pub plan: WaitPlan,
}

impl WaitRow {
    /// Gives the primary key.
    pub(crate) fn key(namespace: Id, instance: Id, name: &str) -> Key {
        vec![Value::id(namespace), Value::id(instance), Value::Text(name.into())]
    }
}

impl Row for WaitRow {
    const TABLE: &'static Table = &tables::WAIT;

    fn to_doc(&self) -> Doc {
        Doc {
            key: Self::key(self.namespace, self.instance, &self.name),
            columns: vec![Value::Bytes(self.match_key.clone().into())],
            body: body(&self.plan),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            instance: value(&doc.key, 1)?.as_id()?,
            name: value(&doc.key, 2)?.as_text()?.to_owned(),
            match_key: value(&doc.columns, 0)?.as_bytes()?.to_vec(),
            plan: json("event_wait", &doc.body)?,
        })
    }
}

/// An event that came in or was sent.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// Its position.
    pub seq: u64,
    /// The event.
    pub event: CloudEvent,
    /// When it came.
    pub at: Time,
    /// What became of it.
    pub received: Received,
    /// The instance that sent it.
    pub origin: Option<Id>,
    /// Whether triggers and waits still have to be looked at.
    pub is_new: bool,
    /// The instances whose waits took it.
    pub taken: Vec<Id>,
}

#[derive(Serialize, Deserialize)]
struct EventBody {
    event: CloudEvent,
    at: Time,
    started: Vec<Id>,
    resumed: Vec<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Id>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_new: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    taken: Vec<Id>,
}

impl EventRow {
    /// Gives what tells an event from all others: the digest of source and id.
    pub(crate) fn identity(event: &CloudEvent) -> Vec<u8> {
        let mut digest = Sha256::new();
        digest.update(event.source.as_bytes());
        digest.update([0]);
        digest.update(event.id.as_bytes());
        digest.finalize().to_vec()
    }

    /// Gives the primary key.
    pub(crate) fn key(namespace: Id, seq: u64) -> Key {
        vec![Value::id(namespace), Value::id(seq)]
    }
}

impl Row for EventRow {
    const TABLE: &'static Table = &tables::EVENT;

    fn to_doc(&self) -> Doc {
        let body = body(&EventBody {
            event: self.event.clone(),
            at: self.at,
            started: self.received.started.clone(),
            resumed: self.received.resumed.clone(),
            origin: self.origin,
            is_new: self.is_new,
            taken: self.taken.clone(),
        });
        let identity = Value::Bytes(Self::identity(&self.event).into());
        let match_key = Value::Bytes(match_key(Some(&self.event.kind)).into());
        Doc { key: Self::key(self.namespace, self.seq), columns: vec![identity, match_key], body }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let stored: EventBody = json("event", &doc.body)?;
        let EventBody { event, at, started, resumed, origin, is_new, taken } = stored;
        let seq = value(&doc.key, 1)?.as_id()?;
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            seq,
            event,
            at,
            received: Received { seq, is_duplicate: false, started, resumed },
            origin,
            is_new,
            taken,
        })
    }
}

/// That a trigger has fired for a slot or an event.
#[derive(Clone, Debug)]
pub(crate) struct FiringRow {
    pub(crate) namespace: Id,
    pub(crate) definition: Id,
    pub(crate) trigger: String,
    /// The time, or the key of the event.
    pub(crate) slot: Vec<u8>,
    pub(crate) instance: Id,
}

impl FiringRow {
    pub(crate) fn key(namespace: Id, definition: Id, trigger: &str, slot: &[u8]) -> Key {
        let (name, slot) = (Value::Text(trigger.into()), Value::Bytes(slot.into()));
        vec![Value::id(namespace), Value::id(definition), name, slot]
    }
}

impl Row for FiringRow {
    const TABLE: &'static Table = &tables::FIRING;

    fn to_doc(&self) -> Doc {
        Doc {
            key: Self::key(self.namespace, self.definition, &self.trigger, &self.slot),
            columns: vec![Value::id(self.instance)],
            body: Vec::new(),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            definition: value(&doc.key, 1)?.as_id()?,
            trigger: value(&doc.key, 2)?.as_text()?.to_owned(),
            slot: value(&doc.key, 3)?.as_bytes()?.to_vec(),
            instance: value(&doc.columns, 0)?.as_id()?,
        })
    }
}
