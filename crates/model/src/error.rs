//! What can go wrong, said so that a caller knows what to do.

mod code;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use code::ErrorCode;

/// The result of anything that can be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal. Each variant has a stable [`ErrorCode`], a message and a hint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Error {
    /// A work spec dictionary has no name.
    #[error("No 'name' key in work spec")]
    NoWorkSpecName,
    /// The name of a work spec dictionary is not text.
    #[error("Work spec 'name' must be a string")]
    BadWorkSpecName,
    /// New data for a work spec carries another name.
    #[error("Cannot change work spec 'name'")]
    ChangedName,
    /// A special key of a work spec has a value of the wrong type.
    #[error("work spec key {key:?} must be {expected}, not {found}")]
    BadWorkSpecKey {
        /// The key.
        key: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The attempt is no longer its unit's current one.
    #[error("No longer the active attempt")]
    LostLease,
    /// The attempt has already ended.
    #[error("Attempt is not pending")]
    NotPending,
    /// The record with this incarnation id was deleted.
    #[error("Object no longer exists")]
    Gone,
    /// There is no such namespace.
    #[error("No such namespace {0:?}")]
    NoSuchNamespace(String),
    /// There is no such work spec.
    #[error("No such work spec {0}")]
    NoSuchWorkSpec(String),
    /// There is no such work unit.
    #[error("No such work unit {0:?}")]
    NoSuchWorkUnit(String),
    /// There is no such attempt.
    #[error("No such attempt {0}")]
    NoSuchAttempt(String),
    /// There is no such worker.
    #[error("No such worker {0:?}")]
    NoSuchWorker(String),
    /// There is no such token.
    #[error("No such token {0:?}")]
    NoSuchToken(String),
    /// There is no such user.
    #[error("No such user {0:?}")]
    NoSuchUser(String),
    /// There is a user of that name.
    #[error("there is a user {0:?} already")]
    UserExists(String),
    /// There is no such workflow definition.
    #[error("No such definition {0:?}")]
    NoSuchDefinition(String),
    /// There is no such version of a definition, or none that is published.
    #[error("No such version of definition {definition:?}: {version}")]
    NoSuchVersion {
        /// The definition.
        definition: String,
        /// The version.
        version: String,
    },
    /// There is no draft of a definition.
    #[error("No draft of definition {0:?}")]
    NoSuchDraft(String),
    /// There is no such instance of a workflow.
    #[error("No such instance {0}")]
    NoSuchInstance(String),
    /// There is no such trigger of a definition.
    #[error("No such trigger {0:?}")]
    NoSuchTrigger(String),
    /// There is no such run of the pipeline.
    #[error("No such run {0}")]
    NoSuchRun(u64),
    /// There is no such mail account.
    #[error("No such mail account {0:?}")]
    NoSuchMailAccount(String),
    /// There is no such blob.
    #[error("No such blob {0}")]
    NoSuchBlob(String),
    /// There is no such secret.
    #[error("No such secret {0:?}")]
    NoSuchSecret(String),
    /// The server has no key under which secrets could be sealed.
    #[error("this server has no key for secrets, so it seals and opens none")]
    NoSecretsKey,
    /// What is sealed cannot be opened: its key is not there, or it was tampered with.
    #[error("{0}")]
    SecretNotOpened(String),
    /// A document cannot be published, for each of these reasons.
    #[error("the definition cannot be used: {}", .0.join("; "))]
    BadDefinition(Vec<String>),
    /// A definition is not at the revision that the caller saw.
    #[error("definition {name:?} is at revision {revision}, not at {base}")]
    DefinitionConflict {
        /// The definition.
        name: String,
        /// Where it is.
        revision: u64,
        /// Where the caller believed it to be.
        base: u64,
    },
    /// A version was published before and says something else.
    #[error("version {version} of definition {definition:?} was published with other content")]
    VersionConflict {
        /// The definition.
        definition: String,
        /// The version.
        version: String,
    },
    /// A version is published, or instances follow it.
    #[error("version {version} of definition {definition:?} is in use: {by}")]
    VersionInUse {
        /// The definition.
        definition: String,
        /// The version.
        version: String,
        /// By what.
        by: String,
    },
    /// Another definition has the path of a hook.
    #[error("the hook path {route:?} belongs to definition {owner:?}")]
    RouteTaken {
        /// The path.
        route: String,
        /// The definition that has it.
        owner: String,
    },
    /// A stage that was added to the pipeline refused a change.
    #[error("stage {stage:?} refuses it: {why}")]
    Refused {
        /// The stage.
        stage: String,
        /// Why, in its own words.
        why: String,
    },
    /// A work unit is not a list (worker protocols only).
    #[error("work unit not a list")]
    WorkUnitNotList,
    /// A work unit lacks its name or data (worker protocols only).
    #[error("too few parameters to work unit")]
    WorkUnitTooShort,
    /// A priority is not a number.
    #[error("priority must be a number")]
    BadPriority,
    /// The input cannot be understood.
    #[error("{0}")]
    BadInput(String),
    /// The input is larger than a limit.
    #[error("{what} is {size}, more than {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How large it is.
        size: u64,
        /// How large it may be.
        limit: u64,
    },
    /// A lock is held, or is not held by the one who asks.
    #[error("{0}")]
    LockConflict(String),
    /// The idempotency key was used for another request.
    #[error("idempotency key {0:?} was used for another request")]
    KeyReused(String),
    /// The history no longer reaches back that far.
    #[error("history starts after revision {0}")]
    HistoryTrimmed(u64),
    /// The caller did not prove who it is.
    #[error("{0}")]
    Unauthenticated(String),
    /// The caller may not do this.
    #[error("{0}")]
    Denied(String),
    /// The caller asks too often.
    #[error("too many {what}; wait {seconds} s")]
    TooManyRequests {
        /// What there is too much of.
        what: String,
        /// How long to wait.
        seconds: u64,
    },
    /// The store or server cannot answer just now.
    #[error("{0}")]
    Unavailable(String),
    /// The disk is full, so nothing can be written.
    #[error("storage is full: {0}")]
    StorageFull(String),
    /// A defect in Lockstep itself.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// Says that input cannot be understood.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::BadInput(message.into())
    }

    /// Says that something is over its limit.
    pub fn too_large(what: &str, size: usize, limit: usize) -> Self {
        Self::TooLarge { what: what.to_owned(), size: size as u64, limit: limit as u64 }
    }
}
