//! Data dictionaries: string-keyed maps whose values keep their type through every store and wire.

mod cbor;

use std::{collections::BTreeMap, fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minicbor::Encoder;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use self::cbor::Bounds;
use self::cbor::{Reader, Refusal, encode};
use crate::{Error, Result, limits};

/// A decoded data dictionary.
pub type Dict = BTreeMap<String, Datum>;

/// One value in a data dictionary.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number from −2⁶³ to 2⁶⁴−1.
    Int(i128),
    /// A 64-bit float; 1.0 is not the same as the whole number 1.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Datum>),
    /// A Python tuple: a list with a type of its own (CBOR tag 128).
    Tuple(Vec<Datum>),
    /// A map with keys of any type; byte-string keys become text where they enter.
    Map(Vec<(Datum, Datum)>),
    /// A UUID (CBOR tag 37).
    Uuid([u8; 16]),
}

/// A data dictionary as it is stored: the CBOR of a string-keyed map, cheap to clone.
///
/// Keys are in order and lengths definite, so equal dictionaries have equal bytes.
#[derive(Clone, Default, PartialEq, Eq, JsonSchema)]
#[schemars(description = "A dictionary: base64 of the CBOR of a map with text keys.")]
#[schemars(extend("contentEncoding" = "base64", "contentMediaType" = "application/cbor"))]
pub struct Data(#[schemars(with = "String")] Option<Arc<[u8]>>);

const EMPTY_MAP: &[u8] = &[0xa0];

impl Data {
    /// Encodes a dictionary of at most [`limits::DATA_BYTES_MAX`] bytes.
    pub fn from_dict(dict: &Dict) -> Result<Self> {
        if dict.is_empty() {
            return Ok(Self(None));
        }
        let mut out = Encoder::new(Vec::new());
        let encoded: Result<(), _> = (|| {
            out.map(dict.len() as u64)?;
            for (key, value) in dict {
                out.str(key)?;
                encode(value, &mut out)?;
            }
            Ok::<(), minicbor::encode::Error<std::convert::Infallible>>(())
        })();
        encoded.map_err(|error| Error::Internal(error.to_string()))?;
        let bytes = out.into_writer();
        if bytes.len() > limits::DATA_BYTES_MAX {
            return Err(Error::too_large("data in bytes", bytes.len(), limits::DATA_BYTES_MAX));
        }
        Ok(Self(Some(bytes.into())))
    }

    /// Reads the CBOR of a map, as it comes from outside, within all limits.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self> {
        Self::from_dict(&dict_of(Datum::from_cbor(bytes)?)?)
    }

    /// Takes a map that is part of a larger document, within the limits of a dictionary.
    pub fn from_datum(datum: Datum) -> Result<Self> {
        datum.check_nested(0, &mut 0)?;
        Self::from_dict(&dict_of(datum)?)
    }

    /// Wraps bytes that [`Data::as_cbor`] gave earlier, without checking them again.
    pub fn from_stored(bytes: &[u8]) -> Self {
        if bytes == EMPTY_MAP || bytes.is_empty() { Self(None) } else { Self(Some(bytes.into())) }
    }

    /// Borrows the CBOR of the dictionary.
    pub fn as_cbor(&self) -> &[u8] {
        self.0.as_deref().unwrap_or(EMPTY_MAP)
    }

    /// Tells whether the dictionary has no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Decodes the dictionary.
    pub fn dict(&self) -> Result<Dict> {
        dict_of(Datum::from_cbor(self.as_cbor())?)
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.dict().unwrap_or_default().fmt(f)
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.as_cbor()))
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(de::Error::custom)?;
        Self::from_cbor(&bytes).map_err(de::Error::custom)
    }
}

/// Turns a map with text keys into a dictionary.
fn dict_of(datum: Datum) -> Result<Dict> {
    let Datum::Map(pairs) = datum else {
        return Err(Error::bad_input(format!("data must be a map, not {}", datum.kind())));
    };
    pairs
        .into_iter()
        .map(|(key, value)| match key {
            Datum::Text(key) => Ok((key, value)),
            other => Err(Error::bad_input(format!("data keys must be text, not {}", other.kind()))),
        })
        .collect()
}

