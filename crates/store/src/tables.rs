//! The tables. A change here needs a migration for each SQL store; a test holds them together.
//!
//! Every table but [`NAMESPACE`], [`TOKEN`], [`USER`], [`SESSION`] and [`COUNTER`] starts its key
//! with the incarnation id of a namespace ([`HISTORY`], [`REQUEST`] and [`AUDIT`]: with its lasting
//! id).

use crate::{Column, Index, Kept, Kind, Table};

mod beside;

pub use beside::*;

const fn int(name: &'static str) -> Column {
    Column { name, kind: Kind::Int }
}
const fn real(name: &'static str) -> Column {
    Column { name, kind: Kind::Real }
}
const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text }
}
const fn bytes(name: &'static str) -> Column {
    Column { name, kind: Kind::Bytes }
}
const fn on_disk(name: &'static str, fields: &'static [usize]) -> Index {
    Index { name, fields, kept: Kept::OnDisk }
}
const fn in_memory(name: &'static str, fields: &'static [usize]) -> Index {
    Index { name, fields, kept: Kept::InMemory }
}

/// Namespaces by name, with their counters.
///
/// `id` is the key of its history and stays; `live` is the incarnation that keys everything in it,
/// and null once it is destroyed, so that a destroyed namespace is empty at one stroke.
pub static NAMESPACE: Table = Table {
    id: 0,
    name: "namespace",
    key: &[text("name")],
    columns: &[int("id"), int("live"), int("revision"), int("last_id")],
    indexes: &[on_disk("namespace_live", &[2])],
};
/// Index of [`NAMESPACE`]: live.
pub const NAMESPACE_LIVE: usize = 0;

/// Work specs: what scheduling needs of them, with their counts.
pub static SPEC: Table = Table {
    id: 1,
    name: "spec",
    key: &[int("namespace"), text("name")],
    columns: &[int("id")],
    indexes: &[on_disk("spec_id", &[0, 2]), in_memory("spec_name", &[0, 1])],
};
/// Index of [`SPEC`]: namespace, id.
pub const SPEC_ID: usize = 0;
/// Index of [`SPEC`]: namespace, name; the primary key again, but at hand for every claim.
pub const SPEC_NAME: usize = 1;

/// The dictionaries of work specs, apart from what changes with every claim.
pub static SPEC_DATA: Table = Table {
    id: 2,
    name: "spec_data",
    key: &[int("namespace"), int("spec")],
    columns: &[],
    indexes: &[],
};

/// Work units.
///
/// `ready` is the negated priority of an available unit; `state` is the status of a unit that is
/// not finished; `due` is when a delayed unit becomes ready, and `since` when an available one was
/// added, in nanoseconds since 1970.
pub static UNIT: Table = Table {
    id: 3,
    name: "unit",
    key: &[int("namespace"), int("spec"), bytes("name")],
    columns: &[int("id"), int("state"), real("ready"), int("due"), int("since")],
    indexes: &[
        in_memory("unit_ready", &[0, 1, 5, 2]),
        on_disk("unit_state", &[0, 1, 4, 2]),
        in_memory("unit_due", &[6]),
        on_disk("unit_since", &[0, 1, 7]),
    ],
};
/// Index of [`UNIT`]: namespace, spec, ready, name.
pub const UNIT_READY: usize = 0;
/// Index of [`UNIT`]: namespace, spec, state, name.
pub const UNIT_STATE: usize = 1;
/// Index of [`UNIT`]: due.
pub const UNIT_DUE: usize = 2;
/// Index of [`UNIT`]: namespace, spec, since.
pub const UNIT_SINCE: usize = 3;

/// Attempts, by unit.
///
/// `worker` is the worker's id, `busy` the same while the attempt is pending, and `due` when the
/// lease of a pending attempt ends.
pub static ATTEMPT: Table = Table {
    id: 4,
    name: "attempt",
    key: &[int("namespace"), int("unit"), int("id")],
    columns: &[int("worker"), int("busy"), int("due")],
    indexes: &[
        on_disk("attempt_worker", &[0, 3, 2]),
        on_disk("attempt_busy", &[0, 4, 2]),
        in_memory("attempt_due", &[5]),
    ],
};
/// Index of [`ATTEMPT`]: namespace, worker, id.
pub const ATTEMPT_WORKER: usize = 0;
/// Index of [`ATTEMPT`]: namespace, worker of a pending attempt, id.
pub const ATTEMPT_BUSY: usize = 1;
/// Index of [`ATTEMPT`]: due.
pub const ATTEMPT_DUE: usize = 2;

