//! Reading the output of a finished unit.

use std::time::Duration;

use model::{Data, Datum, Dict, NewUnit, UnitMeta, UnitName};

/// Gives the units that some data asks for.
pub(super) fn units(said: &Data) -> Vec<NewUnit> {
    let dict = said.dict().expect("stored data can be read");
    match dict.get("output") {
        Some(Datum::Map(pairs)) => {
            let units: Vec<_> = pairs
                .iter()
                .filter(|(key, _)| matches!(key, Datum::Text(_)))
                .filter_map(|(key, value)| unit(key, value))
                .collect();
            // The whole map counts, or nothing of it.
            if units.len() == pairs.len() { units } else { Vec::new() }
        }
        Some(Datum::List(items) | Datum::Tuple(items)) => items.iter().filter_map(item).collect(),
        _ => Vec::new(),
    }
}

fn unit(name: &Datum, value: &Datum) -> Option<NewUnit> {
    let name = match name {
        Datum::Text(text) => UnitName::new(text.as_bytes()),
        Datum::Bytes(bytes) => UnitName::new(bytes.as_slice()),
        _ => return None,
    };
    let mut dict = Dict::new();
    match value {
        Datum::Null => {}
        Datum::Map(pairs) => {
            for (key, value) in pairs {
                let Datum::Text(key) = key else { return None };
                dict.insert(key.clone(), value.clone());
            }
        }
        _ => return None,
    }
    let (name, data) = (name.ok()?, Data::from_dict(&dict).ok()?);
    Some(NewUnit { name, data, meta: UnitMeta::default(), delay: None })
}

fn item(item: &Datum) -> Option<NewUnit> {
    let (Datum::List(parts) | Datum::Tuple(parts)) = item else { return unit(item, &Datum::Null) };
    let (first, second) = (parts.first()?, parts.get(1)?);
    let mut new = unit(first, second)?;
    match parts.get(2) {
        None | Some(Datum::Null) => {}
        Some(Datum::Map(meta)) => {
            let named = |key: &str| meta.iter().find(|(k, _)| *k == Datum::Text(key.to_owned()));
            if let Some((_, priority)) = named("priority") {
                new.meta.priority = number(priority)?;
            }
            if let Some((_, delay)) = named("delay") {
                let whole = number(delay)?.trunc();
                new.delay = (whole > 0.0).then(|| Duration::from_secs(whole as u64));
            }
        }
        Some(_) => return None,
    }
    match parts.get(3) {
        None | Some(Datum::Null) => {}
        Some(priority) => new.meta.priority = number(priority)?,
    }
    Some(new)
}

fn number(value: &Datum) -> Option<f64> {
    match value {
        Datum::Int(whole) => Some(*whole as f64),
        Datum::Float(float) => Some(*float),
        _ => None,
    }
}
