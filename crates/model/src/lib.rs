//! The words of Lockstep: names, data, time, limits, errors, commands, queries, events, and the
//! one door ([`Backend`]) through which everything is said.
//!
//! This crate does no I/O and knows no async runtime, no SQL and no HTTP.

mod access;
mod audit;
mod backend;
mod blob;
mod command;
mod data;
mod definition;
mod error;
mod event;
mod instance;
mod item;
mod json;
pub mod limits;
mod lock;
mod mail;
mod name;
mod passed;
mod query;
mod record;
mod role;
mod secret;
mod spec;
mod time;
mod trace;
mod user;
mod wait;

pub use access::{Access, Allowed, Principal, Resource, Scope, Verb};
pub use audit::{
    AuditAnswer, AuditEntry, AuditFilter, AuditHead, AuditQuery, Caller, ChainCheck, hex,
};
pub use backend::{Backend, BoxFuture, Committed, Read, Write};
pub use blob::{BlobAnswer, BlobCommand, BlobId, BlobInfo, BlobQuery, Content};
pub use command::{
    AddUnits, AdminCommand, AttemptChange, Change, ChangeAttempts, Claim, Command, Control,
    MakeAttempt, NewUnit, QueueCommand, Reply, SetUnits, UnitChange, UpdateWorker,
};
pub use data::{Bounds, Data, Datum, Dict};
pub use definition::{
    CatalogChange, Definition, DefinitionAnswer, DefinitionCommand, DefinitionQuery, Pipeline,
    PipelineStage, Publish, Published, Run, Running, Stage, Terms, Trigger, TriggerChanges, Until,
    Version,
};
pub use error::{Error, ErrorCode, Result};
pub use event::{Event, EventBody, RecordKey};
pub use instance::{
    CloudEvent, Explained, Instance, InstanceAnswer, InstanceCommand, InstanceControl,
    InstanceFilter, InstanceQuery, InstanceStatus, JournalEntry, Received, Start, TriggerControl,
};
pub use item::output;
pub use json::{data_from_json, data_to_json, datum_from_json};
pub use lock::{ChangeLocks, LockChange, LockPath};
pub use mail::{MailAccount, MailAnswer, MailCommand, MailPart, MailQuery, RecordRound};
pub use name::{Namespace, SpecName, UnitName, WorkerName, escape, unescape};
pub use passed::PassedOn;
pub use query::{Answer, AttemptsOf, Page, Query, UnitFilter};
pub use record::{
    Attempt, AttemptRef, AttemptStatus, Counts, Id, NamespaceInfo, NodeInfo, Revision, Spec,
    SpecRef, SummaryRow, TokenInfo, Unit, UnitMeta, UnitRef, UnitStatus, Worker,
};
pub use role::Role;
pub use secret::{SecretCommand, SecretInfo, SecretName, SecretValue};
pub use spec::SpecMeta;
pub use time::Time;
pub use trace::{Span, SpanKind, TRACEPARENT, TraceContext, Tracer};
pub use user::{
    Behind, Grant, Holder, Identity, PasswordHash, Session, UserAnswer, UserChange, UserCommand,
    UserInfo, UserName, UserQuery, grants,
};
pub use wait::{Invite, Wait, decision};
