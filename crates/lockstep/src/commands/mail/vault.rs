//! Secrets of the store that accounts name, and who opens them.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, Result};
use engine::Engine;
use model::{Error, Namespace, SecretValue};

use super::settings::AccountFile;
use crate::{
    config::{Config, StoreAt},
    failure::Failure,
    keyring, serve,
};

/// Who opens secrets of the store.
#[derive(Clone)]
pub(crate) enum Vault {
    /// The engine of the server in this process.
    Engine(Arc<Engine>),
    /// This process, which opens the store for as long as that takes.
    Store {
        /// The store, as [`StoreAt::parse`] reads it.
        place: String,
        /// Where its keys are; see [`keyring::read`].
        keys: String,
    },
    /// Nobody, since this process only talks to a server, which gives no secret away.
    Nobody,
}

/// The open secrets of one account, by their names.
#[derive(Default)]
pub(super) struct Given(BTreeMap<String, SecretValue>);

impl Vault {
    /// Opens the store that is configured, once there is something to open in it.
    pub(super) fn configured(config: &Config) -> Self {
        let text = |name| config.text(name).to_owned();
        Self::Store { place: text("serve.store"), keys: text("serve.secrets_key") }
    }

    /// Opens the secrets that an account names, which are those of its namespace.
    pub(super) async fn give(&self, file: &AccountFile) -> Result<Given> {
        let mut given = Given::default();
        let names = names(file);
        let Some(first) = names.first() else { return Ok(given) };
        let namespace = Namespace::new(file.namespace.as_str())?;
        let engine = match self {
            Self::Engine(engine) => Arc::clone(engine),
            Self::Store { place, keys } => opened(place, keys, first).await?,
            Self::Nobody => {
                let message = format!("secret {first:?} is in the store, which no worker opens");
                let hint = "let the server make the rounds (`lockstep serve --mail FOLDER`), or \
                            say in the account's file where else the password comes from";
                return Err(Failure::usage(message, hint).into());
            }
        };
        for name in names {
            let value = engine.open_secret(&namespace, name).await?;
            let value = value.ok_or_else(|| Error::NoSuchSecret(name.to_owned()));
            given.0.insert(name.to_owned(), value.context("the account names a secret")?);
        }
        Ok(given)
    }
}

/// Opens a store that is there already.
async fn opened(place: &str, keys: &str, secret: &str) -> Result<Arc<Engine>> {
    let refused = |why: String| {
        let hint = "give the store with --store and its key with --secrets-key, or let the server \
                    make the rounds (`lockstep serve --mail FOLDER`)";
        Failure::usage(format!("secret {secret:?} cannot be used: {why}"), hint)
    };
    let keys = keyring::read(keys)?.ok_or_else(|| refused("no key is given".to_owned()))?;
    let place = StoreAt::parse(place)?;
    match &place {
        StoreAt::Memory => return Err(refused("a store in memory has none".to_owned()).into()),
        StoreAt::Sqlite(path) if !path.exists() => {
            return Err(refused(format!("there is no store {}", path.display())).into());
        }
        StoreAt::Sqlite(_) | StoreAt::Postgres(_) => {}
    }
    let store = serve::open(&place).context("the store that has the secrets of the account")?;
    let clock = engine::clock_of(&store);
    let engine = Engine::new(store, clock);
    engine.take_keys(Some(keys)).await?;
    Ok(engine)
}

/// Gives the names of the secrets that an account names.
fn names(file: &AccountFile) -> Vec<&str> {
    let stores = [&file.left, &file.right];
    let named = stores.into_iter().flat_map(|store| {
        let oauth = store.oauth.as_ref();
        [
            store.password_secret.as_deref(),
            oauth.and_then(|oauth| oauth.client_secret_secret.as_deref()),
            oauth.and_then(|oauth| oauth.refresh_token_secret.as_deref()),
        ]
    });
    named.flatten().collect()
}

impl Given {
    /// Gives the first line of a secret.
    pub(super) fn line(&self, name: &str) -> Result<String> {
        let value = self.0.get(name).ok_or_else(|| Error::NoSuchSecret(name.to_owned()))?;
        Ok(value.expose().lines().next().unwrap_or_default().to_owned())
    }
}
