//! What the rows of workflows share: bodies are JSON, because what they hold is.

use model::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use store::Value;

/// Encodes the body of a row.
pub(crate) fn body<T: Serialize>(body: &T) -> Vec<u8> {
    // Nothing that is kept has keys other than text, so writing cannot fail.
    serde_json::to_vec(body).unwrap_or_default()
}

/// Decodes the body of a row.
pub(crate) fn json<T: DeserializeOwned>(table: &str, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|error| Error::Internal(format!("a row of {table} is damaged: {error}")))
}

/// Gives a column or key value by position.
pub(crate) fn value(values: &[Value], position: usize) -> Result<&Value> {
    values.get(position).ok_or_else(|| Error::Internal("a stored row is too short".to_owned()))
}
