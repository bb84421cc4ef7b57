//! Work spec dictionaries and the scheduling meta derived from them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Datum, Dict, Error, Result, SpecName, Time};

/// How the units of a work spec are scheduled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecMeta {
    /// Specs of a higher priority go first.
    pub priority: i64,
    /// The share among specs of one priority; 0 or less is never scheduled.
    pub weight: i64,
    /// Whether scheduling is stopped.
    pub paused: bool,
    /// Whether a unit is made up when there is none.
    pub continuous: bool,
    /// Whether the dictionary allows `continuous`.
    pub can_be_continuous: bool,
    /// The least time between two made-up units.
    pub interval: Duration,
    /// When the next unit may be made up; none is at once.
    pub next_continuous: Option<Time>,
    /// Most pending units at one time; 0 is no limit.
    pub max_running: u64,
    /// Most attempts in one claim; 0 is no limit.
    pub max_attempts_returned: u64,
    /// Most attempts of one unit; 0 is no limit.
    pub max_retries: u64,
    /// Memory that a worker must have, in GB.
    pub min_memory_gb: f64,
    /// The spec that takes the output of finished units; empty is none.
    pub next_work_spec: String,
    /// What runs the units, such as `go`; empty by default.
    pub runtime: String,
}

const WEIGHT_DEFAULT: i64 = 20;

impl SpecMeta {
    /// Derives name and meta from a work spec dictionary; null counts as absent.
    ///
    /// # Errors
    /// [`Error::NoWorkSpecName`], [`Error::BadWorkSpecName`], or [`Error::BadWorkSpecKey`] for a
    /// special key of the wrong type.
    pub fn from_dict(dict: &Dict) -> Result<(SpecName, Self)> {
        let name = match dict.get("name") {
            None | Some(Datum::Null) => return Err(Error::NoWorkSpecName),
            Some(Datum::Text(name)) => SpecName::new(name.as_str())?,
            Some(_) => return Err(Error::BadWorkSpecName),
        };
        let keys = Keys(dict);
        let continuous = keys.bool("continuous")?;
        let interval = u64::try_from(keys.int("interval")?).unwrap_or(0);
        Ok((
            name,
            Self {
                priority: keys.int("priority")?,
                weight: keys.weight()?,
                paused: keys.bool("disabled")?,
                continuous,
                can_be_continuous: continuous,
                interval: Duration::from_secs(interval.min(INTERVAL_SECONDS_MAX)),
                next_continuous: None,
                max_running: keys.count("max_running")?,
                max_attempts_returned: keys.count("max_getwork")?,
                max_retries: keys.count("max_retries")?,
                min_memory_gb: keys.float("min_gb")?,
                next_work_spec: keys.text("then")?,
                runtime: keys.text("runtime")?,
            },
        ))
    }
}

/// A hundred years.
const INTERVAL_SECONDS_MAX: u64 = 100 * 366 * 86_400;

/// Reads special keys: exactly, or else in any case (as the ancestor's decoder does).
struct Keys<'a>(&'a Dict);

impl Keys<'_> {
    fn get(&self, key: &str) -> Option<&Datum> {
        let found = self.0.get(key).or_else(|| {
            self.0.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, value)| value)
        });
        found.filter(|value| !matches!(value, Datum::Null))
    }

    fn bool(&self, key: &str) -> Result<bool> {
        match self.get(key) {
            None => Ok(false),
            Some(Datum::Bool(value)) => Ok(*value),
            Some(other) => Err(wrong(key, "a boolean", other)),
        }
    }

    fn text(&self, key: &str) -> Result<String> {
        match self.get(key) {
            None => Ok(String::new()),
            Some(Datum::Text(value)) => Ok(value.clone()),
            Some(other) => Err(wrong(key, "a text", other)),
        }
    }

    fn float(&self, key: &str) -> Result<f64> {
        match self.get(key) {
            None => Ok(0.0),
            Some(Datum::Int(value)) => Ok(*value as f64),
            Some(Datum::Float(value)) if value.is_finite() => Ok(*value),
            Some(other) => Err(wrong(key, "a number", other)),
        }
    }

    /// Reads a whole number; floats are truncated, and everything is kept within 64 bits.
    fn int(&self, key: &str) -> Result<i64> {
        match self.get(key) {
            None => Ok(0),
            Some(Datum::Int(value)) => {
                Ok((*value).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
            }
            Some(Datum::Float(value)) if value.is_finite() => Ok(*value as i64),
            Some(other) => Err(wrong(key, "a number", other)),
        }
    }

    fn count(&self, key: &str) -> Result<u64> {
        Ok(u64::try_from(self.int(key)?).unwrap_or(0))
    }

    fn weight(&self) -> Result<i64> {
        let weight = match (self.int("weight")?, self.int("nice")?) {
            (0, nice) => WEIGHT_DEFAULT.saturating_sub(nice),
            (weight, _) => weight,
        };
        Ok(weight.max(1))
    }
}

fn wrong(key: &str, expected: &str, found: &Datum) -> Error {
    let (key, expected, found) = (key.to_owned(), expected.to_owned(), found.kind().to_owned());
    Error::BadWorkSpecKey { key, expected, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(pairs: &[(&str, Datum)]) -> Result<SpecMeta> {
        let mut dict = Dict::from([("name".to_owned(), Datum::Text("spec".to_owned()))]);
        dict.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        SpecMeta::from_dict(&dict).map(|(_, meta)| meta)
    }

    #[test]
    fn weight_comes_from_weight_or_nice() {
        let weight = |pairs: &[(&str, i128)]| {
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| (*k, Datum::Int(*v))).collect();
            meta(&pairs).unwrap().weight
        };
        assert_eq!(weight(&[]), 20);
        assert_eq!(weight(&[("nice", 5)]), 15);
        assert_eq!(weight(&[("nice", 100)]), 1);
        assert_eq!(weight(&[("nice", -80)]), 100);
        assert_eq!(weight(&[("weight", 50), ("nice", 5)]), 50);
        assert_eq!(weight(&[("weight", -3)]), 1);
    }

    #[test]
    fn wrong_types_are_refused_and_null_is_absent() {
        assert!(matches!(
            meta(&[("priority", Datum::Bool(true))]),
            Err(Error::BadWorkSpecKey { .. })
        ));
        assert_eq!(meta(&[("priority", Datum::Null)]).unwrap().priority, 0);
        assert_eq!(meta(&[("interval", Datum::Float(60.9))]).unwrap().interval.as_secs(), 60);
        assert!(meta(&[("Disabled", Datum::Bool(true))]).unwrap().paused);
        assert_eq!(SpecMeta::from_dict(&Dict::new()).unwrap_err(), Error::NoWorkSpecName);
    }
}
