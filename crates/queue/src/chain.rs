//! Chaining: the `output` of a finished unit becomes units of the next spec.

use std::time::Duration;

use model::{Data, Datum, Dict, NewUnit, Result, SpecName, UnitMeta, UnitName};

use crate::{Work, add, rows::SpecRow};

/// Adds the units that the data of a finished unit asks for, if its spec has a next one; gives
/// what was added where.
pub(crate) fn chain(
    work: &mut Work<'_>,
    spec: &SpecRow,
    data: &Data,
) -> Result<Option<(SpecName, Vec<NewUnit>)>> {
    let Ok(next) = SpecName::new(spec.meta.next_work_spec.as_str()) else { return Ok(None) };
    if data.is_empty() {
        return Ok(None);
    }
    let Some(next) = work.find_spec(&next)? else { return Ok(None) };
    let units = data.dict()?.get("output").map(parse_output).unwrap_or_default();
    if units.is_empty() {
        return Ok(None);
    }
    let name = next.name.clone();
    add::add(work, next, &units)?;
    Ok(Some((name, units)))
}

/// Reads `output` in any of its three shapes; what does not fit is left out.
pub(crate) fn parse_output(output: &Datum) -> Vec<NewUnit> {
    match output {
        Datum::Map(pairs) => {
            // One value that is no map makes the whole map something else than output.
            pairs.iter().map(map_entry).collect::<Option<_>>().unwrap_or_default()
        }
        Datum::List(items) | Datum::Tuple(items) => items.iter().filter_map(list_item).collect(),
        _ => Vec::new(),
    }
}

fn map_entry((name, data): &(Datum, Datum)) -> Option<NewUnit> {
    let Datum::Text(_) = name else { return None };
    new_unit(name, data, UnitMeta::default(), None)
}

fn list_item(item: &Datum) -> Option<NewUnit> {
    let parts = match item {
        Datum::Text(_) | Datum::Bytes(_) => {
            return new_unit(item, &Datum::Null, UnitMeta::default(), None);
        }
        Datum::List(parts) | Datum::Tuple(parts) => parts,
        _ => return None,
    };
    let (name, data) = (parts.first()?, parts.get(1)?);
    let mut priority = 0.0;
    let mut delay = None;
    if let Some(Datum::Map(meta)) = parts.get(2) {
        for (key, value) in meta {
            match key {
                Datum::Text(key) if key == "priority" => priority = number(value)?,
                Datum::Text(key) if key == "delay" => delay = seconds(number(value)?),
                _ => {}
            }
        }
    } else if !matches!(parts.get(2), None | Some(Datum::Null)) {
        return None;
    }
    match parts.get(3) {
        None | Some(Datum::Null) => {}
        Some(value) => priority = number(value)?,
    }
    new_unit(name, data, UnitMeta { priority, not_before: None }, delay)
}

fn new_unit(
    name: &Datum,
    data: &Datum,
    meta: UnitMeta,
    delay: Option<Duration>,
) -> Option<NewUnit> {
    let name = match name {
        Datum::Text(name) => UnitName::new(name.as_bytes()).ok()?,
        Datum::Bytes(name) => UnitName::new(name.as_slice()).ok()?,
        _ => return None,
    };
    let data = match data {
        Datum::Null => Data::default(),
        Datum::Map(pairs) => Data::from_dict(&dict(pairs)?).ok()?,
        _ => return None,
    };
    Some(NewUnit { name, data, meta, delay })
}

fn dict(pairs: &[(Datum, Datum)]) -> Option<Dict> {
    let entry = |(key, value): &(Datum, Datum)| match key {
        Datum::Text(key) => Some((key.clone(), value.clone())),
        _ => None,
    };
    pairs.iter().map(entry).collect()
}

fn number(value: &Datum) -> Option<f64> {
    match value {
        Datum::Int(value) => Some(*value as f64),
        Datum::Float(value) if value.is_finite() => Some(*value),
        _ => None,
    }
}

/// Truncates a delay to whole seconds; none if it is not positive.
fn seconds(delay: f64) -> Option<Duration> {
    (delay >= 1.0).then(|| Duration::from_secs(delay.min(1e10) as u64))
}
