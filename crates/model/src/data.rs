//! Data dictionaries: string-keyed maps whose values keep their type through every store and wire.

use std::{collections::BTreeMap, fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minicbor::{
    Decoder, Encoder,
    data::{IanaTag, Tag, Type},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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

const TUPLE: Tag = Tag::new(128);
const UUID: Tag = Tag::new(37);

/// A data dictionary as it is stored: the CBOR of a string-keyed map, cheap to clone.
///
/// Keys are in order and lengths definite, so equal dictionaries have equal bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Data(Option<Arc<[u8]>>);

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
        let mut reader = Reader { decoder: Decoder::new(bytes), keys: 0 };
        let datum = reader.datum(0).map_err(Refusal::into_error)?;
        if reader.decoder.position() != bytes.len() {
            return Err(Error::bad_input("CBOR has bytes after its end"));
        }
        Ok(datum)
    }

    /// Encodes the value as CBOR with definite lengths.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut out = Encoder::new(Vec::new());
        // Writing to a vector cannot fail.
        let _infallible = encode(self, &mut out);
        out.into_writer()
    }
}

type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn encode(datum: &Datum, out: &mut Encoder<Vec<u8>>) -> Encoded {
    match datum {
        Datum::Null => out.null()?.ok(),
        Datum::Bool(value) => out.bool(*value)?.ok(),
        Datum::Int(value) => match (u64::try_from(*value), i64::try_from(*value)) {
            (Ok(value), _) => out.u64(value)?.ok(),
            (_, Ok(value)) => out.i64(value)?.ok(),
            // Constructors keep whole numbers in range; a float is the nearest thing left.
            _ => out.f64(*value as f64)?.ok(),
        },
        Datum::Float(value) => out.f64(*value)?.ok(),
        Datum::Text(value) => out.str(value)?.ok(),
        Datum::Bytes(value) => out.bytes(value)?.ok(),
        Datum::List(items) => encode_list(items, out),
        Datum::Tuple(items) => {
            out.tag(TUPLE)?;
            encode_list(items, out)
        }
        Datum::Map(pairs) => {
            out.map(pairs.len() as u64)?;
            pairs.iter().try_for_each(|(key, value)| {
                encode(key, out)?;
                encode(value, out)
            })
        }
        Datum::Uuid(value) => out.tag(UUID)?.bytes(value)?.ok(),
    }
}

fn encode_list(items: &[Datum], out: &mut Encoder<Vec<u8>>) -> Encoded {
    out.array(items.len() as u64)?;
    items.iter().try_for_each(|item| encode(item, out))
}

/// Why a piece of CBOR is refused: it is malformed, or it is over a limit.
enum Refusal {
    Malformed(minicbor::decode::Error),
    Limit(Error),
}

impl From<minicbor::decode::Error> for Refusal {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Malformed(error)
    }
}

impl Refusal {
    fn into_error(self) -> Error {
        match self {
            Self::Malformed(error) => Error::bad_input(format!("malformed CBOR: {error}")),
            Self::Limit(error) => error,
        }
    }
}

/// A decoder that counts, so that a few bytes cannot ask for much memory.
struct Reader<'b> {
    decoder: Decoder<'b>,
    keys: usize,
}

