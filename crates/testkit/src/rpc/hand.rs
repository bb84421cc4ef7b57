//! Values, and their bytes in CBOR (RFC 8949).

/// Whether strings that may be either are sent as text or as bytes, as Python 3 and 2 do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strings {
    /// As text.
    Text,
    /// As bytes.
    Bytes,
}

/// A value on the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum V {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A float of 8 bytes.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A string whose kind is left to [`Strings`].
    Either(String),
    /// A list.
    List(Vec<V>),
    /// A Python tuple: tag 128.
    Tuple(Vec<V>),
    /// A map, in the order of its encoded keys, so that equal maps are equal.
    Map(Vec<(V, V)>),
    /// A UUID: tag 37.
    Uuid([u8; 16]),
}

/// Makes a string of either kind.
pub fn s(text: &str) -> V {
    V::Either(text.to_owned())
}

/// Makes a text.
pub fn t(text: &str) -> V {
    V::Text(text.to_owned())
}

/// Makes bytes.
pub fn b(bytes: impl AsRef<[u8]>) -> V {
    V::Bytes(bytes.as_ref().to_vec())
}

/// Makes a whole number.
pub fn i(number: impl Into<i128>) -> V {
    V::Int(number.into())
}

/// Makes a float.
pub fn f(number: f64) -> V {
    V::Float(number)
}

/// Makes a list.
pub fn l(items: impl IntoIterator<Item = V>) -> V {
    V::List(items.into_iter().collect())
}

/// Makes a tuple.
pub fn tu(items: impl IntoIterator<Item = V>) -> V {
    V::Tuple(items.into_iter().collect())
}

/// Makes a map whose keys are strings of either kind.
pub fn m<const N: usize>(pairs: [(&str, V); N]) -> V {
    map(pairs.into_iter().map(|(key, value)| (s(key), value)).collect())
}

fn map(mut pairs: Vec<(V, V)>) -> V {
    pairs.sort_by_key(|(key, _)| key.bytes(Strings::Text));
    V::Map(pairs)
}

