//! The table of what can go wrong: stable codes, HTTP statuses, and what to do.

use super::Error;

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
            Self::NoSuchUser(_) => {
                row("no_such_user", "error", 404, "list the users to see their names")
            }
            Self::UserExists(_) => row(
                "user_exists",
                "error",
                409,
                "choose another name, or change the user that there is",
            ),
            Self::NoSuchDefinition(_) => row(
                "no_such_definition",
                "error",
                404,
                "check the name, or publish the definition first",
            ),
            Self::NoSuchVersion { .. } => row(
                "no_such_version",
                "error",
                404,
                "list the versions of the definition; perhaps none is published",
            ),
            Self::NoSuchDraft(_) => {
                row("no_such_draft", "error", 404, "check the name, or save a draft first")
            }
            Self::NoSuchInstance(_) => {
                row("no_such_instance", "error", 404, "list the instances to see their ids")
            }
            Self::NoSuchTrigger(_) => {
                row("no_such_trigger", "error", 404, "list the triggers to see their names")
            }
            Self::NoSuchRun(_) => {
                row("no_such_run", "error", 404, "list the runs to see their ids")
            }
            Self::NoSuchMailAccount(_) => row(
                "no_such_mail_account",
                "error",
                404,
                "check the name, or start a server that has the account's file",
            ),
            Self::NoSuchBlob(_) => row(
                "no_such_blob",
                "error",
                404,
                "put it again; a blob goes a day after nothing refers to it",
            ),
            Self::NoSuchSecret(_) => {
                row("no_such_secret", "error", 404, "list the secrets to see their names")
            }
            Self::NoSecretsKey => row(
                "no_secrets_key",
                "error",
                409,
                "make a key with `lockstep secret key`, and start the server with --secrets-key",
            ),
            Self::SecretNotOpened(_) => row(
                "secret_not_opened",
                "error",
                409,
                "give the server the key that it was sealed under, or set the secret again",
            ),
            Self::BadDefinition(_) => row(
                "bad_definition",
                "error",
                400,
                "correct the document; each problem says its line and column",
            ),
            Self::DefinitionConflict { .. } => row(
                "definition_conflict",
                "error",
                409,
                "look at the definition as it is now, and decide again",
            ),
            Self::VersionConflict { .. } => row(
                "version_conflict",
                "error",
                409,
                "give the document another version; what was published never changes",
            ),
            Self::VersionInUse { .. } => row(
                "version_in_use",
                "error",
                409,
                "publish another version, or wait until its instances have ended",
            ),
            Self::RouteTaken { .. } => row(
                "route_taken",
                "error",
                409,
                "choose another path, or retract the definition that has it",
            ),
            Self::Refused { .. } => {
                row("refused", "error", 422, "do what the stage asks for, and publish again")
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