impl Reader<'_> {
    fn datum(&mut self, depth: usize) -> Result<Datum, Refusal> {
        if depth > limits::DEPTH_MAX {
            let error = Error::too_large("CBOR nesting", depth, limits::DEPTH_MAX);
            return Err(Refusal::Limit(error));
        }
        Ok(match self.decoder.datatype()? {
            Type::Null => {
                self.decoder.null()?;
                Datum::Null
            }
            Type::Undefined => {
                self.decoder.undefined()?;
                Datum::Null
            }
            Type::Bool => Datum::Bool(self.decoder.bool()?),
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
                Datum::Int(i128::from(self.decoder.u64()?))
            }
            Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
                Datum::Int(i128::from(self.decoder.i64()?))
            }
            Type::F16 => Datum::Float(f64::from(self.decoder.f16()?)),
            Type::F32 => Datum::Float(f64::from(self.decoder.f32()?)),
            Type::F64 => Datum::Float(self.decoder.f64()?),
            Type::String | Type::StringIndef => Datum::Text(self.text()?),
            Type::Bytes | Type::BytesIndef => Datum::Bytes(self.bytes()?),
            Type::Array | Type::ArrayIndef => Datum::List(self.list(depth)?),
            Type::Map | Type::MapIndef => Datum::Map(self.map(depth)?),
            Type::Tag => self.tagged(depth)?,
            other @ (Type::Int | Type::Simple | Type::Break | Type::Unknown(_)) => {
                let message = format!("CBOR type {other} is not accepted");
                return Err(Refusal::Limit(Error::bad_input(message)));
            }
        })
    }

    fn tagged(&mut self, depth: usize) -> Result<Datum, Refusal> {
        let tag = self.decoder.tag()?;
        if tag == TUPLE {
            // The ancestor writes a nil tuple as an empty array, so a list must follow.
            return Ok(Datum::Tuple(self.list(depth)?));
        }
        if tag == UUID {
            let bytes = self.bytes()?;
            return <[u8; 16]>::try_from(bytes.as_slice()).map(Datum::Uuid).map_err(|_| {
                Refusal::Limit(Error::bad_input("a UUID in CBOR must have 16 bytes"))
            });
        }
        if tag == IanaTag::Cbor.tag() {
            return Err(Refusal::Limit(Error::bad_input("embedded CBOR is not accepted in data")));
        }
        let message = format!("CBOR tag {} is not accepted", tag.as_u64());
        Err(Refusal::Limit(Error::bad_input(message)))
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Datum>, Refusal> {
        let length = self.decoder.array()?;
        let mut items = Vec::new();
        while self.more(length, items.len())? {
            items.push(self.datum(depth + 1)?);
        }
        Ok(items)
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Datum, Datum)>, Refusal> {
        let length = self.decoder.map()?;
        let mut pairs: Vec<(Datum, Datum)> = Vec::new();
        while self.more(length, pairs.len())? {
            self.keys += 1;
            if self.keys > limits::KEYS_MAX {
                let error = Error::too_large("CBOR keys", self.keys, limits::KEYS_MAX);
                return Err(Refusal::Limit(error));
            }
            let key = match self.datum(depth + 1)? {
                Datum::Bytes(bytes) => Datum::Text(String::from_utf8(bytes).map_err(|_| {
                    Refusal::Limit(Error::bad_input("a map key in CBOR is not UTF-8"))
                })?),
                key => key,
            };
            let value = self.datum(depth + 1)?;
            pairs.push((key, value));
        }
        Ok(pairs)
    }

    /// Tells whether another item follows, and takes the mark that ends an indefinite one.
    fn more(&mut self, length: Option<u64>, taken: usize) -> Result<bool, Refusal> {
        if let Some(length) = length {
            return Ok((taken as u64) < length);
        }
        let ends = self.decoder.datatype()? == Type::Break;
        if ends {
            self.decoder.skip()?;
        }
        Ok(!ends)
    }

    fn text(&mut self) -> Result<String, Refusal> {
        let mut text = String::new();
        for part in self.decoder.str_iter()? {
            text.push_str(part?);
            check_string(text.len())?;
        }
        Ok(text)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        for part in self.decoder.bytes_iter()? {
            bytes.extend_from_slice(part?);
            check_string(bytes.len())?;
        }
        Ok(bytes)
    }
}

fn check_string(length: usize) -> Result<(), Refusal> {
    if length > limits::STRING_BYTES_MAX {
        let error = Error::too_large("string in bytes", length, limits::STRING_BYTES_MAX);
        return Err(Refusal::Limit(error));
    }
    Ok(())
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
