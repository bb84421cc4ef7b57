//! Blobs: content that is too large for data, by the SHA-256 of it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::{Error, Id, Page, Result, Time, hex};

/// The SHA-256 of a blob's content, which is its id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(description = "A SHA-256 in 64 hexadecimal digits.")]
pub struct BlobId(#[schemars(with = "String")] pub [u8; 32]);

impl BlobId {
    /// Computes the id of content.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// Reads 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::BadInput`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            let shown: String = text.chars().take(80).collect();
            Error::bad_input(format!("{shown:?} is no blob id: it has 64 hexadecimal digits"))
        };
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let digits: Option<Vec<u8>> = text.bytes().map(digit).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |byte, digit| byte << 4 | digit);
        }
        Ok(Self(id))
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for BlobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A part of a blob's content; base64 in JSON.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
pub struct Content(#[schemars(with = "String")] pub Vec<u8>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(de::Error::custom)
    }
}

/// A change to blobs. Content is sent in parts, and is a blob once it is finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BlobCommand {
    /// Begins with new content. Answers [`crate::Reply::Id`], by which the next ones name it.
    Begin {
        /// Its media type.
        #[serde(rename = "type")]
        kind: String,
    },
    /// Adds a part at the end, of [`crate::limits::BLOB_PART_BYTES`]; only the last may be
    /// shorter. Answers [`crate::Reply::Done`].
    Part {
        /// What begin answered.
        upload: Id,
        /// How many bytes there are before it.
        at: u64,
        /// The part.
        content: Content,
    },
    /// Makes a blob of what was sent; one of the same content is the same blob, and is kept for
    /// as long as a new one. Answers [`crate::Reply::Blob`].
    Finish {
        /// What begin answered.
        upload: Id,
    },
    /// Forgets what was sent and not finished. Answers [`crate::Reply::Done`].
    Abandon {
        /// What begin answered.
        upload: Id,
    },
}

/// What there is to know of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlobInfo {
    /// Its id.
    pub id: BlobId,
    /// How many bytes it has.
    pub bytes: u64,
    /// Its media type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was finished first.
    pub created: Time,
}

impl BlobInfo {
    /// Gives the value by which data refers to the blob; while it stands somewhere, the blob stays.
    pub fn reference(&self) -> Json {
        json!({ "$blob": { "id": self.id, "bytes": self.bytes, "type": self.kind } })
    }
}

/// A question about blobs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BlobQuery {
    /// Blobs in the order of their ids. Answers [`BlobAnswer::Blobs`].
    Blobs(Page<BlobId>),
    /// One blob. Answers [`BlobAnswer::Blob`].
    Blob(BlobId),
    /// One part of its content, counted from 0; it is held against its hash. Answers
    /// [`BlobAnswer::Part`].
    Part(BlobId, u64),
}

/// The answer to a [`BlobQuery`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlobAnswer {
    /// Blobs, one page.
    Blobs(Vec<BlobInfo>),
    /// A blob.
    Blob(BlobInfo),
    /// A part of a blob's content.
    Part(Content),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = BlobId([0x9f; 32]);
        assert_eq!(BlobId::parse(&id.to_string()), Ok(id));
        for wrong in ["", "9f", &"9F".repeat(32), &"9g".repeat(32), &"9f".repeat(33)] {
            assert!(BlobId::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn content_is_not_shown() {
        assert_eq!(format!("{:?}", Content(b"secret".to_vec())), "(6 bytes)");
        assert_eq!(serde_json::to_value(Content(b"a".to_vec())).unwrap(), json!("YQ=="));
    }
}
