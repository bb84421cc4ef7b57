//! Secrets: values that are sealed in the store, and that no answer ever gives back.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value as Json;
use smol_str::SmolStr;
use zeroize::Zeroize as _;

use crate::{Error, Result, Revision, Time, limits};

/// The name of a secret, which could also be that of a file: letters, digits and `-_.`, not with a
/// dot in front.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
pub struct SecretName(#[schemars(with = "String")] SmolStr);

impl SecretName {
    /// Checks and wraps a name of at most [`limits::SECRET_NAME_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it is longer, [`Error::BadInput`] if it has other characters.
    pub fn new(name: impl Into<SmolStr>) -> Result<Self> {
        let name = name.into();
        if name.len() > limits::SECRET_NAME_BYTES_MAX {
            let max = limits::SECRET_NAME_BYTES_MAX;
            return Err(Error::too_large("secret name in bytes", name.len(), max));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
            return Err(Error::bad_input(format!(
                "{name:?} cannot name a secret: use letters, digits and -_. with no dot in front"
            )));
        }
        Ok(Self(name))
    }

    /// Borrows the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SecretName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(SmolStr::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The value of a secret: text that is never shown, and overwritten with zeros once it is dropped.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
pub struct SecretValue(#[schemars(with = "String")] String);

impl SecretValue {
    /// Wraps a text of at most [`limits::SECRET_BYTES_MAX`] bytes, and not an empty one.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it is longer, [`Error::BadInput`] if it is empty.
    pub fn new(text: String) -> Result<Self> {
        let value = Self(text);
        let size = value.0.len();
        if size > limits::SECRET_BYTES_MAX {
            return Err(Error::too_large("a secret in bytes", size, limits::SECRET_BYTES_MAX));
        }
        if size == 0 {
            return Err(Error::bad_input("a secret is not empty; send its value"));
        }
        Ok(value)
    }

    /// Wraps bytes that must be text.
    ///
    /// # Errors
    /// Those of [`Self::new`], and [`Error::BadInput`] for what is not UTF-8; the error says
    /// nothing of the bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        match String::from_utf8(bytes) {
            Ok(text) => Self::new(text),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(Error::bad_input("a secret is text in UTF-8; encode other bytes as base64"))
            }
        }
    }

    /// Borrows the text as it was set.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Borrows the text without the line break at its end that editors and `echo` leave.
    pub fn line(&self) -> &str {
        self.0.strip_suffix('\n').unwrap_or(&self.0)
    }

    /// Gives what expressions and steps see: JSON where the text is that, or else the text without
    /// the line break at its end.
    pub fn to_json(&self) -> Json {
        let line = self.line();
        serde_json::from_str(line).unwrap_or_else(|_| Json::String(line.to_owned()))
    }
}

impl Drop for SecretValue {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for SecretValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A change to the secrets of a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretCommand {
    /// Sets a secret, or replaces its value. Answers [`crate::Reply::Done`].
    Set {
        /// Its name.
        name: SecretName,
        /// Its value.
        value: SecretValue,
    },
    /// Removes a secret. Answers [`crate::Reply::Done`].
    Remove {
        /// Its name.
        name: SecretName,
    },
    /// Seals under the first key of the server what is sealed under another one, and looks at up to
    /// [`crate::limits::SECRETS_RESEALED_MAX`] secrets. Answers [`crate::Reply::Resealed`].
    Reseal {
        /// Only secrets whose names come after this one.
        #[serde(default)]
        after: Option<SecretName>,
    },
}

/// What there is to know of a secret, which is not its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretInfo {
    /// Its name.
    pub name: SecretName,
    /// The revision of its namespace in which its value was set.
    pub revision: Revision,
    /// When that was.
    pub changed: Time,
    /// The id of the key under which it is sealed, in 16 hexadecimal digits.
    pub key: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_could_be_those_of_files() {
        for good in ["a", "erp-token", "smtp.password", "A_1", &"x".repeat(128)] {
            assert!(SecretName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".a", "a/b", "a b", "é", "a\0", &"x".repeat(129)] {
            assert!(SecretName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn values_are_not_shown_and_not_said_in_errors() {
        let value = SecretValue::new("s3cret".to_owned()).unwrap();
        assert_eq!(format!("{value:?}"), "(hidden)");
        let command = SecretCommand::Set { name: SecretName::new("a").unwrap(), value };
        assert!(!format!("{command:?}").contains("s3cret"));
        let wrong = SecretValue::from_bytes(b"s3cret\xff".to_vec()).unwrap_err();
        assert!(!format!("{wrong:?}").contains("s3cret"));
        assert!(SecretValue::new(String::new()).is_err());
        let most = limits::SECRET_BYTES_MAX;
        assert!(SecretValue::new("x".repeat(most)).is_ok());
        assert!(SecretValue::new("x".repeat(most + 1)).is_err());
    }

    #[test]
    fn values_are_json_or_text() {
        let seen = |text: &str| SecretValue::new(text.to_owned()).unwrap().to_json();
        assert_eq!(seen("a b\n"), json!("a b"));
        assert_eq!(seen("a\n\n"), json!("a\n"));
        assert_eq!(seen("{\"user\": \"me\"}\n"), json!({"user": "me"}));
        assert_eq!(seen("0012"), json!("0012"));
        assert_eq!(seen("12"), json!(12));
    }
}
