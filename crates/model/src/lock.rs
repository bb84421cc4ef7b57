//! Locks: named by paths, held by owners for a time, and given back by whoever holds them.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Datum, Error, Result, limits};

/// The path of a lock: labels that compare by type and value, kept as their CBOR in a row.
///
/// CBOR items end themselves, so a path stands above another exactly if its bytes begin the
/// other's, and bytewise order puts all that is below a path right after it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(extend("contentEncoding" = "base64", "contentMediaType" = "application/cbor-seq"))]
pub struct LockPath(#[schemars(with = "String")] Box<[u8]>);

impl LockPath {
    /// Makes a path of labels; in this form it has at most [`limits::NAME_BYTES_MAX`] bytes.
    pub fn new(labels: &[Datum]) -> Result<Self> {
        Self::from_bytes(labels.iter().flat_map(Datum::to_cbor).collect::<Vec<u8>>())
    }

    /// Wraps the CBOR of labels, one after another.
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        if bytes.len() > limits::NAME_BYTES_MAX {
            return Err(Error::too_large(
                "lock path in bytes",
                bytes.len(),
                limits::NAME_BYTES_MAX,
            ));
        }
        let path = Self(bytes);
        path.labels()?;
        Ok(path)
    }

    /// Borrows the CBOR of the labels.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Decodes the labels.
    pub fn labels(&self) -> Result<Vec<Datum>> {
        Datum::sequence_from_cbor(&self.0)
    }

    /// Tells whether this path is the other one or stands above it.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Gives all paths above this one, the shortest first.
    pub fn above(&self) -> Result<Vec<Self>> {
        let mut bytes = Vec::new();
        let mut above = Vec::new();
        for label in self.labels()? {
            above.push(Self(bytes.as_slice().into()));
            bytes.extend(label.to_cbor());
        }
        Ok(above)
    }
}

/// Prints labels as people and the ancestor's clients know them: `[foo bar]`.
impl fmt::Display for LockPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (place, label) in self.labels().unwrap_or_default().iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            match label {
                Datum::Text(text) => write!(f, "{space}{text}")?,
                Datum::Bytes(bytes) => write!(f, "{space}{}", String::from_utf8_lossy(bytes))?,
                Datum::Int(number) => write!(f, "{space}{number}")?,
                other => write!(f, "{space}{other:?}")?,
            }
        }
        f.write_str("]")
    }
}

impl fmt::Debug for LockPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for LockPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for LockPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes =
            STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)?;
        Self::from_bytes(bytes).map_err(de::Error::custom)
    }
}

/// A change to locks, at most [`limits::BATCH_MAX`] at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeLocks {
    /// Who takes, keeps or gives them back.
    pub owner: String,
    /// Which; all are looked at before any is changed.
    pub paths: Vec<LockPath>,
    /// What to do.
    pub change: LockChange,
}

/// What to do with locks. A path is free if neither it nor one above or below it is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LockChange {
    /// Takes all of them or none, for so long; zero is [`limits::LOCK_DEFAULT`].
    Take(Duration),
    /// Takes those that are free. Answers [`crate::Reply::Locked`].
    TakeSome(Duration),
    /// Keeps all of them for so long from now, or changes none.
    Keep(Duration),
    /// Gives all of them back or none.
    GiveBack,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(labels: &[Datum]) -> LockPath {
        LockPath::new(labels).unwrap()
    }

    #[test]
    fn labels_compare_by_type_and_value() {
        let text = path(&[Datum::Text("a".into())]);
        let bytes = path(&[Datum::Bytes(b"a".into())]);
        let below = path(&[Datum::Text("a".into()), Datum::Int(1)]);
        assert_ne!(text, bytes);
        assert!(text.covers(&below) && text.covers(&text));
        assert!(!below.covers(&text) && !bytes.covers(&below));
        let longer = path(&[Datum::Text("ab".into())]);
        assert!(!text.covers(&longer));
        assert_eq!(below.above().unwrap(), [path(&[]), text]);
        assert_eq!(below.to_string(), "[a 1]");
    }

    #[test]
    fn paths_keep_their_form_in_json() {
        let path = path(&[Datum::Text("a".into()), Datum::Bytes(vec![255])]);
        let json = serde_json::to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<LockPath>(&json).unwrap(), path);
        assert!(serde_json::from_str::<LockPath>("\"/w==\"").is_err());
    }

    #[test]
    fn long_paths_are_refused() {
        let long = [Datum::Text("x".repeat(limits::NAME_BYTES_MAX))];
        assert!(matches!(LockPath::new(&long), Err(Error::TooLarge { .. })));
    }
}
