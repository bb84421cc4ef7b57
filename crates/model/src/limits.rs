//! Every limit, in one place; `GET /v1/limits` shows them.

use std::time::Duration;

/// Bytes in the name of a namespace, spec, unit or worker.
pub const NAME_BYTES_MAX: usize = 1_024;
/// Bytes of one data dictionary in its stored form (CBOR).
pub const DATA_BYTES_MAX: usize = 16 << 20;
/// Bytes of an HTTP request body, except where a route says otherwise.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of an HTTP request body on routes that carry unit data.
pub const BODY_BYTES_UNITS_MAX: usize = 16 << 20;
/// Levels of nesting in JSON and CBOR.
pub const DEPTH_MAX: usize = 64;
/// Keys of all maps of one document together.
pub const KEYS_MAX: usize = 10_000;
/// Values in one JSON request body or CBOR document; a value takes many times the room of its
/// text, so that the size of a body alone does not bound the memory that it costs.
pub const VALUES_MAX: usize = 500_000;
/// Bytes of one text or byte string in a document.
pub const STRING_BYTES_MAX: usize = 1 << 20;
/// Items in one page of a list.
pub const PAGE_MAX: u32 = 1_000;
/// Units in one add, attempts in one claim, changes in one call.
pub const BATCH_MAX: usize = 1_000;
/// Commands in one write.
pub const COMMANDS_MAX: usize = 1_000;
/// Units that one query-wide change touches in one transaction; more take several.
pub const SWEEP_MAX: u32 = 1_000;
/// Longest time a claim waits for work.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest time that a publisher waits until a change is effective or settled.
pub const PUBLISH_WAIT_MAX: Duration = Duration::from_secs(10);
/// Lifetime of an attempt that does not say one.
pub const LIFETIME_DEFAULT: Duration = Duration::from_secs(15 * 60);
/// Longest lifetime of an attempt and longest delay.
pub const LIFETIME_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// How long a lock is held that does not say it.
pub const LOCK_DEFAULT: Duration = Duration::from_secs(60);
/// Events in one call.
pub const EVENTS_MAX: usize = 100;
/// Bytes of one event as JSON.
pub const EVENT_BYTES_MAX: usize = 256 << 10;
/// How long an event is kept: for waits that begin after it came, and to know it again.
pub const EVENT_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a run of the pipeline is kept once it is over; that of the last change stays.
pub const RUN_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long an instance is kept once it has ended, unless a server says otherwise.
pub const INSTANCE_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Bytes of the name of a mail account.
pub const MAIL_ACCOUNT_BYTES_MAX: usize = 64;
/// Parts of the state of a mail account in one call.
pub const MAIL_PARTS_MAX: usize = 32;
/// Bytes of one part of the state of a mail account.
pub const MAIL_PART_BYTES_MAX: usize = 256 << 10;
/// Bytes of how a mail account stands.
pub const MAIL_STANDING_BYTES_MAX: usize = 1 << 20;
/// Longest time for which a link works that answers a wait.
pub const INVITE_KEPT_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
/// Links that work at a time for one instance.
pub const INVITES_MAX: usize = 100;
/// Entries of a journal that are gone through again to show one state.
pub const REPLAY_MAX: usize = 5_000;
/// Bytes of what a link says to whoever opens it.
pub const INVITE_NOTE_BYTES_MAX: usize = 4 << 10;
/// Longest time for which a lock is held unless it is kept.
pub const LOCK_MAX: Duration = Duration::from_secs(1_000_000);
/// Bytes of what a row of the audit log says beside who, what and when; more is cut off.
pub const AUDIT_SUMMARY_BYTES_MAX: usize = 2_048;
/// Rows of the audit log that one question looks at.
pub const AUDIT_LOOKED_AT_MAX: u64 = 5_000;
/// Faults of one chain of the audit log that are told one by one.
pub const AUDIT_FAULTS_MAX: usize = 50;
/// Bytes of one blob.
pub const BLOB_BYTES_MAX: u64 = 64 << 20;
/// Bytes of each part of a blob but the last.
pub const BLOB_PART_BYTES: u64 = 1 << 20;
/// Bytes of all blobs of a namespace together.
pub const BLOBS_BYTES_MAX: u64 = 10 << 30;
/// Bytes of the media type of a blob.
pub const BLOB_TYPE_BYTES_MAX: usize = 255;
/// Longest time for the content of a blob to come.
pub const BLOB_READ_MAX: Duration = Duration::from_secs(600);
/// How long content is kept that was not made a blob.
pub const BLOB_UPLOAD_KEPT: Duration = Duration::from_secs(3600);
/// How long a blob is kept, from when it was put or last found referred to.
pub const BLOB_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Bytes of the name of a secret.
pub const SECRET_NAME_BYTES_MAX: usize = 128;
/// Bytes of the value of a secret.
pub const SECRET_BYTES_MAX: usize = 64 << 10;
/// Secrets in one namespace.
pub const SECRETS_MAX: u32 = 1_000;
/// Secrets that one command seals anew.
pub const SECRETS_RESEALED_MAX: u32 = 100;
/// Keys for secrets that one server has.
pub const SECRETS_KEYS_MAX: usize = 16;
/// Bytes of an idempotency key.
pub const REQUEST_ID_BYTES_MAX: usize = 255;
/// How long the answer to an idempotency key is kept.
pub const REQUEST_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Committed batches that the history of a namespace keeps.
pub const HISTORY_MAX: u64 = 100_000;
/// Events in one answer about several namespaces.
pub const SINCE_MAX: u32 = 256;
/// Bytes of all HTTP request headers together.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// Time for a client to end its TLS handshake.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Time for a client to send its request headers.
pub const HEADER_READ_MAX: Duration = Duration::from_secs(10);
/// Time for a client to send its request body.
pub const BODY_READ_MAX: Duration = Duration::from_secs(30);
/// Time that a connection may stay open without a request.
pub const IDLE_MAX: Duration = Duration::from_secs(75);
/// Bytes of one CBOR-RPC request; a batch of units with their data is one.
pub const RPC_REQUEST_BYTES_MAX: usize = 16 << 20;
/// Bytes of one CBOR-RPC answer.
pub const RPC_ANSWER_BYTES_MAX: usize = 64 << 20;
/// Time that a CBOR-RPC connection may stay open without a request; a worker keeps its connection
/// while it works.
pub const RPC_IDLE_MAX: Duration = Duration::from_secs(3_600);
/// Open connections, and those of one peer address.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Open connections of one peer address other than loopback.
pub const CONNECTIONS_PER_PEER_MAX: usize = 128;
/// Writes that one node has passed on to another at a time, and in one message at most; what is
/// more is done by itself.
pub const PASSED_ON_MAX: usize = 512;
/// The same of claims that may wait, each of which takes a connection.
pub const PASSED_ON_WAITING_MAX: usize = 48;
/// Requests of one token, or of one peer address without a token, in a second; `serve
/// --rate-limit` sets another number.
pub const REQUESTS_PER_SECOND_MAX: u32 = 1_000;
/// Requests of one caller at once, after a rest.
pub const REQUESTS_AT_ONCE_MAX: u32 = 2_000;
/// Wrong tokens from one peer address in a second.
pub const WRONG_TOKENS_PER_SECOND_MAX: u32 = 10;
/// Wrong tokens from one peer address at once, after a rest.
pub const WRONG_TOKENS_AT_ONCE_MAX: u32 = 50;
/// Callers whose requests are counted at a time; of more, those who asked least are forgotten.
pub const CALLERS_COUNTED_MAX: usize = 4_096;

