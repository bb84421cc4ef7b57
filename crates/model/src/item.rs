//! Units as items of a list: the form in which a finished unit's `output` names units of the next
//! spec, and in which the ancestor's clients add units.

use std::time::Duration;

use crate::{Data, Datum, Error, NewUnit, Result, UnitMeta, UnitName};

/// Reads `output` in any of its three shapes; what does not fit is left out.
pub fn output(output: &Datum) -> Vec<NewUnit> {
    match output {
        Datum::Map(pairs) => {
            // One value that is no map makes the whole map something else than output.
            pairs.iter().map(map_entry).collect::<Option<_>>().unwrap_or_default()
        }
        Datum::List(items) | Datum::Tuple(items) => {
            items.iter().filter_map(|item| NewUnit::from_item(item).ok()).collect()
        }
        _ => Vec::new(),
    }
}

fn map_entry((name, data): &(Datum, Datum)) -> Option<NewUnit> {
    let Datum::Text(_) = name else { return None };
    new_unit(name, data, UnitMeta::default(), None).ok()
}

impl NewUnit {
    /// Reads a name, or a list or tuple of name and data, and perhaps meta and priority.
    ///
    /// # Errors
    /// [`Error::WorkUnitNotList`], [`Error::WorkUnitTooShort`], [`Error::BadPriority`], or
    /// [`Error::BadInput`] for parts of other types.
    pub fn from_item(item: &Datum) -> Result<Self> {
        let parts = match item {
            Datum::Text(_) | Datum::Bytes(_) => {
                return new_unit(item, &Datum::Null, UnitMeta::default(), None);
            }
            Datum::List(parts) | Datum::Tuple(parts) => parts,
            _ => return Err(Error::WorkUnitNotList),
        };
        let [name, data, rest @ ..] = parts.as_slice() else { return Err(Error::WorkUnitTooShort) };
        let mut priority = 0.0;
        let mut delay = None;
        match rest.first() {
            None | Some(Datum::Null) => {}
            Some(Datum::Map(meta)) => {
                for (key, value) in meta {
                    match key {
                        Datum::Text(key) if key == "priority" => priority = number(value)?,
                        Datum::Text(key) if key == "delay" => delay = seconds(number(value)?),
                        _ => {}
                    }
                }
            }
            Some(other) => return Err(wrong("meta", "a map", other)),
        }
        match rest.get(1) {
            None | Some(Datum::Null) => {}
            Some(value) => priority = number(value)?,
        }
        new_unit(name, data, UnitMeta { priority, not_before: None }, delay)
    }
}

fn new_unit(
    name: &Datum,
    data: &Datum,
    meta: UnitMeta,
    delay: Option<Duration>,
) -> Result<NewUnit> {
    let name = match name {
        Datum::Text(name) => UnitName::new(name.as_bytes())?,
        Datum::Bytes(name) => UnitName::new(name.as_slice())?,
        other => return Err(wrong("name", "a text or bytes", other)),
    };
    let data = match data {
        Datum::Null => Data::default(),
        Datum::Map(_) => Data::from_datum(data.clone())?,
        other => return Err(wrong("data", "a map", other)),
    };
    Ok(NewUnit { name, data, meta, delay })
}

fn wrong(part: &str, expected: &str, found: &Datum) -> Error {
    let found = found.kind();
    Error::bad_input(format!("the {part} of a work unit must be {expected}, not {found}"))
}

fn number(value: &Datum) -> Result<f64> {
    match value {
        Datum::Int(value) => Ok(*value as f64),
        Datum::Float(value) if value.is_finite() => Ok(*value),
        _ => Err(Error::BadPriority),
    }
}

/// Truncates a delay to whole seconds; none if it is not positive.
fn seconds(delay: f64) -> Option<Duration> {
    (delay >= 1.0).then(|| Duration::from_secs(delay.min(1e10) as u64))
}
