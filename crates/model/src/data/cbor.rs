//! Values as CBOR: how they are written, and how they are read within limits.

use minicbor::{
    Decoder, Encoder,
    data::{IanaTag, Tag, Type},
};

use super::Datum;
use crate::{Error, Result, limits};

const TUPLE: Tag = Tag::new(128);
const UUID: Tag = Tag::new(37);

pub(super) type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// Appends a value with definite lengths.
pub(super) fn encode(datum: &Datum, out: &mut Encoder<Vec<u8>>) -> Encoded {
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
pub(super) enum Refusal {
    Malformed(minicbor::decode::Error),
    Limit(Error),
}

impl From<minicbor::decode::Error> for Refusal {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Malformed(error)
    }
}

impl Refusal {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Malformed(error) => Error::bad_input(format!("malformed CBOR: {error}")),
            Self::Limit(error) => error,
        }
    }
}

/// How much one CBOR document may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Levels of nesting.
    pub depth_max: usize,
    /// Keys of all maps together.
    pub keys_max: usize,
    /// Values, since each takes many times the room of its bytes.
    pub values_max: usize,
}

impl Bounds {
    /// What one data dictionary may hold.
    pub const DICTIONARY: Self = Self {
        depth_max: limits::DEPTH_MAX,
        keys_max: limits::KEYS_MAX,
        values_max: limits::VALUES_MAX,
    };
}

/// A decoder that counts, so that a few bytes cannot ask for much memory.
pub(super) struct Reader<'b> {
    pub(super) decoder: Decoder<'b>,
    bounds: Bounds,
    keys: usize,
    values: usize,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8], bounds: Bounds) -> Self {
        Self { decoder: Decoder::new(bytes), bounds, keys: 0, values: 0 }
    }

    pub(super) fn datum(&mut self, depth: usize) -> Result<Datum, Refusal> {
        self.values += 1;
        let Bounds { depth_max, values_max, .. } = self.bounds;
        if depth > depth_max {
            return Err(Refusal::Limit(Error::too_large("CBOR nesting", depth, depth_max)));
        }
        if self.values > values_max {
            return Err(Refusal::Limit(Error::too_large("CBOR values", self.values, values_max)));
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
            if self.keys > self.bounds.keys_max {
                let error = Error::too_large("CBOR keys", self.keys, self.bounds.keys_max);
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