/// Pages of the dashboard that one server keeps up to date at a time.
pub const LIVE_PAGES_MAX: usize = 256;
/// Browsers that are signed in as one user or with one token at a time; the one that is so for
/// longest goes first.
pub const SESSIONS_MAX: usize = 32;
/// How long a browser stays signed in.
pub const SESSION_KEPT: Duration = Duration::from_secs(12 * 3600);
/// How long a browser stays signed in that asks for nothing.
pub const SESSION_IDLE: Duration = Duration::from_secs(2 * 3600);
/// How often it is noted that a session is in use.
pub const SESSION_SEEN_EVERY: Duration = Duration::from_secs(300);
/// Bytes of the name of a user.
pub const USER_NAME_BYTES_MAX: usize = 128;
/// Roles of one user.
pub const GRANTS_MAX: usize = 64;
/// Characters of a password at least.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// KiB of memory that the hash of a password may take.
pub const PASSWORD_KIB_MAX: u32 = 64 << 10;
/// Passes, and lanes, that the hash of a password may take.
pub const PASSWORD_PASSES_MAX: u32 = 8;
/// Passwords that one server hashes at a time; others wait.
pub const PASSWORDS_AT_A_TIME: usize = 2;
/// Wrong passwords for one user, or from one peer address, at once after a rest.
pub const WRONG_PASSWORDS_AT_ONCE_MAX: u32 = 10;
/// Time in which one more wrong password may come.
pub const WRONG_PASSWORD_EVERY: Duration = Duration::from_secs(10);
/// How long a visitor may take at an identity provider.
pub const IDENTITY_WAIT_MAX: Duration = Duration::from_secs(600);
/// Bytes of one answer of an identity provider.
pub const IDENTITY_BYTES_MAX: usize = 256 << 10;
/// Rows of the audit log that a page of the dashboard follows to see whether they are whole.
pub const AUDIT_FOLLOWED_MAX: u64 = 50_000;