impl V {
    /// Gives the bytes.
    pub fn bytes(&self, strings: Strings) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(strings, &mut out);
        out
    }

    fn encode(&self, strings: Strings, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0xf6),
            Self::Bool(value) => out.push(if *value { 0xf5 } else { 0xf4 }),
            Self::Int(value) if *value >= 0 => head(0, *value as u64, out),
            Self::Int(value) => head(1, (-1 - *value) as u64, out),
            Self::Float(value) => {
                out.push(0xfb);
                out.extend(value.to_be_bytes());
            }
            Self::Bytes(bytes) => string(2, bytes, out),
            Self::Text(text) => string(3, text.as_bytes(), out),
            Self::Either(text) => {
                string(if strings == Strings::Text { 3 } else { 2 }, text.as_bytes(), out);
            }
            Self::List(items) => list(items, strings, out),
            Self::Tuple(items) => {
                out.extend([0xd8, 0x80]);
                list(items, strings, out);
            }
            Self::Map(pairs) => {
                head(5, pairs.len() as u64, out);
                for (key, value) in pairs {
                    key.encode(strings, out);
                    value.encode(strings, out);
                }
            }
            Self::Uuid(bytes) => {
                out.extend([0xd8, 0x25, 0x50]);
                out.extend(bytes);
            }
        }
    }

    /// Reads all of these bytes.
    ///
    /// # Panics
    /// Whatever is not CBOR of the kind that the protocol speaks fails the test.
    #[track_caller]
    pub fn read(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let value = Self::take(&mut rest);
        assert_eq!(rest, [0; 0], "bytes after the end");
        value
    }

    #[track_caller]
    fn take(rest: &mut &[u8]) -> Self {
        let first = one(rest);
        let number = |rest: &mut &[u8]| match first & 0x1f {
            small @ 0..24 => u64::from(small),
            size @ 24..28 => {
                (0..1_u32 << (size - 24)).fold(0, |number, _| number << 8 | u64::from(one(rest)))
            }
            _ => panic!("an indefinite length in {first:x}"),
        };
        match (first >> 5, first) {
            (0, _) => Self::Int(number(rest).into()),
            (1, _) => Self::Int(-1 - i128::from(number(rest))),
            (2, _) => {
                let length = number(rest) as usize;
                Self::Bytes(some(rest, length))
            }
            (3, _) => {
                let length = number(rest) as usize;
                let text = some(rest, length);
                Self::Text(String::from_utf8(text).expect("text is UTF-8"))
            }
            (4, _) => Self::List((0..number(rest)).map(|_| Self::take(rest)).collect()),
            (5, _) => {
                let pairs = (0..number(rest)).map(|_| (Self::take(rest), Self::take(rest)));
                map(pairs.collect())
            }
            (6, _) => match (number(rest), Self::take(rest)) {
                (128, Self::List(items)) => Self::Tuple(items),
                (37, Self::Bytes(bytes)) => Self::Uuid(bytes.try_into().expect("16 bytes")),
                (24, embedded) => embedded,
                other => panic!("an unknown tag: {other:?}"),
            },
            (_, 0xf4) => Self::Bool(false),
            (_, 0xf5) => Self::Bool(true),
            (_, 0xf6) => Self::Null,
            (_, 0xfb) => {
                Self::Float(f64::from_be_bytes(some(rest, 8).try_into().expect("8 bytes")))
            }
            _ => panic!("an unknown byte: {first:x}"),
        }
    }

    /// Gives what a string of either kind is once it was sent.
    pub fn sent(self, strings: Strings) -> Self {
        let all = |items: Vec<Self>| items.into_iter().map(|item| item.sent(strings)).collect();
        match (self, strings) {
            (Self::Either(text), Strings::Text) => Self::Text(text),
            (Self::Either(text), Strings::Bytes) => Self::Bytes(text.into_bytes()),
            (Self::List(items), _) => Self::List(all(items)),
            (Self::Tuple(items), _) => Self::Tuple(all(items)),
            // Keys become text where they enter.
            (Self::Map(pairs), _) => {
                let key = |key| match key {
                    Self::Either(text) => Self::Text(text),
                    other => other,
                };
                map(pairs.into_iter().map(|(k, value)| (key(k), value.sent(strings))).collect())
            }
            (other, _) => other,
        }
    }

    /// Tells whether this is a string of any kind with this text.
    pub fn names(&self, name: &str) -> bool {
        match self {
            Self::Text(text) | Self::Either(text) => text == name,
            Self::Bytes(bytes) => bytes == name.as_bytes(),
            _ => false,
        }
    }

    /// Gives the value of a text key of a map.
    #[track_caller]
    pub fn at(&self, name: &str) -> &Self {
        let Self::Map(pairs) = self else { panic!("{self:?} is no map") };
        let found = pairs.iter().find(|(key, _)| *key == t(name));
        &found.unwrap_or_else(|| panic!("{self:?} has no {name:?}")).1
    }

    /// Gives the items of a list or tuple.
    #[track_caller]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) | Self::Tuple(items) => items,
            other => panic!("{other:?} is no list"),
        }
    }
}

/// Appends the start of an item in its shortest form.
fn head(major: u8, number: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    match number {
        0..24 => out.push(major | number as u8),
        24..0x100 => out.extend([major | 24, number as u8]),
        0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend((number as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(major | 26);
            out.extend((number as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend(number.to_be_bytes());
        }
    }
}

fn string(major: u8, bytes: &[u8], out: &mut Vec<u8>) {
    head(major, bytes.len() as u64, out);
    out.extend(bytes);
}

fn list(items: &[V], strings: Strings, out: &mut Vec<u8>) {
    head(4, items.len() as u64, out);
    items.iter().for_each(|item| item.encode(strings, out));
}

#[track_caller]
fn one(rest: &mut &[u8]) -> u8 {
    let (first, tail) = rest.split_first().expect("more bytes");
    *rest = tail;
    *first
}

#[track_caller]
fn some(rest: &mut &[u8], count: usize) -> Vec<u8> {
    let (first, tail) = rest.split_at_checked(count).expect("more bytes");
    *rest = tail;
    first.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_standard() {
        let value = m([("a", l([i(-500), f(1.5), V::Null, tu([t("ä"), b([0, 255])])]))]);
        let expected = b"\xa1\x61a\x84\x39\x01\xf3\xfb\x3f\xf8\0\0\0\0\0\0\xf6\
            \xd8\x80\x82\x62\xc3\xa4\x42\0\xff";
        assert_eq!(value.bytes(Strings::Text), expected);
        assert_eq!(V::read(expected), value.clone().sent(Strings::Text));
        assert_eq!(V::read(&value.bytes(Strings::Bytes)), map(vec![(b("a"), value.at_either())]));
    }

    impl V {
        fn at_either(&self) -> V {
            let V::Map(pairs) = self else { panic!("no map") };
            pairs[0].1.clone()
        }
    }
}
