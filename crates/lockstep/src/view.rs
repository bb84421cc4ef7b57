//! Records as `--json` shows them and as tables show them. The JSON shapes are stable.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::{
    Attempt, Grant, NamespaceInfo, Spec, SpecMeta, SummaryRow, Time, TokenInfo, Unit, UnitName,
    UserInfo, Worker, data_to_json, escape,
};
use serde_json::{Map, Value, json};

use crate::output::{printable, table};

/// Shows a namespace.
pub(crate) fn namespace(info: &NamespaceInfo) -> Value {
    json!({"name": info.name.as_str(), "id": info.id, "revision": info.revision})
}

/// Shows a spec.
pub(crate) fn spec(spec: &Spec) -> Value {
    json!({
        "name": spec.name.as_str(),
        "id": spec.id,
        "data": data_to_json(&spec.data),
        "meta": meta(&spec.meta),
        "counts": spec.counts,
    })
}

/// Shows the meta of a spec; spans are in seconds.
fn meta(meta: &SpecMeta) -> Value {
    json!({
        "priority": meta.priority,
        "weight": meta.weight,
        "paused": meta.paused,
        "continuous": meta.continuous,
        "can_be_continuous": meta.can_be_continuous,
        "interval": meta.interval.as_secs_f64(),
        "next_continuous": meta.next_continuous,
        "max_running": meta.max_running,
        "max_getwork": meta.max_attempts_returned,
        "max_retries": meta.max_retries,
        "min_gb": meta.min_memory_gb,
        "then": meta.next_work_spec,
        "runtime": meta.runtime,
    })
}

/// Shows a unit.
pub(crate) fn unit(unit: &Unit) -> Value {
    let mut shown = named(&unit.name);
    shown.extend(fields(json!({
        "spec": unit.spec.as_str(),
        "id": unit.id,
        "status": unit.status,
        "priority": unit.meta.priority,
        "not_before": unit.meta.not_before,
        "attempts": unit.attempts,
        "created": unit.created,
        "data": data_to_json(&unit.data),
        "active": unit.active.as_ref().map(attempt),
    })));
    Value::Object(shown)
}

/// Shows an attempt.
pub(crate) fn attempt(attempt: &Attempt) -> Value {
    let mut shown = Map::new();
    for (key, value) in named(&attempt.unit) {
        shown.insert(key.replacen("name", "unit", 1), value);
    }
    shown.extend(fields(json!({
        "spec": attempt.spec.as_str(),
        "id": attempt.id,
        "worker": attempt.worker.as_str(),
        "status": attempt.status,
        "start": attempt.start,
        "end": attempt.end,
        "expiration": attempt.expiration,
        "active": attempt.active,
        "data": data_to_json(&attempt.data),
    })));
    Value::Object(shown)
}

/// Shows a worker.
pub(crate) fn worker(worker: &Worker) -> Value {
    json!({
        "name": worker.name.as_str(),
        "id": worker.id,
        "active": worker.active,
        "mode": worker.mode,
        "parent": worker.parent.as_ref().map(|name| name.as_str()),
        "children": worker.children.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        "last_update": worker.last_update,
        "expiration": worker.expiration,
        "data": data_to_json(&worker.data),
    })
}

/// Shows one line of a summary.
pub(crate) fn summary_row(row: &SummaryRow) -> Value {
    json!({
        "namespace": row.namespace.as_str(),
        "spec": row.spec.as_str(),
        "status": row.status,
        "count": row.count,
    })
}

/// Shows a user, never its password.
pub(crate) fn user(info: &UserInfo) -> Value {
    let grant = |grant: &Grant| {
        let namespace = grant.namespace.as_ref().map(|name| name.as_str());
        json!({"role": grant.role, "namespace": namespace})
    };
    json!({
        "name": info.name.as_str(),
        "grants": info.grants.iter().map(grant).collect::<Vec<_>>(),
        "is_disabled": info.is_disabled,
        "has_password": info.has_password,
        "identity": info.identity,
        "created": info.created,
    })
}

/// Shows a token, never its secret.
pub(crate) fn token(info: &TokenInfo) -> Value {
    json!({
        "id": info.id,
        "namespace": info.namespace.as_ref().map(|name| name.as_str()),
        "scopes": info.scopes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "created": info.created,
        "expires": info.expires,
    })
}

/// Lays out units as a table.
pub(crate) fn units_table(units: &[Unit]) -> String {
    let row = |unit: &Unit| {
        let worker = unit.active.as_ref().map_or(String::new(), |a| a.worker.to_string());
        vec![
            printable(&unit.name.to_string()),
            unit.status.as_str().to_owned(),
            unit.meta.priority.to_string(),
            unit.attempts.to_string(),
            printable(&worker),
        ]
    };
    let rows: Vec<_> = units.iter().map(row).collect();
    table(&["name", "status", "priority", "attempts", "worker"], &rows)
}

/// Lays out attempts as a table.
pub(crate) fn attempts_table(attempts: &[Attempt]) -> String {
    let row = |attempt: &Attempt| {
        vec![
            attempt.id.to_string(),
            printable(attempt.spec.as_str()),
            printable(&attempt.unit.to_string()),
            printable(attempt.worker.as_str()),
            attempt.status.as_str().to_owned(),
            attempt.start.to_string(),
            time(attempt.end),
            attempt.expiration.to_string(),
        ]
    };
    let rows: Vec<_> = attempts.iter().map(row).collect();
    table(&["id", "spec", "unit", "worker", "status", "start", "end", "expiration"], &rows)
}

/// Writes an optional time.
pub(crate) fn time(time: Option<Time>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

/// Shows the name of a unit: as text, or as base64 where it is not text.
/// Writes a unit name as a text that `--after` takes: most stand for themselves.
pub(crate) fn next_unit(name: &UnitName) -> String {
    match std::str::from_utf8(name.as_bytes()) {
        Ok(text) if !text.is_empty() && !text.starts_with('-') => text.to_owned(),
        _ => escape(name.as_bytes()),
    }
}

fn named(name: &UnitName) -> Map<String, Value> {
    let (key, text) = match std::str::from_utf8(name.as_bytes()) {
        Ok(text) => ("name", text.to_owned()),
        Err(_) => ("name_base64", STANDARD.encode(name.as_bytes())),
    };
    Map::from_iter([(key.to_owned(), Value::String(text))])
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
