//! Secrets that steps name: files in one folder, each named as the secret.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use flow::run::{Fault, Standard, Used};
use serde_json::Value as Json;

/// Bytes of one secret.
const BYTES_MAX: u64 = 64 << 10;

/// Where secrets are.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    folder: Option<PathBuf>,
    /// What one step has used of them.
    used: Arc<Mutex<Used>>,
}

impl Secrets {
    /// Takes them from the files of a folder; an empty path is none.
    pub(crate) fn in_folder(path: &str) -> Self {
        let folder = (!path.is_empty()).then(|| PathBuf::from(path));
        Self { folder, ..Self::default() }
    }

    /// Gives the same secrets to one step, which notes what it uses of them.
    pub(super) fn for_step(&self) -> Self {
        Self { folder: self.folder.clone(), ..Self::default() }
    }

    /// Puts secrets in the place of their names in the input of a step.
    pub(super) fn unseal(&self, input: &Json) -> Result<Json, Fault> {
        let seal = input.pointer("/lockstep/seal").and_then(Json::as_str);
        match seal.and_then(|seal| u64::from_str_radix(seal, 16).ok()) {
            Some(seal) => self.used().unseal(input, seal, &|name| self.get(name)),
            None => Ok(input.clone()),
        }
    }

    /// Gives a secret that a step names, and notes that the step knows it.
    pub(super) fn take(&self, name: &str) -> Result<Json, Fault> {
        let secret = self.get(name)?;
        self.used().note_all(name, &secret);
        Ok(secret)
    }

    /// Notes a text that was made of a secret, or given for one.
    pub(super) fn note(&self, text: &str) {
        self.used().note("{{secret}}", text);
    }

    /// Puts names in the place of secrets in what a step gives.
    pub(super) fn hide(&self, output: Json) -> Json {
        self.used().hide(output)
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Used> {
        // Nothing in here can panic half-way, so a poisoned lock still guards good state.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
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
