//! What methods answer.

use minicbor::Encoder;
use model::{Data, Datum, UnitName};

/// An answer, whose dictionaries are written as they are stored.
#[derive(Debug)]
pub(crate) enum Value {
    /// Anything plain.
    Plain(Datum),
    /// A dictionary.
    Data(Data),
    /// A list.
    List(Vec<Self>),
    /// A Python tuple.
    Tuple(Vec<Self>),
    /// A map.
    Map(Vec<(Self, Self)>),
}

impl Value {
    pub(crate) const NULL: Self = Self::Plain(Datum::Null);

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Plain(Datum::Text(text.into()))
    }

    /// Work unit keys are always bytes.
    pub(crate) fn key(name: &UnitName) -> Self {
        Self::Plain(Datum::Bytes(name.as_bytes().to_vec()))
    }

    pub(crate) fn int(number: impl Into<i128>) -> Self {
        Self::Plain(Datum::Int(number.into()))
    }

    pub(crate) fn bool(value: bool) -> Self {
        Self::Plain(Datum::Bool(value))
    }

    /// Makes a map with text keys.
    pub(crate) fn map(pairs: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (Self::text(key), value)).collect())
    }

    /// Makes what most methods answer: a value, and a message that says why it is not another.
    pub(crate) fn pair(self, message: Option<String>) -> Self {
        Self::List(vec![self, message.map_or(Self::NULL, Self::text)])
    }

    /// Appends the value as CBOR.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Plain(datum) => out.extend(datum.to_cbor()),
            Self::Data(data) => out.extend_from_slice(data.as_cbor()),
            Self::List(items) => encode_list(items, out),
            Self::Tuple(items) => {
                out.extend([0xd8, 128]);
                encode_list(items, out);
            }
            Self::Map(pairs) => {
                head(out, |encoder| encoder.map(pairs.len() as u64).map(drop));
                for (key, value) in pairs {
                    key.encode(out);
                    value.encode(out);
                }
            }
        }
    }
}

fn encode_list(items: &[Value], out: &mut Vec<u8>) {
    head(out, |encoder| encoder.array(items.len() as u64).map(drop));
    items.iter().for_each(|item| item.encode(out));
}

type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// Appends the start of an item.
pub(crate) fn head(out: &mut Vec<u8>, write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Encoded) {
    // Writing to a vector cannot fail.
    let _infallible = write(&mut Encoder::new(out));
}