/// Lists every limit as (name, value, unit) for people and for `GET /v1/limits`.
#[expect(clippy::too_many_lines, reason = "a table reads best in one piece")]
pub fn all() -> Vec<(&'static str, u64, &'static str)> {
    let bytes = "bytes";
    vec![
        ("name_bytes_max", NAME_BYTES_MAX as u64, bytes),
        ("data_bytes_max", DATA_BYTES_MAX as u64, bytes),
        ("body_bytes_max", BODY_BYTES_MAX as u64, bytes),
        ("body_bytes_units_max", BODY_BYTES_UNITS_MAX as u64, bytes),
        ("depth_max", DEPTH_MAX as u64, "levels"),
        ("keys_max", KEYS_MAX as u64, "keys"),
        ("values_max", VALUES_MAX as u64, "values"),
        ("string_bytes_max", STRING_BYTES_MAX as u64, bytes),
        ("page_max", u64::from(PAGE_MAX), "items"),
        ("batch_max", BATCH_MAX as u64, "items"),
        ("commands_max", COMMANDS_MAX as u64, "items"),
        ("sweep_max", u64::from(SWEEP_MAX), "units"),
        ("wait_max", WAIT_MAX.as_secs(), "seconds"),
        ("publish_wait_max", PUBLISH_WAIT_MAX.as_secs(), "seconds"),
        ("lifetime_default", LIFETIME_DEFAULT.as_secs(), "seconds"),
        ("lifetime_max", LIFETIME_MAX.as_secs(), "seconds"),
        ("lock_default", LOCK_DEFAULT.as_secs(), "seconds"),
        ("lock_max", LOCK_MAX.as_secs(), "seconds"),
        ("audit_summary_bytes_max", AUDIT_SUMMARY_BYTES_MAX as u64, bytes),
        ("audit_looked_at_max", AUDIT_LOOKED_AT_MAX, "rows"),
        ("audit_faults_max", AUDIT_FAULTS_MAX as u64, "faults"),
        ("blob_bytes_max", BLOB_BYTES_MAX, bytes),
        ("blob_part_bytes", BLOB_PART_BYTES, bytes),
        ("blobs_bytes_max", BLOBS_BYTES_MAX, bytes),
        ("blob_type_bytes_max", BLOB_TYPE_BYTES_MAX as u64, bytes),
        ("blob_read_max", BLOB_READ_MAX.as_secs(), "seconds"),
        ("blob_upload_kept", BLOB_UPLOAD_KEPT.as_secs(), "seconds"),
        ("blob_kept", BLOB_KEPT.as_secs(), "seconds"),
        ("secret_name_bytes_max", SECRET_NAME_BYTES_MAX as u64, bytes),
        ("secret_bytes_max", SECRET_BYTES_MAX as u64, bytes),
        ("secrets_max", u64::from(SECRETS_MAX), "secrets"),
        ("secrets_resealed_max", u64::from(SECRETS_RESEALED_MAX), "secrets"),
        ("secrets_keys_max", SECRETS_KEYS_MAX as u64, "keys"),
        ("request_id_bytes_max", REQUEST_ID_BYTES_MAX as u64, bytes),
        ("request_kept", REQUEST_KEPT.as_secs(), "seconds"),
        ("event_kept", EVENT_KEPT.as_secs(), "seconds"),
        ("instance_kept", INSTANCE_KEPT.as_secs(), "seconds"),
        ("invite_kept_max", INVITE_KEPT_MAX.as_secs(), "seconds"),
        ("invites_max", INVITES_MAX as u64, "links"),
        ("invite_note_bytes_max", INVITE_NOTE_BYTES_MAX as u64, bytes),
        ("replay_max", REPLAY_MAX as u64, "entries"),
        ("run_kept", RUN_KEPT.as_secs(), "seconds"),
        ("history_max", HISTORY_MAX, "commits"),
        ("since_max", u64::from(SINCE_MAX), "events"),
        ("header_bytes_max", HEADER_BYTES_MAX as u64, bytes),
        ("handshake_max", HANDSHAKE_MAX.as_secs(), "seconds"),
        ("header_read_max", HEADER_READ_MAX.as_secs(), "seconds"),
        ("body_read_max", BODY_READ_MAX.as_secs(), "seconds"),
        ("idle_max", IDLE_MAX.as_secs(), "seconds"),
        ("rpc_request_bytes_max", RPC_REQUEST_BYTES_MAX as u64, bytes),
        ("rpc_answer_bytes_max", RPC_ANSWER_BYTES_MAX as u64, bytes),
        ("rpc_idle_max", RPC_IDLE_MAX.as_secs(), "seconds"),
        ("connections_max", CONNECTIONS_MAX as u64, "connections"),
        ("connections_per_peer_max", CONNECTIONS_PER_PEER_MAX as u64, "connections"),
        ("passed_on_max", PASSED_ON_MAX as u64, "writes"),
        ("passed_on_waiting_max", PASSED_ON_WAITING_MAX as u64, "writes"),
        ("requests_per_second_max", REQUESTS_PER_SECOND_MAX.into(), "requests"),
        ("requests_at_once_max", REQUESTS_AT_ONCE_MAX.into(), "requests"),
        ("wrong_tokens_per_second_max", WRONG_TOKENS_PER_SECOND_MAX.into(), "requests"),
        ("wrong_tokens_at_once_max", WRONG_TOKENS_AT_ONCE_MAX.into(), "requests"),
        ("callers_counted_max", CALLERS_COUNTED_MAX as u64, "callers"),
        ("live_pages_max", LIVE_PAGES_MAX as u64, "pages"),
        ("sessions_max", SESSIONS_MAX as u64, "sessions"),
        ("session_kept", SESSION_KEPT.as_secs(), "seconds"),
        ("session_idle", SESSION_IDLE.as_secs(), "seconds"),
        ("session_seen_every", SESSION_SEEN_EVERY.as_secs(), "seconds"),
        ("user_name_bytes_max", USER_NAME_BYTES_MAX as u64, bytes),
        ("grants_max", GRANTS_MAX as u64, "roles"),
        ("password_chars_min", PASSWORD_CHARS_MIN as u64, "characters"),
        ("password_bytes_max", PASSWORD_BYTES_MAX as u64, bytes),
        ("password_kib_max", PASSWORD_KIB_MAX.into(), "KiB"),
        ("password_passes_max", PASSWORD_PASSES_MAX.into(), "passes"),
        ("passwords_at_a_time", PASSWORDS_AT_A_TIME as u64, "passwords"),
        ("wrong_passwords_at_once_max", WRONG_PASSWORDS_AT_ONCE_MAX.into(), "passwords"),
        ("wrong_password_every", WRONG_PASSWORD_EVERY.as_secs(), "seconds"),
        ("identity_wait_max", IDENTITY_WAIT_MAX.as_secs(), "seconds"),
        ("identity_bytes_max", IDENTITY_BYTES_MAX as u64, bytes),
        ("audit_followed_max", AUDIT_FOLLOWED_MAX, "rows"),
    ]
}
