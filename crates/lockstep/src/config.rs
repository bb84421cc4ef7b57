//! Settings: defaults, then the file, then the environment, then flags; each knows its origin.

mod keys;
mod values;

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use engine::Keys;
use model::Namespace;
use server::{Rate, TlsFiles};

pub(crate) use self::values::folder;
use self::{
    keys::{KEYS, Key},
    values::{
        address, collector, guard, on_or_off, peer_url, rate, rpc, share, webhooks, yes_or_no,
    },
};
use crate::{
    failure::Failure,
    keyring, span,
    steps::{Means, Secrets},
};

/// Where a value came from, in rising order of weight.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Built in.
    Default,
    /// This configuration file.
    File(PathBuf),
    /// This variable.
    Env(&'static str),
    /// This flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// All settings, checked.
pub(crate) struct Config {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Config {
    /// Puts the layers on top of each other and checks every value.
    pub(crate) fn load(
        file: Option<&Path>,
        flags: Vec<(&'static str, Option<String>)>,
    ) -> Result<Self> {
        let mut config = Self { values: BTreeMap::new() };
        for key in &KEYS {
            config.set(key, (key.default)(), Origin::Default)?;
        }
        config.add_file(file)?;
        for key in &KEYS {
            config.set(key, env::var(key.env).ok(), Origin::Env(key.env))?;
        }
        for (name, value) in flags {
            if let Some(key) = KEYS.iter().find(|key| key.name == name) {
                config.set(key, value, Origin::Flag(key.flag))?;
            }
        }
        Ok(config)
    }

    /// Borrows a value; one that is not set is empty.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", |(value, _)| value)
    }

    /// Gives the namespace to work in.
    pub(crate) fn namespace(&self) -> Result<Namespace> {
        Ok(Namespace::new(self.text("namespace"))?)
    }

    /// Gives the address to listen on.
    pub(crate) fn listen(&self) -> Result<SocketAddr> {
        address(self.text("serve.listen"))
    }

    /// Gives the URL at which other nodes reach this one.
    pub(crate) fn peer_url(&self) -> Result<Option<reqwest::Url>> {
        peer_url(self.text("serve.peer_url"))
    }

    /// Gives the address to listen on for CBOR-RPC.
    pub(crate) fn rpc(&self) -> Result<Option<SocketAddr>> {
        rpc(self.text("serve.rpc"))
    }

    /// Gives the place of the store.
    pub(crate) fn store(&self) -> Result<StoreAt> {
        StoreAt::parse(self.text("serve.store"))
    }

    /// Gives the path that a setting names.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name)).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Gives the paths that two settings name, of which one is of no use without the other.
    pub(crate) fn pair(&self, one: &str, other: &str) -> Result<Option<(PathBuf, PathBuf)>> {
        match (self.path(one), self.path(other)) {
            (None, None) => Ok(None),
            (Some(first), Some(second)) => Ok(Some((first, second))),
            _ => {
                let hint = "a certificate is of no use without its key: set both, or neither";
                Err(Failure::usage(format!("{one} and {other} go together"), hint).into())
            }
        }
    }

    /// Gives the files for TLS.
    pub(crate) fn tls(&self) -> Result<Option<TlsFiles>> {
        let client_ca = self.path("serve.tls_client_ca");
        match self.pair("serve.tls_cert", "serve.tls_key")? {
            Some((cert, key)) => Ok(Some(TlsFiles { cert, key, client_ca })),
            None if client_ca.is_none() => Ok(None),
            None => {
                let hint = "set serve.tls_cert and serve.tls_key too";
                let message = "serve.tls_client_ca asks clients for certificates, which needs TLS";
                Err(Failure::usage(message, hint).into())
            }
        }
    }

    /// Tells whether programs on this machine need a token too.
    pub(crate) fn require_token(&self) -> Result<bool> {
        yes_or_no(self.text("serve.require_token"))
    }

    /// Gives the number of requests that one caller may make.
    pub(crate) fn rate(&self) -> Result<Rate> {
        match self.text("serve.rate_limit") {
            "" => Ok(Rate::Usual),
            text => rate(text),
        }
    }

    /// Tells whether answers are kept in memory.
    pub(crate) fn cache(&self) -> Result<bool> {
        on_or_off(self.text("serve.cache"))
    }

    /// Gives what the server may do itself for workflows.
    pub(crate) fn means(&self) -> Result<Means> {
        Ok(Means {
            guard: guard(self.text("serve.steps_may_call"))?,
            secrets: Secrets::in_folder(self.text("serve.secrets")),
            keys: self.keys()?,
            processes: on_or_off(self.text("serve.processes"))?,
            webhooks: webhooks(self.text("serve.publish_webhooks"))?,
            instances_kept: Some(span::parse(self.text("serve.keep_instances"))?),
            tracer: None,
        })
    }

    /// Reads the keys for secrets, if there are any.
    pub(crate) fn keys(&self) -> Result<Option<Arc<Keys>>> {
        keyring::read(self.text("serve.secrets_key"))
    }

    /// Gives the folder of the mail accounts whose rounds the server makes itself.
    pub(crate) fn mail(&self) -> Option<PathBuf> {
        self.path("serve.mail")
    }

    /// Gives the time that requests get to end in when the server stops.
    pub(crate) fn grace(&self) -> Result<Duration> {
        Ok(span::parse(self.text("serve.grace"))?)
    }

    /// Gives where spans are sent, if anywhere.
    pub(crate) fn otlp_endpoint(&self) -> Result<Option<reqwest::Url>> {
        collector(self.text("otlp.endpoint"))
    }

    /// Gives the share of traces that are recorded.
    pub(crate) fn otlp_sample(&self) -> Result<f64> {
        share(self.text("otlp.sample"))
    }

    /// Gives the token to present.
    pub(crate) fn token(&self) -> Result<Option<String>> {
        self.secret("token", "token_file")
    }

    /// Gives a secret; of the one that is said and the one in a file that of the higher layer
    /// counts.
    pub(crate) fn secret(&self, name: &str, in_file: &str) -> Result<Option<String>> {
        let (secret, file) = (self.values.get(name), self.values.get(in_file));
        match (secret, file) {
            (Some((secret, from)), Some((_, file_from))) if from >= file_from => {
                Ok(Some(secret.clone()))
            }
            (_, Some((file, _))) => {
                let what = name.rsplit('.').next().unwrap_or(name).replace('_', " ");
                let text = fs::read_to_string(file)
                    .with_context(|| format!("cannot read the {what} file {file}"))?;
                Ok(Some(text.trim().to_owned()))
            }
            (Some((secret, _)), None) => Ok(Some(secret.clone())),
            (None, None) => Ok(None),
        }
    }

    /// Lists all settings with their values, secrets hidden, and origins.
    pub(crate) fn list(&self) -> Vec<(&'static str, Option<String>, Option<&Origin>)> {
        let entry = |key: &Key| match self.values.get(key.name) {
            None => (key.name, None, None),
            Some((_, origin)) if matches!(key.name, "token" | "oidc.client_secret") => {
                (key.name, Some("(hidden)".to_owned()), Some(origin))
            }
            Some((value, origin)) => (key.name, Some(without_password(value)), Some(origin)),
        };
        KEYS.iter().map(entry).collect()
    }

    fn set(&mut self, key: &Key, value: Option<String>, origin: Origin) -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        (key.check)(&value).with_context(|| format!("setting {} from {origin}", key.name))?;
        self.values.insert(key.name, (value, origin));
        Ok(())
    }

    /// Adds the layer of the file: the named one must exist, the usual one may.
    fn add_file(&mut self, file: Option<&Path>) -> Result<()> {
        let named =
            file.map(Path::to_owned).or_else(|| env::var_os("LOCKSTEP_CONFIG").map(Into::into));
        let Some(path) = named.clone().or_else(usual_file) else { return Ok(()) };
        if named.is_none() && !path.exists() {
            return Ok(());
        }
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let message = format!("{} is not TOML: {error}", path.display());
            Failure::usage(message.trim_end(), "correct the file")
        })?;
        let mut found = Vec::new();
        flatten("", &table, &mut found);
        for (name, value) in found {
            let key = KEYS.iter().find(|key| key.name == name);
            let key = key.ok_or_else(|| unknown(&name, &path))?;
            self.set(key, Some(value), Origin::File(path.clone()))?;
        }
        Ok(())
    }
}

