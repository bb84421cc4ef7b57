//! Secrets that steps name: those of the store, sealed, and files in one folder, each named as the
//! secret. A secret of the store comes before a file of the same name.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use engine::Engine;
use flow::run::{Fault, Standard, Used, wipe};
use model::{Namespace, SecretName, SecretValue, limits};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde_json::Value as Json;

/// Where secrets are.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    folder: Option<PathBuf>,
    /// The engine that opens those of the store, and the namespace of the step.
    store: Option<(Arc<Engine>, Namespace)>,
    /// What one step has used of them.
    used: Arc<Mutex<Used>>,
}

/// Secrets that are open, which are overwritten with zeros once this is dropped.
struct Open(BTreeMap<String, Json>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

impl Secrets {
    /// Takes them from the files of a folder; an empty path is none.
    pub(crate) fn in_folder(path: &str) -> Self {
        let folder = (!path.is_empty()).then(|| PathBuf::from(path));
        Self { folder, ..Self::default() }
    }

    /// Gives the same secrets, and before them those of the store, to one step of a namespace,
    /// which notes what it uses of them.
    pub(super) fn for_step(&self, engine: &Arc<Engine>, namespace: &Namespace) -> Self {
        let store = Some((Arc::clone(engine), namespace.clone()));
        Self { folder: self.folder.clone(), store, used: Arc::default() }
    }

    /// Puts secrets in the place of their names in the input of a step.
    pub(super) async fn unseal(&self, input: &Json) -> Result<Json, Fault> {
        let seal = input.pointer("/lockstep/seal").and_then(Json::as_str);
        let Some(seal) = seal.and_then(|seal| u64::from_str_radix(seal, 16).ok()) else {
            return Ok(input.clone());
        };
        let mut open = Open(BTreeMap::new());
        for name in names_in(input, seal)? {
            let secret = self.get(&name).await?;
            self.note_forms(&secret);
            open.0.insert(name, secret);
        }
        self.used().unseal(input, seal, &|name| match open.0.get(name) {
            Some(secret) => Ok(secret.clone()),
            None => Err(refused(name, "is not there")),
        })
    }

    /// Gives a secret that a step names, and notes that the step knows it.
    pub(super) async fn take(&self, name: &str) -> Result<Json, Fault> {
        let secret = self.get(name).await?;
        self.used().note_all(name, &secret);
        self.note_forms(&secret);
        Ok(secret)
    }

    /// Notes a text that was made of a secret, or given for one.
    pub(super) fn note(&self, text: &str) {
        self.used().note("{{secret}}", text);
    }

    /// Notes in which forms a secret may come back: as it stands in addresses, forms, JSON and
    /// base64.
    fn note_forms(&self, secret: &Json) {
        match secret {
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
            Json::String(text) => {
                let quoted = secret.to_string();
                let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
                let form = as_in_forms(text).unwrap_or_default();
                let escaped = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
                let coded = [STANDARD.encode(text), URL_SAFE_NO_PAD.encode(text)];
                let forms = [inner.to_owned(), form, escaped].into_iter().chain(coded);
                forms.filter(|form| form != text).for_each(|form| self.note(&form));
            }
            Json::Array(list) => list.iter().for_each(|value| self.note_forms(value)),
            Json::Object(map) => map.values().for_each(|value| self.note_forms(value)),
        }
    }

    /// Puts names in the place of secrets in what a step gives.
    pub(super) fn hide(&self, output: Json) -> Json {
        self.used().hide(output)
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Used> {
        // Nothing in here can panic half-way, so a poisoned lock still guards good state.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a secret of the store, or else of the folder.
    async fn get(&self, name: &str) -> Result<Json, Fault> {
        if let Some((engine, namespace)) = &self.store {
            let opened = engine.open_secret(namespace, name).await;
            // One that cannot be opened is not replaced by another one.
            let opened =
                opened.map_err(|error| refused(name, &format!("is not given: {error}")))?;
            if let Some(value) = opened {
                return Ok(value.to_json());
            }
        }
        self.in_file(name)
    }

    /// Gives a secret of the folder: JSON where the file holds that, or else its text without the
    /// last line break.
    pub(crate) fn in_file(&self, name: &str) -> Result<Json, Fault> {
        let refuse = |why: &str| refused(name, why);
        let Some(folder) = &self.folder else {
            return Err(refuse("is not in the store, and this server has no folder of secrets"));
        };
        if SecretName::new(name).is_err() {
            return Err(refuse("has a name that no file can have"));
        }
        let path = folder.join(name);
        let size = std::fs::metadata(&path).map_err(|_| refuse("is not there"))?.len();
        if size > limits::SECRET_BYTES_MAX as u64 {
            return Err(refuse("is too large"));
        }
        let bytes = std::fs::read(&path).map_err(|_| refuse("cannot be read"))?;
        let value = SecretValue::from_bytes(bytes);
        value.map(|value| value.to_json()).map_err(|error| refuse(&format!("is wrong: {error}")))
    }
}

/// Gives the names of the secrets that stand in the input of a step.
fn names_in(input: &Json, seal: u64) -> Result<BTreeSet<String>, Fault> {
    let names = RefCell::new(BTreeSet::new());
    Used::default().unseal(input, seal, &|name| {
        names.borrow_mut().insert(name.to_owned());
        Ok(Json::Null)
    })?;
    Ok(names.into_inner())
}

/// Writes a text as forms and queries of addresses have it.
fn as_in_forms(text: &str) -> Option<String> {
    let mut url = Url::parse("http://form/").ok()?;
    url.query_pairs_mut().append_key_only(text);
    url.query().map(str::to_owned)
}

fn refused(name: &str, why: &str) -> Fault {
    Fault::standard(Standard::Authorization, format!("secret {name:?} {why}"))
}
