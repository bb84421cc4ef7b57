//! What can go wrong, said so that a caller knows what to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// The stable name of a kind of failure, as it stands in replies and in the book: of an [`Error`],
/// or of what only HTTP or only the command line knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode {
    /// Lockstep's own code, such as `lost_lease`.
    pub code: &'static str,
    /// The ancestor's code for its media types, such as `ErrLostLease`, or `error`.
    pub ancestor: &'static str,
    /// The HTTP status; 0 for what only the command line says.
    pub status: u16,
    /// What to do about it.
    pub hint: &'static str,
}

impl ErrorCode {
    /// The URL does not take this HTTP method.
    pub const METHOD_NOT_ALLOWED: Self =
        row("method_not_allowed", "error", 405, "use one of the methods in the Allow header");
    /// The answer has none of the media types that the client accepts.
    pub const NOT_ACCEPTABLE: Self = row("not_acceptable", "error", 406, "accept application/json");
    /// The request body did not arrive in time.
    pub const REQUEST_TIMEOUT: Self =
        row("request_timeout", "error", 408, "send the body faster, or send less at once");
    /// The request body is not JSON by its headers.
    pub const UNSUPPORTED_MEDIA_TYPE: Self = row(
        "unsupported_media_type",
        "error",
        415,
        "send JSON with \"Content-Type: application/json\", without content encoding",
    );
    /// The command line, a setting or a file cannot be used.
    pub const USAGE: Self =
        row("usage", "error", 0, "correct the command line; --help shows what it takes");
    /// The outcome is not what it has to be.
    pub const DIFFERS: Self =
        row("differs", "error", 0, "read what differed; the figures stand above the message");
    /// Something outside of Lockstep failed.
    pub const FAILED: Self =
        row("failed", "error", 0, "correct what the message names, and try again");
}

/// One row of the error table.
const fn row(
    code: &'static str,
    ancestor: &'static str,
    status: u16,
    hint: &'static str,
) -> ErrorCode {
    ErrorCode { code, ancestor, status, hint }
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

    /// Gives the code, HTTP status and hint of this kind of error.
    #[expect(clippy::too_many_lines, reason = "a table reads best in one piece")]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoWorkSpecName => row(
                "no_work_spec_name",
                "ErrNoWorkSpecName",
                400,
                "give the work spec a \"name\" key with a text value",
            ),
            Self::BadWorkSpecName => row(
                "bad_work_spec_name",
                "ErrBadWorkSpecName",
                400,
                "make the value of \"name\" a text",
            ),
            Self::ChangedName => row(
                "changed_name",
                "ErrChangedName",
                409,
                "keep the name, or create a new work spec under the other name",
            ),
            Self::BadWorkSpecKey { .. } => row(
                "bad_work_spec_key",
                "error",
                400,
                "correct the value of that key; nothing was changed",
            ),
            Self::LostLease => row(
                "lost_lease",
                "ErrLostLease",
                409,
                "stop working on this unit: another attempt has it or it was released",
            ),
            Self::NotPending => row(
                "not_pending",
                "ErrNotPending",
                409,
                "the attempt has already ended; look at its status",
            ),
            Self::Gone => {
                row("gone", "ErrGone", 410, "the record was deleted; look it up by name again")
            }
            Self::NoSuchNamespace(_) => {
                row("no_such_namespace", "error", 404, "check the name, or create the namespace")
            }
            Self::NoSuchWorkSpec(_) => row(
                "no_such_work_spec",
                "ErrNoSuchWorkSpec",
                404,
                "check the name, or create the work spec first",
            ),
            Self::NoSuchWorkUnit(_) => row(
                "no_such_work_unit",
                "ErrNoSuchWorkUnit",
                404,
                "check the name; the unit may have been deleted",
            ),
            Self::NoSuchAttempt(_) => row(
                "no_such_attempt",
                "error",
                404,
                "check the attempt id; its unit may have been deleted",
            ),
            Self::NoSuchWorker(_) => {
                row("no_such_worker", "error", 404, "check the name, or register the worker first")
            }
            Self::NoSuchToken(_) => {
                row("no_such_token", "error", 404, "list the tokens to see their ids")
            }
            Self::WorkUnitNotList => row(
                "work_unit_not_list",
                "ErrWorkUnitNotList",
                400,
                "give each work unit as a list of name and data",
            ),
            Self::WorkUnitTooShort => row(
                "work_unit_too_short",
                "ErrWorkUnitTooShort",
                400,
                "give each work unit at least a name and data",
            ),
            Self::BadPriority => {
                row("bad_priority", "ErrBadPriority", 400, "give the priority as a number")
            }
            Self::BadInput(_) => row("bad_input", "error", 400, "correct the request"),
            Self::TooLarge { .. } => row(
                "too_large",
                "error",
                413,
                "send less at once; GET /v1/limits shows every limit",
            ),
            Self::LockConflict(_) => {
                row("lock_conflict", "error", 409, "wait until the lock is given back or runs out")
            }
            Self::KeyReused(_) => {
                row("key_reused", "error", 409, "use a new idempotency key for each new request")
            }
            Self::HistoryTrimmed(_) => row(
                "history_trimmed",
                "error",
                410,
                "read the present state again and follow from its revision",
            ),
            Self::Unauthenticated(_) => row(
                "unauthenticated",
                "error",
                401,
                "send a token as \"Authorization: Bearer TOKEN\"",
            ),
            Self::Denied(_) => {
                row("denied", "error", 403, "use a token whose scopes and namespace allow this")
            }
            Self::TooManyRequests { .. } => row(
                "too_many_requests",
                "error",
                429,
                "wait as long as Retry-After says, and ask less often or for more at once",
            ),
            Self::Unavailable(_) => row("unavailable", "error", 503, "try again in a moment"),
            Self::StorageFull(_) => {
                row("storage_full", "error", 507, "free disk space; reads keep working meanwhile")
            }
            Self::Internal(_) => row(
                "internal",
                "error",
                500,
                "this is a defect in Lockstep; please report it with the server's log",
            ),
        }
    }
}