impl Datum {
    /// Names the type of the value, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a float",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Map(_) => "a map",
            Self::Uuid(_) => "a UUID",
        }
    }

    /// Decodes exactly one CBOR item from outside, within all limits and with known tags only.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self> {
        Self::from_cbor_within(bytes, Bounds::DICTIONARY)
    }

    /// Decodes exactly one CBOR item within other bounds than those of one dictionary.
    pub fn from_cbor_within(bytes: &[u8], bounds: Bounds) -> Result<Self> {
        let mut reader = Reader::new(bytes, bounds);
        let datum = reader.datum(0).map_err(Refusal::into_error)?;
        if reader.decoder.position() != bytes.len() {
            return Err(Error::bad_input("CBOR has bytes after its end"));
        }
        Ok(datum)
    }

    /// Decodes CBOR items one after another to the end.
    pub fn sequence_from_cbor(bytes: &[u8]) -> Result<Vec<Self>> {
        let mut reader = Reader::new(bytes, Bounds::DICTIONARY);
        let mut items = Vec::new();
        while reader.decoder.position() < bytes.len() {
            items.push(reader.datum(0).map_err(Refusal::into_error)?);
        }
        Ok(items)
    }

    /// Refuses what a dictionary could not hold: too deep, or with too many keys.
    fn check_nested(&self, depth: usize, keys: &mut usize) -> Result<()> {
        if depth > limits::DEPTH_MAX {
            return Err(Error::too_large("CBOR nesting", depth, limits::DEPTH_MAX));
        }
        match self {
            Self::List(items) | Self::Tuple(items) => {
                items.iter().try_for_each(|item| item.check_nested(depth + 1, keys))
            }
            Self::Map(pairs) => {
                *keys += pairs.len();
                if *keys > limits::KEYS_MAX {
                    return Err(Error::too_large("CBOR keys", *keys, limits::KEYS_MAX));
                }
                pairs.iter().try_for_each(|(key, value)| {
                    key.check_nested(depth + 1, keys)?;
                    value.check_nested(depth + 1, keys)
                })
            }
            _ => Ok(()),
        }
    }

    /// Encodes the value as CBOR with definite lengths.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut out = Encoder::new(Vec::new());
        // Writing to a vector cannot fail.
        let _infallible = encode(self, &mut out);
        out.into_writer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(datum: Datum, bytes: &[u8]) {
        assert_eq!(datum.to_cbor(), bytes);
        assert_eq!(Datum::from_cbor(bytes).unwrap(), datum);
    }

    #[test]
    fn values_keep_their_types() {
        check(Datum::Tuple(vec![]), &[0xd8, 0x80, 0x80]);
        let mut uuid = vec![0xd8, 0x25, 0x50];
        uuid.extend([7; 16]);
        check(Datum::Uuid([7; 16]), &uuid);
        check(Datum::Int(i128::from(u64::MAX)), &[0x1b, 255, 255, 255, 255, 255, 255, 255, 255]);
        check(Datum::Int(-1), &[0x20]);
        check(Datum::Float(1.0), &[0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
        check(Datum::List(vec![Datum::Bytes(vec![0])]), &[0x81, 0x41, 0]);
    }

    #[test]
    fn bombs_are_refused() {
        let deep = vec![0x81; 100];
        assert!(matches!(Datum::from_cbor(&deep), Err(Error::TooLarge { .. })));
        let lie = [0x9b, 0x7f, 255, 255, 255, 255, 255, 255, 255];
        assert!(matches!(Datum::from_cbor(&lie), Err(Error::BadInput(_))));
        let lie = [0x5b, 0x7f, 255, 255, 255, 255, 255, 255, 255];
        assert!(Datum::from_cbor(&lie).is_err());
        assert!(Datum::from_cbor(&[0xc1, 0x00]).is_err());
        assert!(Datum::from_cbor(&[0x00, 0x00]).is_err());
    }

    #[test]
    fn indefinite_lengths_and_byte_keys_are_taken() {
        let datum = Datum::from_cbor(&[0xbf, 0x41, b'a', 0x9f, 0x01, 0xff, 0xff]).unwrap();
        let list = Datum::List(vec![Datum::Int(1)]);
        assert_eq!(datum, Datum::Map(vec![(Datum::Text("a".into()), list)]));
    }
}
