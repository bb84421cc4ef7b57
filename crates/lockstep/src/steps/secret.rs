//! Secrets that steps name: files in one folder, each named as the secret.

use std::path::PathBuf;

use flow::run::{Fault, Standard};
use serde_json::Value as Json;

/// Bytes of one secret.
const BYTES_MAX: u64 = 64 << 10;

/// Where secrets are.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    folder: Option<PathBuf>,
}

impl Secrets {
    /// Takes them from the files of a folder; an empty path is none.
    pub(crate) fn in_folder(path: &str) -> Self {
        Self { folder: (!path.is_empty()).then(|| PathBuf::from(path)) }
    }

    /// Gives a secret: JSON where the file holds that, or else its text without the last line
    /// break.
    pub(crate) fn get(&self, name: &str) -> Result<Json, Fault> {
        let refuse =
            |why: &str| Fault::standard(Standard::Authorization, format!("secret {name:?} {why}"));
        let Some(folder) = &self.folder else {
            return Err(refuse("is not there: this server has no folder of secrets"));
        };
        let is_plain = !name.is_empty()
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !is_plain {
            return Err(refuse("has a name that no file can have"));
        }
        let path = folder.join(name);
        let size = std::fs::metadata(&path).map_err(|_| refuse("is not there"))?.len();
        if size > BYTES_MAX {
            return Err(refuse("is too large"));
        }
        let text = std::fs::read_to_string(&path).map_err(|_| refuse("cannot be read"))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned())))
    }
}
