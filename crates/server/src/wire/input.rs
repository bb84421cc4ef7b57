//! What clients send. Unknown fields are ignored, and absent or null ones are zero.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::{
    AttemptChange, AttemptRef, Change, Claim, Error, Id, NewUnit as Added, Result, SpecMeta,
    SpecName, UnitName, WorkerName, limits,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SentData, WireTime};

/// A namespace to create.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct NewNamespace {
    /// Its name; absent is the default namespace, whose name is empty.
    pub(crate) name: Option<String>,
}

/// A work spec to create or replace.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct NewSpec {
    /// Its dictionary, which holds its name.
    pub(crate) data: Option<SentData>,
}

/// How the units of a work spec are scheduled.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Meta {
    /// Specs of a higher priority go first.
    pub(crate) priority: i64,
    /// The share among specs of one priority; 0 is never scheduled.
    pub(crate) weight: i64,
    /// Whether scheduling is stopped.
    pub(crate) paused: bool,
    /// Whether a unit is made up when there is none.
    pub(crate) continuous: bool,
    /// Whether the dictionary allows `continuous`; not settable here.
    pub(crate) can_be_continuous: bool,
    /// Memory that a worker must have, in GB.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) min_memory_gb: f64,
    /// Nanoseconds between two made-up units.
    pub(crate) interval: i64,
    /// When the next unit may be made up.
    pub(crate) next_continuous: WireTime,
    /// Most pending units at one time; 0 is no limit.
    pub(crate) max_running: i64,
    /// Most attempts in one claim; 0 is no limit.
    pub(crate) max_attempts_returned: i64,
    /// Most attempts of one unit; 0 is no limit.
    pub(crate) max_retries: i64,
    /// The spec that takes the output of finished units; not settable here.
    pub(crate) next_work_spec_name: String,
    /// Units ready to be claimed, if counts were asked for; not settable.
    pub(crate) available_count: i64,
    /// Units being worked on, if counts were asked for; not settable.
    pub(crate) pending_count: i64,
    /// What runs the units; not settable here.
    pub(crate) runtime: String,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            priority: 0,
            weight: 0,
            paused: false,
            continuous: false,
            can_be_continuous: false,
            min_memory_gb: 0.0,
            interval: 0,
            next_continuous: WireTime(None),
            max_running: 0,
            max_attempts_returned: 0,
            max_retries: 0,
            next_work_spec_name: String::new(),
            available_count: 0,
            pending_count: 0,
            runtime: String::new(),
        }
    }
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Meta {
    pub(crate) fn into_model(self) -> Result<SpecMeta> {
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(SpecMeta {
            priority: self.priority,
            weight: self.weight,
            paused: self.paused,
            continuous: self.continuous,
            can_be_continuous: self.can_be_continuous,
            interval: nanos("interval", self.interval)?,
            next_continuous: self.next_continuous.0,
            max_running: count(self.max_running),
            max_attempts_returned: count(self.max_attempts_returned),
            max_retries: count(self.max_retries),
            min_memory_gb: self.min_memory_gb,
            next_work_spec: self.next_work_spec_name,
            runtime: self.runtime,
        })
    }
}

/// Priority and delay of a unit.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct UnitMeta {
    /// Higher goes first.
    pub(crate) priority: f64,
    /// Not handed out before this time.
    pub(crate) not_before: WireTime,
}

impl UnitMeta {
    pub(crate) fn into_model(self) -> model::UnitMeta {
        model::UnitMeta { priority: self.priority, not_before: self.not_before.0 }
    }
}

/// One unit, or many under `work_units`.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct AddUnits {
    /// Units to add as a whole, in place of the other fields.
    pub(crate) work_units: Option<Vec<NewUnit>>,
    /// The name of the unit.
    name: Option<String>,
    /// The name in base64, where it is not UTF-8.
    name_base64: Option<String>,
    /// Its data; absent is empty.
    data: Option<SentData>,
    /// Priority and delay.
    meta: Option<UnitMeta>,
    /// Nanoseconds from now, in place of `meta.not_before`.
    delay: Option<i64>,
}