/// Workers. `due` is when an active one counts as dead.
pub static WORKER: Table = Table {
    id: 5,
    name: "worker",
    key: &[int("namespace"), text("name")],
    columns: &[int("id"), int("parent"), int("due")],
    indexes: &[
        on_disk("worker_id", &[0, 2]),
        on_disk("worker_parent", &[0, 3, 1]),
        in_memory("worker_due", &[4]),
    ],
};
/// Index of [`WORKER`]: namespace, id.
pub const WORKER_ID: usize = 0;
/// Index of [`WORKER`]: namespace, parent's id, name.
pub const WORKER_PARENT: usize = 1;
/// Index of [`WORKER`]: due.
pub const WORKER_DUE: usize = 2;

/// The history: one row for each committed batch.
pub static HISTORY: Table = Table {
    id: 6,
    name: "history",
    key: &[int("namespace"), int("revision")],
    columns: &[int("time")],
    indexes: &[],
};

/// Answers to idempotency keys. `due` is when one may be forgotten.
pub static REQUEST: Table = Table {
    id: 7,
    name: "request",
    key: &[int("namespace"), text("id")],
    columns: &[int("due")],
    indexes: &[on_disk("request_due", &[2])],
};
/// Index of [`REQUEST`]: due.
pub const REQUEST_DUE: usize = 0;

/// What was destroyed in one stroke and is swept away bit by bit: a namespace's id, and a spec's id
/// or 0 for all of it.
pub static RUBBLE: Table = Table {
    id: 8,
    name: "rubble",
    key: &[int("namespace"), int("spec")],
    columns: &[],
    indexes: &[],
};

/// Access tokens by the SHA-256 of their text.
pub static TOKEN: Table = Table {
    id: 9,
    name: "token",
    key: &[bytes("hash")],
    columns: &[text("id")],
    indexes: &[on_disk("token_id", &[1])],
};
/// Index of [`TOKEN`]: id.
pub const TOKEN_ID: usize = 0;

/// Counters of the whole store, such as the last namespace id.
pub static COUNTER: Table =
    Table { id: 10, name: "counter", key: &[text("name")], columns: &[int("value")], indexes: &[] };

/// Locks by the CBOR of their labels. `due` is when one runs out.
pub static LOCK: Table = Table {
    id: 11,
    name: "lock",
    key: &[int("namespace"), bytes("path")],
    columns: &[int("due")],
    indexes: &[in_memory("lock_due", &[2])],
};
/// Index of [`LOCK`]: due.
pub const LOCK_DUE: usize = 0;

/// The nodes of a shared store, by name. `lease` is until when each counts as alive.
pub static NODE: Table =
    Table { id: 12, name: "node", key: &[text("name")], columns: &[int("lease")], indexes: &[] };

/// Workflow definitions: the head rows. `id` is the incarnation that keys versions and triggers.
pub static DEFINITION: Table = Table {
    id: 13,
    name: "definition",
    key: &[int("namespace"), text("name")],
    columns: &[int("id")],
    indexes: &[on_disk("definition_id", &[0, 2])],
};
/// Index of [`DEFINITION`]: namespace, id.
pub const DEFINITION_ID: usize = 0;

/// The versions of definitions, which never change once they are written.
pub static VERSION: Table = Table {
    id: 14,
    name: "version",
    key: &[int("namespace"), int("definition"), text("version")],
    columns: &[int("created")],
    indexes: &[on_disk("version_created", &[0, 1, 3])],
};
/// Index of [`VERSION`]: namespace, definition, created.
pub const VERSION_CREATED: usize = 0;

/// Drafts of definitions, which nothing is started from.
pub static DRAFT: Table = Table {
    id: 15,
    name: "draft",
    key: &[int("namespace"), text("name")],
    columns: &[],
    indexes: &[],
};

/// What starts a published definition, by the names that its author gave.
///
/// `match_key` is what an event is looked up by, `route` what no two published definitions may
/// both have.
pub static TRIGGER: Table = Table {
    id: 16,
    name: "start_trigger",
    key: &[int("namespace"), int("definition"), text("name")],
    columns: &[bytes("match_key"), bytes("route")],
    indexes: &[on_disk("start_trigger_match", &[0, 3]), on_disk("start_trigger_route", &[0, 4])],
};
/// Index of [`TRIGGER`]: namespace, match_key.
pub const TRIGGER_MATCH: usize = 0;
/// Index of [`TRIGGER`]: namespace, route.
pub const TRIGGER_ROUTE: usize = 1;

/// The log of changes to definitions of the whole store, without gaps; `catalog` is always the
/// same word.
pub static CATALOG_CHANGE: Table = Table {
    id: 17,
    name: "catalog_change",
    key: &[text("catalog"), int("epoch")],
    columns: &[int("namespace"), text("name")],
    indexes: &[],
};

