//! Values as bytes whose order is the order of the values, and ordered sets of them.
//!
//! Each encoded value says by itself where it ends, so values can stand one after another:
//! - a whole number is a byte that tells sign and length, then that many bytes, highest first;
//! - a float is eight bytes in total order;
//! - text and bytes end with two zero bytes, and a zero byte in them is followed by 255.

use std::borrow::Cow;
use std::ops::Bound;

use memchr::memchr;
use model::{Error, Result};

use crate::{Kind, Value};

/// What stands in a map: no capacity to spare, half the bookkeeping of a `Vec`.
pub(crate) type Bytes = Box<[u8]>;

const ESCAPED_ZERO: u8 = 0xFF;
const INT_ZERO: u8 = 0x80;
const SIGN: u64 = 1 << 63;

/// A value that is not null and may still lie where it was found.
#[derive(Clone, Debug)]
pub(crate) enum Plain<'a> {
    Int(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

impl<'a> Plain<'a> {
    /// Takes a value for a column of this kind.
    pub(crate) fn of(value: &'a Value, kind: Kind) -> Result<Self> {
        Ok(match (kind, value) {
            (Kind::Int, Value::Int(value)) => Self::Int(*value),
            (Kind::Real, Value::Real(value)) if !value.is_nan() => Self::Real(*value),
            (Kind::Text, Value::Text(value)) => Self::Text(Cow::Borrowed(value)),
            (Kind::Bytes, Value::Bytes(value)) => Self::Bytes(Cow::Borrowed(value)),
            _ => {
                return Err(Error::Internal(format!("a {kind:?} column cannot hold {value:?}")));
            }
        })
    }

    /// Appends it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(value) => encode_int(out, *value),
            Self::Real(value) => encode_real(out, *value),
            Self::Text(value) => encode_bytes(out, value.as_bytes()),
            Self::Bytes(value) => encode_bytes(out, value),
        }
    }

    /// Reads one encoded field.
    pub(crate) fn decode(field: &'a [u8], kind: Kind) -> Result<Self> {
        Ok(match kind {
            Kind::Int => Self::Int(decode_int(field)?),
            Kind::Real => Self::Real(decode_real(field)?),
            Kind::Text => Self::Text(match decode_bytes(field)? {
                Cow::Borrowed(bytes) => str::from_utf8(bytes).map_err(|_| damaged())?.into(),
                Cow::Owned(bytes) => String::from_utf8(bytes).map_err(|_| damaged())?.into(),
            }),
            Kind::Bytes => Self::Bytes(decode_bytes(field)?),
        })
    }
}

impl From<Plain<'_>> for Value {
    fn from(plain: Plain<'_>) -> Self {
        match plain {
            Plain::Int(value) => Self::Int(value),
            Plain::Real(value) => Self::Real(value),
            Plain::Text(value) => Self::Text(value.into()),
            Plain::Bytes(value) => Self::Bytes(value.into()),
        }
    }
}

fn encode_int(out: &mut Vec<u8>, value: i64) {
    let magnitude = if value < 0 { !value } else { value };
    let length = (71 - magnitude.leading_zeros() as u8) / 8;
    out.push(if value < 0 { INT_ZERO - 1 - length } else { INT_ZERO + length });
    out.extend(value.to_be_bytes().into_iter().skip(8 - usize::from(length)));
}

fn encode_real(out: &mut Vec<u8>, value: f64) {
    // The two zeros are one value.
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    let ordered = if bits & SIGN == 0 { bits | SIGN } else { !bits };
    out.extend_from_slice(&ordered.to_be_bytes());
}

fn encode_bytes(out: &mut Vec<u8>, mut value: &[u8]) {
    while let Some((part, rest)) =
        memchr(0, value).and_then(|zero| value.split_at_checked(zero + 1))
    {
        out.extend_from_slice(part);
        out.push(ESCAPED_ZERO);
        value = rest;
    }
    out.extend_from_slice(value);
    out.extend_from_slice(&[0, 0]);
}

/// Cuts the first encoded value off.
pub(crate) fn cut<'a>(rest: &mut &'a [u8], kind: Kind) -> Result<&'a [u8]> {
    let length = match kind {
        Kind::Int => rest.first().map(|head| 1 + int_length(*head)),
        Kind::Real => Some(8),
        Kind::Text | Kind::Bytes => bytes_length(rest),
    };
    let (field, tail) =
        length.and_then(|length| rest.split_at_checked(length)).ok_or_else(damaged)?;
    *rest = tail;
    Ok(field)
}

fn int_length(head: u8) -> usize {
    usize::from(if head < INT_ZERO { INT_ZERO - 1 - head } else { head - INT_ZERO })
}

fn bytes_length(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        from += memchr(0, bytes.get(from..)?)? + 2;
        if *bytes.get(from - 1)? == 0 {
            return Some(from);
        }
    }
}

fn decode_int(field: &[u8]) -> Result<i64> {
    let (head, bytes) = field.split_first().ok_or_else(damaged)?;
    let sign = if *head < INT_ZERO { -1 } else { 0 };
    Ok(bytes.iter().fold(sign, |value, byte| (value << 8) | i64::from(*byte)))
}

fn decode_real(field: &[u8]) -> Result<f64> {
    let ordered = u64::from_be_bytes(field.try_into().map_err(|_| damaged())?);
    Ok(f64::from_bits(if ordered & SIGN == 0 { !ordered } else { ordered & !SIGN }))
}

fn decode_bytes(field: &[u8]) -> Result<Cow<'_, [u8]>> {
    let mut rest = field.strip_suffix(&[0, 0]).ok_or_else(damaged)?;
    let Some(_) = memchr(0, rest) else { return Ok(Cow::Borrowed(rest)) };
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some(zero) = memchr(0, rest) {
        let (part, tail) = rest.split_at_checked(zero + 1).ok_or_else(damaged)?;
        bytes.extend_from_slice(part);
        rest = tail.strip_prefix(&[ESCAPED_ZERO]).ok_or_else(damaged)?;
    }
    bytes.extend_from_slice(rest);
    Ok(Cow::Owned(bytes))
}

pub(crate) fn damaged() -> Error {
    Error::Internal("an encoded value is damaged".to_owned())
}

/// A stretch of encoded keys or entries, from `start` up to but without `end`.
#[derive(Debug)]
pub(crate) struct Stretch {
    start: Vec<u8>,
    end: Option<Vec<u8>>,
}

impl Stretch {
    /// Takes all entries that start with `prefix`, whose next value is greater than `after` and at
    /// most `upto`; each of the two carries the prefix too. Gives `None` where none can be.
    pub(crate) fn new(
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
        upto: Option<Vec<u8>>,
    ) -> Option<Self> {
        let end = past(upto.unwrap_or_else(|| prefix.clone()));
        let start = match after {
            Some(after) => past(after)?,
            None => prefix,
        };
        if end.as_ref().is_some_and(|end| start >= *end) {
            return None;
        }
        Some(Self { start, end })
    }

    /// Gives its start and its end.
    pub(crate) fn parts(&self) -> (&[u8], Option<&[u8]>) {
        (&self.start, self.end.as_deref())
    }

    /// Tells whether an entry lies in it.
    pub(crate) fn holds(&self, entry: &[u8]) -> bool {
        entry >= self.start.as_slice() && self.end.as_deref().is_none_or(|end| entry < end)
    }

    /// Gives it as bounds of a map or set.
    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let end = self.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        (Bound::Included(&self.start), end)
    }
}

/// Gives the first bytes that are greater than everything that starts with these.
fn past(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            return Some(bytes);
        }
    }
    None
}
