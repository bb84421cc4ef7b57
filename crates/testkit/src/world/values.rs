//! Short ways to write down names, data, filters and spans.

use std::time::Duration;

use model::{
    Claim, Data, Datum, Dict, Error, Namespace, NewUnit, Result, SpecName, Unit, UnitFilter,
    UnitMeta, UnitName, UnitStatus, WorkerName, data_from_json,
};
use serde_json::Value;

#[track_caller]
pub(super) fn namespace(name: &str) -> Namespace {
    Namespace::new(name).expect("a namespace name")
}

/// Makes the name of a spec.
#[track_caller]
pub fn spec_name(name: &str) -> SpecName {
    SpecName::new(name).expect("a work spec name")
}

/// Makes the name of a unit.
#[track_caller]
pub fn name(name: impl AsRef<[u8]>) -> UnitName {
    UnitName::new(name.as_ref()).expect("a work unit name")
}

/// Makes the name of a worker.
#[track_caller]
pub fn worker_name(name: &str) -> WorkerName {
    WorkerName::new(name).expect("a worker name")
}

/// Makes data from JSON.
#[track_caller]
pub fn data(value: &Value) -> Data {
    data_from_json(value).expect("data as JSON")
}

/// Makes data from values that JSON cannot say.
#[track_caller]
pub fn dict_data<const N: usize>(pairs: [(&str, Datum); N]) -> Data {
    let dict: Dict = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Data::from_dict(&dict).expect("data within the limits")
}

/// Makes a text value.
pub fn text(value: &str) -> Datum {
    Datum::Text(value.to_owned())
}

/// Makes a bytes value.
pub fn bytes(value: impl AsRef<[u8]>) -> Datum {
    Datum::Bytes(value.as_ref().to_vec())
}

/// Makes a span of whole seconds.
pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Makes a span of whole minutes.
pub fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Makes a unit to add, with nothing but its name.
#[track_caller]
pub fn new_unit(unit: impl AsRef<[u8]>) -> NewUnit {
    NewUnit { name: name(unit), data: Data::default(), meta: UnitMeta::default(), delay: None }
}

/// Makes a request for one unit of any spec by the worker `worker`.
pub fn request() -> Claim {
    Claim {
        worker: worker_name("worker"),
        specs: Vec::new(),
        runtimes: Vec::new(),
        count: 1,
        lifetime: None,
        available_gb: None,
    }
}

/// Selects all units.
pub fn all() -> UnitFilter {
    UnitFilter::default()
}

/// Selects units by name.
pub fn named<const N: usize>(names: [&str; N]) -> UnitFilter {
    UnitFilter { names: Some(names.into_iter().map(name).collect()), ..all() }
}

/// Selects units by status.
pub fn in_status<const N: usize>(statuses: [UnitStatus; N]) -> UnitFilter {
    UnitFilter { statuses: Some(statuses.to_vec()), ..all() }
}

/// Gives the names of units as text.
pub fn names_of(units: &[Unit]) -> Vec<String> {
    units.iter().map(|unit| unit.name.to_string()).collect()
}

/// Tells whether a result says that something is not there (any more).
pub fn absent<T>(result: &Result<T>) -> bool {
    matches!(
        result,
        Err(Error::Gone
            | Error::NoSuchNamespace(_)
            | Error::NoSuchWorkSpec(_)
            | Error::NoSuchWorkUnit(_)
            | Error::NoSuchAttempt(_)
            | Error::NoSuchWorker(_)
            | Error::NoSuchDefinition(_))
    )
}