/// Runs of the pipeline that publishes, retracts and deletes, with their stages.
pub static RUN: Table = Table {
    id: 18,
    name: "pipeline_run",
    key: &[int("namespace"), int("id")],
    columns: &[int("definition")],
    indexes: &[on_disk("pipeline_run_definition", &[0, 2, 1])],
};
/// Index of [`RUN`]: namespace, definition, id.
pub const RUN_DEFINITION: usize = 0;

/// What a published definition wants to be true elsewhere, beside what was seen to be true.
pub static EFFECT: Table = Table {
    id: 19,
    name: "effect",
    key: &[int("namespace"), int("definition"), text("name")],
    columns: &[],
    indexes: &[],
};

/// Instances of workflows: their snapshots.
pub static INSTANCE: Table = Table {
    id: 20,
    name: "instance",
    key: &[int("namespace"), int("id")],
    columns: &[int("definition"), int("state")],
    indexes: &[on_disk("instance_definition", &[0, 2, 1]), on_disk("instance_state", &[0, 3, 1])],
};
/// Index of [`INSTANCE`]: namespace, definition, id.
pub const INSTANCE_DEFINITION: usize = 0;
/// Index of [`INSTANCE`]: namespace, state, id.
pub const INSTANCE_STATE: usize = 1;

/// The journals of instances.
pub static JOURNAL: Table = Table {
    id: 21,
    name: "journal",
    key: &[int("namespace"), int("instance"), int("seq")],
    columns: &[],
    indexes: &[],
};

/// What instances have been told and have not yet acted on.
pub static INBOX: Table = Table {
    id: 22,
    name: "inbox",
    key: &[int("namespace"), int("instance"), int("seq")],
    columns: &[],
    indexes: &[],
};

/// What instances wait for; `match_key` is what an event is looked up by.
pub static WAIT: Table = Table {
    id: 23,
    name: "event_wait",
    key: &[int("namespace"), int("instance"), text("name")],
    columns: &[bytes("match_key")],
    indexes: &[on_disk("event_wait_match", &[0, 3])],
};
/// Index of [`WAIT`]: namespace, match_key.
pub const WAIT_MATCH: usize = 0;

/// Events that came in or were sent, in their order; `identity` is the digest of source and id.
pub static EVENT: Table = Table {
    id: 24,
    name: "event",
    key: &[int("namespace"), int("seq")],
    columns: &[bytes("identity"), bytes("match_key")],
    indexes: &[on_disk("event_identity", &[0, 2]), on_disk("event_match", &[0, 3, 1])],
};
/// Index of [`EVENT`]: namespace, identity.
pub const EVENT_IDENTITY: usize = 0;
/// Index of [`EVENT`]: namespace, match_key, seq.
pub const EVENT_MATCH: usize = 1;

/// What each trigger has fired for, so that it fires once; `slot` is a time or the key of an event.
pub static FIRING: Table = Table {
    id: 25,
    name: "firing",
    key: &[int("namespace"), int("definition"), text("name"), bytes("slot")],
    columns: &[int("instance")],
    indexes: &[],
};

/// What falls due for workflows: `kind` says what, `owner` and `name` of whom, `due` when.
pub static TIMER: Table = Table {
    id: 26,
    name: "timer",
    key: &[int("namespace"), int("kind"), int("owner"), text("name")],
    columns: &[int("due")],
    indexes: &[in_memory("timer_due", &[4])],
};
/// Index of [`TIMER`]: due.
pub const TIMER_DUE: usize = 0;

/// All tables; each stands at its own `id`.
pub static ALL: [&Table; 37] = [
    &NAMESPACE,
    &SPEC,
    &SPEC_DATA,
    &UNIT,
    &ATTEMPT,
    &WORKER,
    &HISTORY,
    &REQUEST,
    &RUBBLE,
    &TOKEN,
    &COUNTER,
    &LOCK,
    &NODE,
    &DEFINITION,
    &VERSION,
    &DRAFT,
    &TRIGGER,
    &CATALOG_CHANGE,
    &RUN,
    &EFFECT,
    &INSTANCE,
    &JOURNAL,
    &INBOX,
    &WAIT,
    &EVENT,
    &FIRING,
    &TIMER,
    &MAIL_ACCOUNT,
    &MAIL_PART,
    &AUDIT,
    &AUDIT_HEAD,
    &BLOB,
    &BLOB_PART,
    &BLOB_REF,
    &USER,
    &SESSION,
    &SECRET,
];
