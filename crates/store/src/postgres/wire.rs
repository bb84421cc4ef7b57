//! Encoded rows as arrays of parameters, and results as encoded rows.

use std::borrow::Cow;

use model::Result;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::failure::Outcome;
use super::part::Bytes;
use crate::layout::{Layout, encode_column};
use crate::ordered::{Plain, damaged};
use crate::{Column, Doc, Kind, Value};

/// The values of one column for many rows.
pub(crate) enum Array<'a> {
    Int(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Text(Vec<Option<Cow<'a, str>>>),
    Bytes(Vec<Option<Cow<'a, [u8]>>>),
}

impl<'a> Array<'a> {
    fn new(kind: Kind, capacity: usize) -> Self {
        match kind {
            Kind::Int => Self::Int(Vec::with_capacity(capacity)),
            Kind::Real => Self::Real(Vec::with_capacity(capacity)),
            Kind::Text => Self::Text(Vec::with_capacity(capacity)),
            Kind::Bytes => Self::Bytes(Vec::with_capacity(capacity)),
        }
    }

    fn push(&mut self, value: Option<Plain<'a>>) -> Result<()> {
        match (self, value) {
            (Self::Int(all), None) => all.push(None),
            (Self::Real(all), None) => all.push(None),
            (Self::Text(all), None) => all.push(None),
            (Self::Bytes(all), None) => all.push(None),
            (Self::Int(all), Some(Plain::Int(value))) => all.push(Some(value)),
            (Self::Real(all), Some(Plain::Real(value))) => all.push(Some(value)),
            (Self::Text(all), Some(Plain::Text(value))) => all.push(Some(escaped(value))),
            (Self::Bytes(all), Some(Plain::Bytes(value))) => all.push(Some(value)),
            _ => return Err(damaged()),
        }
        Ok(())
    }

    /// Gives it as a parameter.
    pub(crate) fn parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Int(all) => all,
            Self::Real(all) => all,
            Self::Text(all) => all,
            Self::Bytes(all) => all,
        }
    }
}

/// Turns encoded keys into one array for each key column.
pub(crate) fn keys<'k>(
    layout: &Layout,
    keys: impl ExactSizeIterator<Item = &'k [u8]>,
) -> Result<Vec<Array<'k>>> {
    let columns = layout.table.key;
    let mut arrays: Vec<_> = columns.iter().map(|c| Array::new(c.kind, keys.len())).collect();
    for key in keys {
        let fields = layout.key_fields(key)?;
        push(&mut arrays, columns.iter(), &fields)?;
    }
    Ok(arrays)
}

/// Turns encoded rows into one array for each column, and one for the bodies.
pub(crate) fn rows<'r>(layout: &Layout, rows: &[(&'r Bytes, &'r Bytes)]) -> Result<Vec<Array<'r>>> {
    let columns = layout.table.key.iter().chain(layout.table.columns);
    let mut arrays: Vec<_> = columns.clone().map(|c| Array::new(c.kind, rows.len())).collect();
    let mut bodies = Vec::with_capacity(rows.len());
    for (key, row) in rows {
        let (fields, body) = layout.split(key, row)?;
        push(&mut arrays, columns.clone(), &fields)?;
        bodies.push(Some(body.into()));
    }
    arrays.push(Array::Bytes(bodies));
    Ok(arrays)
}

fn push<'c, 'f>(
    arrays: &mut [Array<'f>],
    columns: impl Iterator<Item = &'c Column>,
    fields: &[Option<&'f [u8]>],
) -> Result<()> {
    for ((array, column), field) in arrays.iter_mut().zip(columns).zip(fields) {
        array.push(field.map(|field| Plain::decode(field, column.kind)).transpose()?)?;
    }
    Ok(())
}

/// Turns a value into a parameter.
pub(crate) fn parameter(value: &Value) -> Box<dyn ToSql + Sync + Send> {
    match value {
        Value::Null => Box::new(None::<i64>),
        Value::Int(value) => Box::new(*value),
        Value::Real(value) => Box::new(*value),
        Value::Text(value) => Box::new(escaped(value.as_str().into()).into_owned()),
        Value::Bytes(value) => Box::new(value.to_vec()),
    }
}

/// Encodes the key and the row of a result.
pub(crate) fn encoded(layout: &Layout, row: &Row) -> Outcome<(Bytes, Bytes)> {
    let keys = layout.table.key;
    let mut key = Vec::with_capacity(48);
    for (place, column) in keys.iter().enumerate() {
        let value = value(row, place, column.kind)?.ok_or_else(damaged)?;
        value.encode(&mut key);
    }
    let columns = layout.table.columns;
    let body: &[u8] = row.try_get(keys.len() + columns.len())?;
    let mut out = Vec::with_capacity(10 * columns.len() + body.len());
    for (place, column) in (keys.len()..).zip(columns) {
        encode_column(&mut out, value(row, place, column.kind)?.as_ref());
    }
    out.extend_from_slice(body);
    Ok((key.into(), out.into()))
}

/// Encodes the key and the row of a table whose key is a text and whose columns are numbers, which
/// come as an array.
pub(crate) fn encoded_head(
    layout: &Layout,
    key: &str,
    columns: &[Option<i64>],
    body: &[u8],
) -> Outcome<(Bytes, Bytes)> {
    let column = |value: &Option<i64>| value.map_or(Value::Null, Value::Int);
    let doc = Doc {
        key: vec![Value::Text(plain(key).into())],
        columns: columns.iter().map(column).collect(),
        body: body.to_vec(),
    };
    Ok((layout.key(&doc.key)?.into(), layout.row(&doc)?.into()))
}

/// Encodes one field of a result.
pub(crate) fn field(
    layout: &Layout,
    field: usize,
    row: &Row,
    place: usize,
) -> Outcome<Option<Bytes>> {
    let column = layout.column(field).ok_or_else(damaged)?;
    let mut bytes = Vec::with_capacity(16);
    Ok(value(row, place, column.kind)?.map(|value| {
        value.encode(&mut bytes);
        bytes.into()
    }))
}

/// PostgreSQL's texts cannot hold U+0000, so it is written as two U+0001, and U+0001 as U+0001 and
/// U+0002. The order of texts stays the same.
fn escaped(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(['\0', '\u{1}']) {
        return text;
    }
    Cow::Owned(text.replace('\u{1}', "\u{1}\u{2}").replace('\0', "\u{1}\u{1}"))
}

fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1}') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\u{1}' if characters.next() == Some('\u{1}') => '\0',
            other => other,
        });
    }
    Cow::Owned(plain)
}

fn value(row: &Row, place: usize, kind: Kind) -> Outcome<Option<Plain<'_>>> {
    Ok(match kind {
        Kind::Int => row.try_get::<_, Option<i64>>(place)?.map(Plain::Int),
        Kind::Real => row.try_get::<_, Option<f64>>(place)?.map(Plain::Real),
        Kind::Text => row.try_get::<_, Option<&str>>(place)?.map(|text| Plain::Text(plain(text))),
        Kind::Bytes => row.try_get::<_, Option<&[u8]>>(place)?.map(|b| Plain::Bytes(b.into())),
    })
}
