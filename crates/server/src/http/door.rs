//! `/v1`: the native door, on which Lockstep's own client speaks as to a local backend.

use std::borrow::Cow;

use model::{Backend, Command, Namespace, Query, QueueCommand, Result, Revision, Write, limits};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::{call::Call, outcome::Outcome};

pub(crate) async fn write(call: Call) -> Result<Outcome> {
    let mut write: Write = call.json()?;
    write.wait = write.wait.min(limits::WAIT_MAX);
    if write.request_id.is_none() {
        write.request_id = call.request_id()?;
    }
    let only_claims = |command: &Command| matches!(command, Command::Queue(QueueCommand::Claim(_)));
    // A claim that only waits may be cut short; a change that was made must be answered.
    let committed = if write.commands.iter().all(only_claims) {
        call.write_waiting(write).await?
    } else {
        call.backend.write(write).await?
    };
    Ok(Outcome::json(&committed)?.at(committed.revision))
}

/// A question, and how new its answer must be.
#[derive(Deserialize)]
struct Asked {
    query: Query,
    #[serde(default)]
    at_least: Revision,
}

pub(crate) async fn read(call: Call) -> Result<Outcome> {
    let asked: Asked = call.json()?;
    let read = call.backend.read(asked.query, asked.at_least).await?;
    Outcome::json(&read)
}

/// Which events to show.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct AskedEvents {
    /// The namespace.
    namespace: String,
    /// Only what came after this revision.
    #[serde(default)]
    after: Revision,
    /// How many commits at most.
    limit: Option<u32>,
}

pub(crate) async fn events(call: Call) -> Result<Outcome> {
    let asked: AskedEvents = call.json()?;
    let namespace = Namespace::new(asked.namespace)?;
    let limit = asked.limit.unwrap_or(limits::PAGE_MAX).clamp(1, limits::PAGE_MAX);
    let limit = u16::try_from(limit).unwrap_or(u16::MAX);
    Outcome::json(&call.backend.events(&namespace, asked.after, limit).await?)
}

/// Describes a value of the native door.
macro_rules! native {
    ($(#[$doc:meta])* $name:ident, $text:literal, $schema:tt) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $text.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

native!(
    /// The schema of [`Write`].
    WriteSchema, "Write", {
        "type": "object",
        "description": "Commands that are made as a whole or not at all.",
        "required": ["namespace", "commands"],
        "additionalProperties": false,
        "properties": {
            "namespace": {"type": "string"},
            "request_id": {"type": ["string", "null"], "maxLength": 255},
            "commands": {"type": "array", "maxItems": 1000, "items": {"type": "object"}},
            "wait": {
                "type": "object",
                "description": "How long claims wait for work.",
                "required": ["secs", "nanos"],
                "properties": {
                    "secs": {"type": "integer", "minimum": 0},
                    "nanos": {"type": "integer", "minimum": 0},
                },
            },
        },
    }
);
native!(
    /// The schema of [`model::Committed`].
    CommittedSchema, "Committed", {
        "type": "object",
        "description": "The outcome of a write: one reply for each command.",
        "required": ["revision", "replies", "events"],
        "properties": {
            "revision": {"type": "integer", "minimum": 0},
            "replies": {"type": "array"},
            "events": {"type": "array"},
        },
    }
);
native!(
    /// The schema of [`Asked`].
    AskedSchema, "Asked", {
        "type": "object",
        "description": "A question, and the revision that its answer must have reached.",
        "required": ["query"],
        "properties": {
            "query": {},
            "at_least": {"type": "integer", "minimum": 0},
        },
    }
);
native!(
    /// The schema of [`model::Read`].
    ReadSchema, "Read", {
        "type": "object",
        "description": "An answer, and the revision as of which it holds.",
        "required": ["as_of", "answer"],
        "properties": {
            "as_of": {"type": "integer", "minimum": 0},
            "answer": {"type": "object"},
        },
    }
);
native!(
    /// The schema of [`model::Event`]s.
    EventsSchema, "Events", {
        "type": "array",
        "description": "What each commit changed, oldest first.",
        "items": {
            "type": "object",
            "required": ["namespace", "revision", "time", "bodies"],
            "properties": {
                "namespace": {"type": "string"},
                "revision": {"type": "integer", "minimum": 1},
                "time": {"type": "string", "format": "date-time"},
                "bodies": {"type": "array"},
            },
        },
    }
);