/// Hides the password in an address.
fn without_password(text: &str) -> String {
    let found = text.split_once("://").and_then(|(scheme, rest)| {
        let (user, place) = rest.split_at_checked(rest.split('/').next()?.rfind('@')?)?;
        Some(format!("{scheme}://{}:…{place}", user.split_once(':')?.0))
    });
    found.unwrap_or_else(|| text.to_owned())
}

/// Where the records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreAt {
    /// In memory; they go when the program ends.
    Memory,
    /// In this SQLite database.
    Sqlite(PathBuf),
    /// In the PostgreSQL database at this address, which may hold a password.
    Postgres(String),
}

impl StoreAt {
    /// Reads `memory`, `sqlite:PATH` or `postgres://…`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            _ => Err(Failure::usage(
                format!("unknown store {text:?}"),
                "write `memory`, `sqlite:PATH` with the path of a database file, or \
                 postgres://USER@HOST:PORT/DATABASE",
            )
            .into()),
        }
    }
}

fn usual_file() -> Option<PathBuf> {
    folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("lockstep/config.toml"))
}

fn flatten(prefix: &str, table: &toml::Table, found: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(table) => flatten(&name, table, found),
            toml::Value::String(text) => found.push((name, text.clone())),
            other => found.push((name, other.to_string())),
        }
    }
}

fn unknown(name: &str, path: &Path) -> Failure {
    let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    let hint = closest(name, &names).map_or_else(
        || format!("the keys are {}", names.join(", ")),
        |near| format!("did you mean {near:?}?"),
    );
    Failure::usage(format!("unknown key {name:?} in {}", path.display()), hint)
}

/// Finds the word that a mistyped one was probably meant to be.
pub(crate) fn closest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    // The last part of a dotted name is often all that people remember.
    let distance = |known: &str| {
        let last = known.rsplit('.').next().unwrap_or(known);
        strsim::osa_distance(word, known).min(strsim::osa_distance(word, last))
    };
    let best = words.iter().copied().min_by_key(|known| distance(known))?;
    let length = word.chars().count();
    (distance(best) <= 1 + length / 4 && distance(best) < length).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let shown = [
            ("postgres://me:s3c@ret@db:5432/work?x=1", "postgres://me:…@db:5432/work?x=1"),
            ("postgres://me@db/work", "postgres://me@db/work"),
            ("postgres://db/a:b@c", "postgres://db/a:b@c"),
            ("sqlite:/var/lib/a:b@c.db", "sqlite:/var/lib/a:b@c.db"),
            ("127.0.0.1:5980", "127.0.0.1:5980"),
        ];
        for (address, expected) in shown {
            assert_eq!(without_password(address), expected);
        }
    }
}
