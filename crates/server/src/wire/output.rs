//! What clients get: namespaces, work specs, units, and the rest.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::{SpecName, UnitName, UnitStatus};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Meta, UnitMeta, WireData, WireTime};
use crate::urls::{self, FILTER};

/// Where everything starts.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Root {
    pub(crate) url: &'static str,
    pub(crate) summary_url: &'static str,
    pub(crate) namespaces_url: &'static str,
    /// A URL template.
    pub(crate) namespace_url: &'static str,
}

/// A resource that a list names.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Named<'a> {
    pub(crate) url: String,
    pub(crate) name: &'a str,
}

/// All namespaces, in name order.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NamespaceList {
    namespaces: Vec<Named<'static>>,
}

/// The work specs of a namespace, in name order.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SpecList {
    work_specs: Vec<Named<'static>>,
}

/// The workers of a namespace, in name order.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WorkerList {
    workers: Vec<Named<'static>>,
}

/// A unit that a list names.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NamedUnit {
    pub(crate) url: String,
    /// The name, with replacement characters where it is not UTF-8.
    name: String,
    /// The name in base64, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_base64: Option<String>,
}

impl NamedUnit {
    pub(crate) fn new(spec_url: &str, name: &UnitName) -> Self {
        let (text, base64) = unit_text(name);
        Self { url: urls::unit_in(spec_url, name), name: text, name_base64: base64 }
    }
}

/// Gives a unit's name as text, and as base64 where text cannot hold it.
pub(super) fn unit_text(name: &UnitName) -> (String, Option<String>) {
    match std::str::from_utf8(name.as_bytes()) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (name.to_string(), Some(STANDARD.encode(name.as_bytes()))),
    }
}

/// Units of a work spec, in bytewise name order.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UnitList {
    pub(crate) work_units: Vec<NamedUnit>,
}

/// The unit that was added, or all of them under `work_units`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes answers that are either of two other shapes")]
pub(crate) struct Added {
    url: Option<String>,
    name: Option<String>,
    name_base64: Option<String>,
    work_units: Option<Vec<NamedUnit>>,
}

/// A namespace.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Namespace<'a> {
    url: String,
    name: &'a str,
    summary_url: String,
    work_specs_url: String,
    /// A URL template.
    work_spec_url: String,
    workers_url: String,
    /// A URL template.
    worker_url: String,
}

impl<'a> Namespace<'a> {
    pub(crate) fn new(namespace: &'a model::Namespace) -> Self {
        let url = urls::namespace(namespace);
        Self {
            name: namespace.as_str(),
            summary_url: format!("{url}/summary"),
            work_specs_url: format!("{url}/work_spec"),
            work_spec_url: format!("{url}/work_spec/{{spec}}"),
            workers_url: format!("{url}/worker"),
            worker_url: format!("{url}/worker/{{worker}}"),
            url,
        }
    }
}

/// A work spec.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Spec<'a> {
    url: String,
    name: &'a str,
    data: WireData,
    summary_url: String,
    work_units_url: String,
    /// A URL template.
    work_unit_query_url: String,
    /// A URL template.
    work_unit_url: String,
    work_unit_counts_url: String,
    /// A URL template.
    work_unit_change_url: String,
    /// A URL template.
    work_unit_adjust_url: String,
    /// A URL template: where the meta is, not the meta itself.
    meta: String,
}

impl<'a> Spec<'a> {
    pub(crate) fn new(namespace: &model::Namespace, spec: &'a model::Spec) -> Self {
        let url = urls::spec(namespace, &spec.name);
        Self {
            name: spec.name.as_str(),
            data: WireData(spec.data.clone()),
            summary_url: format!("{url}/summary"),
            work_units_url: format!("{url}/work_unit"),
            work_unit_query_url: format!("{url}/work_unit{FILTER}"),
            work_unit_url: format!("{url}/work_unit/{{unit}}"),
            work_unit_counts_url: format!("{url}/counts"),
            work_unit_change_url: format!("{url}/change{FILTER}"),
            work_unit_adjust_url: format!("{url}/adjust{FILTER}"),
            meta: format!("{url}/meta{{?counts}}"),
            url,
        }
    }
}

