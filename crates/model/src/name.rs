//! Names, and the escape in which they travel in URL paths.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;

use crate::{Error, Result, limits};

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allow_empty:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
        pub struct $name(#[schemars(with = "String")] SmolStr);

        impl $name {
            /// Checks and wraps a name of at most [`limits::NAME_BYTES_MAX`] bytes.
            pub fn new(name: impl Into<SmolStr>) -> Result<Self> {
                let name = name.into();
                if name.len() > limits::NAME_BYTES_MAX {
                    return Err(Error::too_large(
                        concat!($what, " name"), name.len(), limits::NAME_BYTES_MAX));
                }
                if name.is_empty() && !$allow_empty {
                    return Err(Error::NoWorkSpecName);
                }
                Ok(Self(name))
            }

            /// Borrows the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(SmolStr::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

text_name!(
    /// The name of a namespace: any text, the empty one included (the default namespace).
    Namespace, "namespace", true
);
text_name!(
    /// The name of a work spec: any text but the empty one.
    SpecName, "work spec", false
);
text_name!(
    /// The name of a worker: any text, the empty one included.
    WorkerName, "worker", true
);

impl Namespace {
    /// Gives the default namespace, whose name is empty.
    pub fn empty() -> Self {
        Self(SmolStr::default())
    }
}

/// The name of a work unit: any bytes, ordered bytewise; as JSON it is written as [`escape`]d text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
pub struct UnitName(#[schemars(with = "String")] Box<[u8]>);

impl UnitName {
    /// Checks and wraps a name of at most [`limits::NAME_BYTES_MAX`] bytes.
    pub fn new(name: impl Into<Box<[u8]>>) -> Result<Self> {
        let name = name.into();
        if name.len() > limits::NAME_BYTES_MAX {
            return Err(Error::too_large("work unit name", name.len(), limits::NAME_BYTES_MAX));
        }
        Ok(Self(name))
    }

    /// Borrows the bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl Serialize for UnitName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape(&self.0))
    }
}

impl<'de> Deserialize<'de> for UnitName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = SmolStr::deserialize(deserializer)?;
        Self::new(unescape(&text).map_err(de::Error::custom)?).map_err(de::Error::custom)
    }
}

/// Writes a name as it stands in a URL path.
///
/// Letters, digits and `-._:` stand for themselves; a name that has anything else, is empty or
/// starts with `-` becomes `-` and its unpadded base64url form, so `""` is `-` and `a/b` `-YS9i`.
pub fn escape(name: &[u8]) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._:".contains(b);
    match std::str::from_utf8(name) {
        Ok(text) if !text.is_empty() && !text.starts_with('-') && name.iter().all(plain) => {
            text.to_owned()
        }
        _ => format!("-{}", URL_SAFE_NO_PAD.encode(name)),
    }
}

/// Reads a name back from its URL path form (see [`escape`]); without a leading `-` it is literal.
pub fn unescape(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix('-') {
        None => Ok(text.as_bytes().to_vec()),
        Some(rest) => URL_SAFE_NO_PAD.decode(rest).map_err(|_| {
            Error::bad_input(format!("name {text:?} starts with \"-\" but is not base64url"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_in_paths() {
        let pairs: [(&[u8], &str); 7] = [
            (b"foo", "foo"),
            (b"", "-"),
            (b"-", "-LQ"),
            (b"\0", "-AA"),
            (b"a/b", "-YS9i"),
            (b"a~", "-YX4"),
            (b"\xff\xfe", "-__4"),
        ];
        for (name, text) in pairs {
            assert_eq!(escape(name), text);
            assert_eq!(unescape(text).unwrap(), name);
        }
        assert!(unescape("-%").is_err());
    }
}