impl AddUnits {
    pub(crate) fn into_one(self) -> Result<Added> {
        let Self { work_units: _, name, name_base64, data, meta, delay } = self;
        NewUnit { name, name_base64, data, meta, delay }.into_model()
    }
}

/// A unit to add.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct NewUnit {
    /// Its name.
    name: Option<String>,
    /// Its name in base64, where it is not UTF-8.
    name_base64: Option<String>,
    /// Its data; absent is empty.
    data: Option<SentData>,
    /// Priority and delay.
    meta: Option<UnitMeta>,
    /// Nanoseconds from now, in place of `meta.not_before`.
    delay: Option<i64>,
}

impl NewUnit {
    pub(crate) fn into_model(self) -> Result<Added> {
        Ok(Added {
            name: unit_name(self.name, self.name_base64)?,
            data: self.data.map(SentData::into_model).transpose()?.unwrap_or_default(),
            meta: self.meta.unwrap_or_default().into_model(),
            delay: self.delay.map(|delay| nanos("delay", delay)).transpose()?,
        })
    }
}

fn unit_name(text: Option<String>, base64: Option<String>) -> Result<UnitName> {
    let bytes = match base64 {
        Some(base64) => STANDARD
            .decode(&base64)
            .map_err(|_| Error::bad_input(format!("{base64:?} is not padded base64")))?,
        None => text.unwrap_or_default().into_bytes(),
    };
    UnitName::new(bytes)
}

/// New priorities for the units of a query.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct PriorityChange {
    /// Absent changes nothing.
    pub(crate) meta: Option<UnitMeta>,
}

/// Changes to a unit.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct PutUnit {
    /// `-` detaches the active attempt, so that the unit is ready again.
    pub(crate) active_attempt_url: Option<String>,
    /// Replaces priority and delay.
    pub(crate) meta: Option<UnitMeta>,
}

/// What a worker says of itself.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct PutWorker {
    /// The name of its parent; empty is none, absent leaves it.
    pub(crate) parent: Option<String>,
    /// True updates the worker; false, without `parent`, makes it inactive.
    pub(crate) active: Option<bool>,
    /// What it is doing.
    pub(crate) mode: Option<String>,
    /// Its environment.
    pub(crate) data: Option<SentData>,
    /// When it counts as dead.
    #[serde(default)]
    pub(crate) expiration: WireTime,
    /// When it said so.
    #[serde(default)]
    pub(crate) last_update: WireTime,
}

/// A request for work.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct AttemptRequest {
    /// Memory that the worker has, in GB; 0 is not checked.
    available_gb: Option<f64>,
    /// Nanoseconds of the lease; 0 is the default.
    lifetime: Option<i64>,
    /// How many units at most.
    number_of_work_units: Option<i64>,
    /// Only these specs.
    work_specs: Option<Vec<String>>,
    /// Only specs of these runtimes.
    runtimes: Option<Vec<String>>,
    /// Milliseconds to wait for work if there is none.
    wait_ms: Option<u64>,
}

impl AttemptRequest {
    /// Gives how long to wait for work.
    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms.unwrap_or(0)).min(limits::WAIT_MAX)
    }

    pub(crate) fn into_claim(self, worker: WorkerName) -> Result<Claim> {
        let count = self.number_of_work_units.unwrap_or(0).clamp(1, limits::BATCH_MAX as i64);
        let specs = self.work_specs.unwrap_or_default();
        Ok(Claim {
            worker,
            specs: specs.into_iter().map(SpecName::new).collect::<Result<_>>()?,
            runtimes: self.runtimes.unwrap_or_default(),
            count: u32::try_from(count).unwrap_or(1),
            lifetime: lifetime(self.lifetime)?,
            available_gb: self.available_gb.filter(|gb| *gb > 0.0),
        })
    }
}

/// Reads a lifetime; 0 is the default one.
fn lifetime(lifetime: Option<i64>) -> Result<Option<Duration>> {
    lifetime.filter(|nanos| *nanos != 0).map(|value| nanos("lifetime", value)).transpose()
}