impl Meta {
    pub(crate) fn new(spec: &model::Spec, with_counts: bool) -> Self {
        let meta = &spec.meta;
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let shown = |value: u64| if with_counts { count(value) } else { 0 };
        Self {
            priority: meta.priority,
            weight: meta.weight,
            paused: meta.paused,
            continuous: meta.continuous,
            can_be_continuous: meta.can_be_continuous,
            min_memory_gb: meta.min_memory_gb,
            interval: i64::try_from(meta.interval.as_nanos()).unwrap_or(i64::MAX),
            next_continuous: WireTime(meta.next_continuous),
            max_running: count(meta.max_running),
            max_attempts_returned: count(meta.max_attempts_returned),
            max_retries: count(meta.max_retries),
            next_work_spec_name: meta.next_work_spec.clone(),
            available_count: shown(spec.counts.available),
            pending_count: shown(spec.counts.pending),
            runtime: meta.runtime.clone(),
        }
    }
}

/// Units by status; those that are none are left out.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct Counts {
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delayed: Option<u64>,
}

impl Counts {
    pub(crate) fn new(counts: &model::Counts) -> Self {
        let shown = |status| Some(counts.of(status)).filter(|count| *count > 0);
        Self {
            available: shown(UnitStatus::Available),
            pending: shown(UnitStatus::Pending),
            finished: shown(UnitStatus::Finished),
            failed: shown(UnitStatus::Failed),
            delayed: shown(UnitStatus::Delayed),
        }
    }
}

/// How many units were deleted.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Deleted {
    #[serde(rename = "Deleted")]
    pub(crate) deleted: u64,
}

/// A work unit.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Unit {
    url: String,
    /// The name, with replacement characters where it is not UTF-8.
    name: String,
    /// The name in base64, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_base64: Option<String>,
    /// The active attempt's data, or the unit's own; absent if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<WireData>,
    meta: UnitMeta,
    /// One of `available`, `pending`, `finished`, `failed` and `delayed`.
    status: &'static str,
    work_spec_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_attempt_url: Option<String>,
    attempts_url: String,
}

impl Unit {
    pub(crate) fn new(namespace: &model::Namespace, unit: &model::Unit) -> Self {
        let work_spec_url = urls::spec(namespace, &unit.spec);
        let url = urls::unit_in(&work_spec_url, &unit.name);
        let (name, name_base64) = unit_text(&unit.name);
        Self {
            name,
            name_base64,
            data: shown(&unit.data),
            meta: UnitMeta {
                priority: unit.meta.priority,
                not_before: WireTime(unit.meta.not_before),
            },
            status: unit.status.as_str(),
            work_spec_url,
            active_attempt_url: unit.active.as_ref().map(|active| urls::attempt(&url, active)),
            attempts_url: format!("{url}/attempts"),
            url,
        }
    }
}

/// Leaves empty data out.
pub(super) fn shown(data: &model::Data) -> Option<WireData> {
    (!data.is_empty()).then(|| WireData(data.clone()))
}

/// Units of one work spec in one status.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SummaryRow<'a> {
    namespace: &'a str,
    work_spec: &'a str,
    status: &'static str,
    count: u64,
}

impl<'a> SummaryRow<'a> {
    pub(crate) fn new(row: &'a model::SummaryRow) -> Self {
        Self {
            namespace: row.namespace.as_str(),
            work_spec: SpecName::as_str(&row.spec),
            status: row.status.as_str(),
            count: row.count,
        }
    }
}

/// Whether the server can be used.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    /// `ok`, or what is wrong.
    pub(crate) status: &'static str,
}

/// What program answers.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Version {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

/// Every limit that this server has.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LimitList {
    pub(crate) limits: Vec<LimitRow>,
}

/// A limit.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LimitRow {
    pub(crate) name: &'static str,
    pub(crate) value: u64,
    pub(crate) unit: &'static str,
}
