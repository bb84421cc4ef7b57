//! Arguments: what methods take, in the forms in which clients send it.

use std::time::Duration;

use model::{Data, Datum, Dict, Error, Result, SpecName, SpecRef, UnitName, WorkerName};

/// The arguments of one call; their number is checked before the method sees them.
pub(crate) struct Args(std::vec::IntoIter<Datum>);

impl Args {
    pub(crate) fn new(params: Vec<Datum>) -> Self {
        Self(params.into_iter())
    }

    pub(crate) fn next(&mut self) -> Datum {
        self.0.next().unwrap_or(Datum::Null)
    }

    pub(crate) fn text(&mut self, what: &str) -> Result<String> {
        text(self.next(), what)
    }

    pub(crate) fn spec(&mut self) -> Result<SpecRef> {
        let name = self.text("the work spec name")?;
        if name.is_empty() {
            return Err(Error::NoSuchWorkSpec(name));
        }
        Ok(SpecRef { name: SpecName::new(name)?, id: None })
    }

    pub(crate) fn key(&mut self) -> Result<UnitName> {
        key(self.next())
    }

    pub(crate) fn worker(&mut self) -> Result<WorkerName> {
        WorkerName::new(self.text("the worker id")?)
    }

    /// Takes a list or tuple; null is empty.
    pub(crate) fn list(&mut self, what: &str) -> Result<Vec<Datum>> {
        list(self.next(), what)
    }

    /// Takes a dictionary; null is empty.
    pub(crate) fn data(&mut self) -> Result<Data> {
        data(self.next())
    }

    /// Takes a whole number; floats are truncated, and null is 0.
    pub(crate) fn seconds(&mut self, what: &str) -> Result<i64> {
        Ok(int(self.next(), what)?.unwrap_or(0))
    }

    /// Takes options; null is none of them.
    pub(crate) fn options(&mut self) -> Result<Options> {
        match self.next() {
            Datum::Null => Ok(Options(Dict::new())),
            Datum::Map(pairs) => {
                let named = pairs.into_iter().filter_map(|(key, value)| match key {
                    Datum::Text(key) => Some((key, value)),
                    _ => None,
                });
                Ok(Options(named.collect()))
            }
            other => Err(wrong("options", "a map", &other)),
        }
    }
}

/// Options of a method: unknown ones do no harm, and null means absent.
pub(crate) struct Options(Dict);

impl Options {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !matches!(value, Datum::Null))
    }

    pub(crate) fn get(&mut self, name: &str) -> Option<Datum> {
        self.0.remove(name).filter(|value| !matches!(value, Datum::Null))
    }

    pub(crate) fn int(&mut self, name: &str) -> Result<Option<i64>> {
        self.get(name).map_or(Ok(None), |value| int(value, name))
    }

    /// Takes a count, of which less than 1 means the same as absent.
    pub(crate) fn count(&mut self, name: &str) -> Result<Option<u64>> {
        let count = self.int(name)?.and_then(|count| u64::try_from(count).ok());
        Ok(count.filter(|count| *count > 0))
    }

    pub(crate) fn float(&mut self, name: &str) -> Result<Option<f64>> {
        match self.get(name) {
            None => Ok(None),
            Some(Datum::Int(value)) => Ok(Some(value as f64)),
            Some(Datum::Float(value)) if value.is_finite() => Ok(Some(value)),
            Some(other) => Err(wrong(name, "a number", &other)),
        }
    }

    pub(crate) fn bool(&mut self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(Datum::Bool(value)) => Ok(Some(value)),
            Some(Datum::Int(value)) => Ok(Some(value != 0)),
            Some(other) => Err(wrong(name, "a boolean", &other)),
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.get(name).map(|value| text(value, name)).transpose()
    }

    pub(crate) fn list(&mut self, name: &str) -> Result<Option<Vec<Datum>>> {
        self.get(name).map(|value| list(value, name)).transpose()
    }

    pub(crate) fn keys(&mut self, name: &str) -> Result<Option<Vec<UnitName>>> {
        let Some(items) = self.list(name)? else { return Ok(None) };
        items.into_iter().map(key).collect::<Result<_>>().map(Some)
    }

    pub(crate) fn data(&mut self, name: &str) -> Result<Option<Data>> {
        self.get(name).map(data).transpose()
    }

    /// Takes a positive number of whole seconds; less than 1 means the same as absent.
    pub(crate) fn span(&mut self, name: &str) -> Result<Option<Duration>> {
        Ok(self.count(name)?.map(Duration::from_secs))
    }
}

/// Reads text of either kind; null is empty.
pub(crate) fn text(value: Datum, what: &str) -> Result<String> {
    match value {
        Datum::Null => Ok(String::new()),
        Datum::Text(text) => Ok(text),
        Datum::Bytes(bytes) => {
            String::from_utf8(bytes).map_err(|_| Error::bad_input(format!("{what} is not UTF-8")))
        }
        other => Err(wrong(what, "a string", &other)),
    }
}

/// Reads a work unit key, which is any bytes.
pub(crate) fn key(value: Datum) -> Result<UnitName> {
    match value {
        Datum::Null => UnitName::new(*b""),
        Datum::Text(text) => UnitName::new(text.into_bytes()),
        Datum::Bytes(bytes) => UnitName::new(bytes),
        other => Err(wrong("the work unit key", "a string", &other)),
    }
}

fn list(value: Datum, what: &str) -> Result<Vec<Datum>> {
    match value {
        Datum::Null => Ok(Vec::new()),
        Datum::List(items) | Datum::Tuple(items) => Ok(items),
        other => Err(wrong(what, "a list", &other)),
    }
}

fn data(value: Datum) -> Result<Data> {
    match value {
        Datum::Null => Ok(Data::default()),
        value => Data::from_datum(value),
    }
}

fn int(value: Datum, what: &str) -> Result<Option<i64>> {
    match value {
        Datum::Null => Ok(None),
        Datum::Int(value) => {
            Ok(Some(value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64))
        }
        Datum::Float(value) if value.is_finite() => Ok(Some(value as i64)),
        other => Err(wrong(what, "a number", &other)),
    }
}

fn wrong(what: &str, expected: &str, found: &Datum) -> Error {
    Error::bad_input(format!("{what} must be {expected}, not {}", found.kind()))
}