/// A request for an attempt on one unit.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct MakeAttempt {
    /// The name of its work spec.
    work_spec: Option<String>,
    /// The name of the unit.
    work_unit: Option<String>,
    /// The name in base64, where it is not UTF-8.
    work_unit_base64: Option<String>,
    /// Nanoseconds of the lease; 0 is the default.
    lifetime: Option<i64>,
}

impl MakeAttempt {
    pub(crate) fn into_model(self, worker: WorkerName) -> Result<model::MakeAttempt> {
        let unit = model::UnitRef {
            spec: SpecName::new(self.work_spec.unwrap_or_default())?,
            name: unit_name(self.work_unit, self.work_unit_base64)?,
            id: None,
        };
        Ok(model::MakeAttempt { worker, unit, lifetime: lifetime(self.lifetime)? })
    }
}

/// What goes with the renewal or the end of an attempt.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct AttemptCompletion {
    /// New data; absent keeps what there is.
    data: Option<SentData>,
    /// Nanoseconds from now until the renewed lease ends; absent is the default lifetime.
    extend_duration: Option<i64>,
    /// Nanoseconds before the unit is tried again.
    delay: Option<i64>,
    /// The attempt's token: if it lost its lease, nothing at all is changed.
    token: Option<Id>,
}

/// Changes to attempts, and a request for the next ones, in one transaction.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Work {
    /// The changes, in order; each stands by itself.
    #[serde(default)]
    pub(crate) changes: Vec<WorkChange>,
    /// The request, if the worker wants more.
    pub(crate) request: Option<AttemptRequest>,
}

/// A change to one attempt.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct WorkChange {
    /// The name of its work spec.
    work_spec: String,
    /// The name of its unit.
    work_unit: Option<String>,
    /// The name in base64, where it is not UTF-8.
    work_unit_base64: Option<String>,
    /// The attempt's id.
    id: Id,
    /// The attempt's token: if it lost its lease, nothing at all is changed.
    token: Option<Id>,
    /// One of `finish`, `fail`, `retry`, `renew` and `expire`.
    change: String,
    /// New data; absent keeps what there is.
    data: Option<SentData>,
    /// Nanoseconds before the unit is tried again.
    delay: Option<i64>,
    /// Nanoseconds from now until the renewed lease ends; absent is the default lifetime.
    extend_duration: Option<i64>,
}

impl WorkChange {
    pub(crate) fn into_model(self) -> Result<AttemptChange> {
        let attempt = AttemptRef {
            spec: SpecName::new(self.work_spec)?,
            unit: unit_name(self.work_unit, self.work_unit_base64)?,
            id: self.id,
        };
        let Self { token, data, delay, extend_duration, .. } = self;
        let completion = AttemptCompletion { data, extend_duration, delay, token };
        attempt_change(&self.change, attempt, completion)
    }
}

/// Makes the change that a word and its completion ask for.
pub(crate) fn attempt_change(
    word: &str,
    attempt: AttemptRef,
    completion: AttemptCompletion,
) -> Result<AttemptChange> {
    let AttemptCompletion { data, extend_duration, delay, token } = completion;
    let change = match word {
        "finish" => Change::Finish,
        "fail" => Change::Fail,
        "expire" => Change::Expire,
        "retry" => Change::Retry(nanos("delay", delay.unwrap_or(0))?),
        "renew" => Change::Renew(match extend_duration {
            Some(value) => nanos("extend_duration", value)?,
            None => limits::LIFETIME_DEFAULT,
        }),
        _ => {
            return Err(Error::bad_input(format!(
                "unknown change {word:?}: use finish, fail, retry, renew or expire"
            )));
        }
    };
    let data = data.map(SentData::into_model).transpose()?;
    Ok(AttemptChange { attempt, token, data, change })
}

/// Reads a duration in nanoseconds.
pub(crate) fn nanos(what: &str, value: i64) -> Result<Duration> {
    u64::try_from(value)
        .map(Duration::from_nanos)
        .map_err(|_| Error::bad_input(format!("{what} is {value} nanoseconds, less than none")))
}
