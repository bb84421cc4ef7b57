//! The rows of definitions, their versions, drafts and triggers.

use model::{Id, Result, Revision, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::{Doc, Key, Row, Table, Value, tables};

use super::trigger::TriggerSpec;
use crate::concurrency::Turns;
use crate::rows::{body, json, value};

/// A definition: the head row, by which everything else goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// Its name.
    pub name: String,
    /// The id that keys its versions and triggers; it stays when the name is deleted and published
    /// again.
    pub id: Id,
    /// The rest.
    pub head: Head,
}

/// What else a head row says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Counts the changes, without gaps.
    pub revision: Revision,
    /// The version that instances are started from.
    pub published: Option<String>,
    /// The hash of that version.
    pub hash: Option<String>,
    /// How its instances take turns, so that a start need not read the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<Turns>,
    /// Whether the name is hidden.
    pub is_deleted: bool,
    /// The epoch of the catalog at the last change.
    pub epoch: u64,
    /// The run that made the last change.
    pub run: Id,
    /// When it was changed.
    pub changed: Time,
}

impl DefinitionRow {
    /// Makes a row of a definition that there was never.
    pub(crate) fn new(namespace: Id, name: &str, id: Id, now: Time) -> Self {
        let head = Head {
            revision: 0,
            published: None,
            hash: None,
            turns: None,
            is_deleted: false,
            epoch: 0,
            run: 0,
            changed: now,
        };
        Self { namespace, name: name.to_owned(), id, head }
    }

    /// Gives the primary key.
    pub fn key(namespace: Id, name: &str) -> Key {
        vec![Value::id(namespace), Value::Text(name.into())]
    }

    /// Shows it.
    pub(crate) fn show(&self) -> model::Definition {
        let Head { revision, published, is_deleted, epoch, run, changed, .. } = &self.head;
        model::Definition {
            name: self.name.clone(),
            id: self.id,
            revision: *revision,
            published: published.clone(),
            is_deleted: *is_deleted,
            epoch: *epoch,
            run: *run,
            changed: *changed,
        }
    }
}

impl Row for DefinitionRow {
    const TABLE: &'static Table = &tables::DEFINITION;

    fn to_doc(&self) -> Doc {
        let key = Self::key(self.namespace, &self.name);
        Doc { key, columns: vec![Value::id(self.id)], body: body(&self.head) }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            name: value(&doc.key, 1)?.as_text()?.to_owned(),
            id: value(&doc.columns, 0)?.as_id()?,
            head: json("definition", &doc.body)?,
        })
    }
}

/// A version of a definition, which never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The id of its definition.
    pub definition: Id,
    /// The author's version.
    pub version: String,
    /// When it was written.
    pub created: Time,
    /// The rest.
    pub body: VersionBody,
}

/// What else there is of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionBody {
    /// The SHA-256 of the canonical form.
    pub hash: String,
    /// The text that was published.
    pub source: String,
    /// Who published it.
    pub author: String,
    /// The compiled form.
    pub program: Json,
    /// What it refers to outside of its document, for people.
    #[serde(default)]
    pub refers: Vec<String>,
    /// How its instances take turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<Turns>,
}

impl VersionRow {
    /// Gives the primary key.
    pub fn key(namespace: Id, definition: Id, version: &str) -> Key {
        vec![Value::id(namespace), Value::id(definition), Value::Text(version.into())]
    }

    /// Shows it.
    pub(crate) fn show(self, definition: &str) -> model::Version {
        let VersionBody { hash, source, author, .. } = self.body;
        let (version, created) = (self.version, self.created);
        let definition = definition.to_owned();
        model::Version { definition, version, hash, source, created, author }
    }
}

impl Row for VersionRow {
    const TABLE: &'static Table = &tables::VERSION;

    fn to_doc(&self) -> Doc {
        Doc {
            key: Self::key(self.namespace, self.definition, &self.version),
            columns: vec![Value::Int(self.created.0)],
            body: body(&self.body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            definition: value(&doc.key, 1)?.as_id()?,
            version: value(&doc.key, 2)?.as_text()?.to_owned(),
            created: Time(value(&doc.columns, 0)?.as_int()?),
            body: json("version", &doc.body)?,
        })
    }
}

/// A draft, which nothing is started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The definition that it may become.
    pub name: String,
    /// The text.
    pub source: String,
}

impl DraftRow {
    /// Gives the primary key.
    pub fn key(namespace: Id, name: &str) -> Key {
        vec![Value::id(namespace), Value::Text(name.into())]
    }
}

impl Row for DraftRow {
    const TABLE: &'static Table = &tables::DRAFT;

    fn to_doc(&self) -> Doc {
        let key = Self::key(self.namespace, &self.name);
        Doc { key, columns: Vec::new(), body: body(&self.source) }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            name: value(&doc.key, 1)?.as_text()?.to_owned(),
            source: json("draft", &doc.body)?,
        })
    }
}

/// What starts a published definition.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The id of its definition.
    pub definition: Id,
    /// Its name within the definition.
    pub name: String,
    /// What an event is looked up by.
    pub match_key: Option<Vec<u8>>,
    /// The hook path that no other published definition may have.
    pub route: Option<Vec<u8>>,
    /// The rest.
    pub body: TriggerBody,
}

/// What else there is of a trigger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerBody {
    /// The name of its definition.
    pub definition: String,
    /// The version that the plan was made from.
    pub version: String,
    /// The revision of the definition.
    pub revision: Revision,
    /// The SHA-256 of what it says; as long as that is the same, the trigger is the same.
    pub spec_hash: String,
    /// What it says.
    pub spec: TriggerSpec,
}

impl TriggerRow {
    /// Gives the primary key.
    pub fn key(namespace: Id, definition: Id, name: &str) -> Key {
        vec![Value::id(namespace), Value::id(definition), Value::Text(name.into())]
    }
}

fn bytes_or_null(bytes: Option<&Vec<u8>>) -> Value {
    bytes.map_or(Value::Null, |bytes| Value::Bytes(bytes.as_slice().into()))
}

fn optional_bytes(value: &Value) -> Result<Option<Vec<u8>>> {
    match value {
        Value::Null => Ok(None),
        other => Ok(Some(other.as_bytes()?.to_vec())),
    }
}

impl Row for TriggerRow {
    const TABLE: &'static Table = &tables::TRIGGER;

    fn to_doc(&self) -> Doc {
        Doc {
            key: Self::key(self.namespace, self.definition, &self.name),
            columns: vec![
                bytes_or_null(self.match_key.as_ref()),
                bytes_or_null(self.route.as_ref()),
            ],
            body: body(&self.body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            definition: value(&doc.key, 1)?.as_id()?,
            name: value(&doc.key, 2)?.as_text()?.to_owned(),
            match_key: optional_bytes(value(&doc.columns, 0)?)?,
            route: optional_bytes(value(&doc.columns, 1)?)?,
            body: json("start_trigger", &doc.body)?,
        })
    }
}
