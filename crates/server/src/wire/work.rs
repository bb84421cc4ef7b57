//! What clients get: workers and attempts.

use model::{AttemptStatus, WorkerName};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    WireData, WireTime,
    output::{shown, unit_text},
};
use crate::urls;

/// A worker.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Worker<'a> {
    url: String,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_url: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    child_urls: Vec<String>,
    active: bool,
    mode: &'a str,
    /// Its environment; null if it said none.
    data: Option<WireData>,
    expiration: WireTime,
    last_update: WireTime,
    request_attempts_url: String,
    make_attempt_url: String,
    active_attempts_url: String,
    all_attempts_url: String,
    child_attempts_url: String,
    /// Where attempts are ended and the next ones claimed in one call.
    work_url: String,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(namespace: &model::Namespace, worker: &'a model::Worker) -> Self {
        let url = urls::worker(namespace, &worker.name);
        let other = |name: &WorkerName| urls::worker(namespace, name);
        Self {
            name: worker.name.as_str(),
            parent: worker.parent.as_ref().map(WorkerName::as_str),
            parent_url: worker.parent.as_ref().map(other),
            child_urls: worker.children.iter().map(other).collect(),
            active: worker.active,
            mode: &worker.mode,
            data: shown(&worker.data),
            expiration: WireTime(Some(worker.expiration)),
            last_update: WireTime(Some(worker.last_update)),
            request_attempts_url: format!("{url}/request_attempts"),
            make_attempt_url: format!("{url}/make_attempt"),
            active_attempts_url: format!("{url}/active_attempts"),
            all_attempts_url: format!("{url}/all_attempts"),
            child_attempts_url: format!("{url}/child_attempts"),
            work_url: format!("{url}/work"),
            url,
        }
    }
}

/// An attempt that a list names.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AttemptShort {
    url: String,
    work_unit_url: String,
    worker_url: String,
    start_time: WireTime,
    /// The attempt's id, which is also its token.
    id: u64,
}

impl AttemptShort {
    pub(crate) fn new(namespace: &model::Namespace, attempt: &model::Attempt) -> Self {
        let work_unit_url = urls::unit(namespace, &attempt.spec, &attempt.unit);
        Self {
            url: urls::attempt(&work_unit_url, attempt),
            work_unit_url,
            worker_url: urls::worker(namespace, &attempt.worker),
            start_time: WireTime(Some(attempt.start)),
            id: attempt.id,
        }
    }
}

/// Attempts, oldest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AttemptList {
    attempts: Vec<AttemptShort>,
}

/// An attempt.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Attempt<'a> {
    url: String,
    work_unit_url: String,
    worker_url: String,
    start_time: WireTime,
    /// One of `pending`, `expired`, `finished`, `failed` and `retryable`.
    status: &'static str,
    /// Absent if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<WireData>,
    end_time: WireTime,
    expiration_time: WireTime,
    renew_url: String,
    expire_url: String,
    finish_url: String,
    fail_url: String,
    retry_url: String,
    /// The attempt's id.
    id: u64,
    /// What to send along to change nothing if the lease was lost; the id again.
    token: u64,
    /// The name of its work spec.
    work_spec: &'a str,
    /// The name of its unit, with replacement characters where it is not UTF-8.
    work_unit: String,
    /// That name in base64, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    work_unit_base64: Option<String>,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(namespace: &model::Namespace, attempt: &'a model::Attempt) -> Self {
        let work_unit_url = urls::unit(namespace, &attempt.spec, &attempt.unit);
        let url = urls::attempt(&work_unit_url, attempt);
        let (work_unit, work_unit_base64) = unit_text(&attempt.unit);
        Self {
            work_unit_url,
            worker_url: urls::worker(namespace, &attempt.worker),
            start_time: WireTime(Some(attempt.start)),
            status: AttemptStatus::as_str(attempt.status),
            data: shown(&attempt.data),
            end_time: WireTime(attempt.end),
            expiration_time: WireTime(Some(attempt.expiration)),
            renew_url: format!("{url}/renew"),
            expire_url: format!("{url}/expire"),
            finish_url: format!("{url}/finish"),
            fail_url: format!("{url}/fail"),
            retry_url: format!("{url}/retry"),
            url,
            id: attempt.id,
            token: attempt.id,
            work_spec: attempt.spec.as_str(),
            work_unit,
            work_unit_base64,
        }
    }
}

/// Work that was handed out; all of one work spec.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Claimed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) work_spec_url: Option<String>,
    pub(crate) attempts: Vec<Attempt<'a>>,
}

/// The outcome of each change, and the next work.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Worked<'a> {
    pub(crate) results: Vec<Outcome>,
    pub(crate) attempts: Vec<Attempt<'a>>,
}

/// The outcome of one change.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Outcome {
    ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refused>,
}

/// Why a change was not made.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Refused {
    /// The stable name of the error.
    code: &'static str,
    /// What went wrong.
    message: String,
    /// What to do about it.
    hint: &'static str,
}

impl Outcome {
    pub(crate) fn new(result: &model::Result<()>) -> Self {
        let error = result.as_ref().err().map(|error| {
            let code = error.code();
            Refused { code: code.code, message: error.to_string(), hint: code.hint }
        });
        Self { ok: error.is_none(), error }
    }
}
