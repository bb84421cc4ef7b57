//! Settings: defaults, then the file, then the environment, then flags; each knows its origin.

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use model::Namespace;

use crate::{failure::Failure, span};

/// One setting that there is.
struct Key {
    name: &'static str,
    env: &'static str,
    flag: &'static str,
    default: fn() -> Option<String>,
    check: fn(&str) -> Result<()>,
}

const KEYS: [Key; 9] = [
    Key {
        name: "url",
        env: "LOCKSTEP_URL",
        flag: "--url",
        default: || Some("http://127.0.0.1:5980".to_owned()),
        check: anything,
    },
    Key {
        name: "token",
        env: "LOCKSTEP_TOKEN",
        flag: "--token",
        default: || None,
        check: anything,
    },
    Key {
        name: "token_file",
        env: "LOCKSTEP_TOKEN_FILE",
        flag: "--token-file",
        default: || None,
        check: anything,
    },
    Key {
        name: "namespace",
        env: "LOCKSTEP_NAMESPACE",
        flag: "--namespace",
        default: || Some(String::new()),
        check: |text| Ok(Namespace::new(text).map(drop)?),
    },
    Key {
        name: "serve.listen",
        env: "LOCKSTEP_LISTEN",
        flag: "--listen",
        default: || Some("127.0.0.1:5980".to_owned()),
        check: |text| address(text).map(drop),
    },
    Key {
        name: "serve.store",
        env: "LOCKSTEP_STORE",
        flag: "--store",
        default: || data_file().map(|path| format!("sqlite:{}", path.display())),
        check: |text| StoreAt::parse(text).map(drop),
    },
    Key {
        name: "serve.grace",
        env: "LOCKSTEP_GRACE",
        flag: "--grace",
        default: || Some("10s".to_owned()),
        check: |text| Ok(span::parse(text).map(drop)?),
    },
    Key {
        name: "log.format",
        env: "LOCKSTEP_LOG_FORMAT",
        flag: "--log-format",
        default: || Some("text".to_owned()),
        check: log_format,
    },
    Key {
        name: "log.filter",
        env: "LOCKSTEP_LOG",
        flag: "--log",
        default: || Some("info".to_owned()),
        check: anything,
    },
];

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

    /// Gives the place of the store.
    pub(crate) fn store(&self) -> Result<StoreAt> {
        StoreAt::parse(self.text("serve.store"))
    }

    /// Gives the time that requests get to end in when the server stops.
    pub(crate) fn grace(&self) -> Result<Duration> {
        Ok(span::parse(self.text("serve.grace"))?)
    }

    /// Gives the token to present; of token and token file the one of the higher layer counts.
    pub(crate) fn token(&self) -> Result<Option<String>> {
        let (token, file) = (self.values.get("token"), self.values.get("token_file"));
        match (token, file) {
            (Some((token, from)), Some((_, file_from))) if from >= file_from => {
                Ok(Some(token.clone()))
            }
            (_, Some((file, _))) => {
                let text = fs::read_to_string(file)
                    .with_context(|| format!("cannot read the token file {file}"))?;
                Ok(Some(text.trim().to_owned()))
            }
            (Some((token, _)), None) => Ok(Some(token.clone())),
            (None, None) => Ok(None),
        }
    }

    /// Lists all settings with their values, secrets hidden, and origins.
    pub(crate) fn list(&self) -> Vec<(&'static str, Option<String>, Option<&Origin>)> {
        let entry = |key: &Key| match self.values.get(key.name) {
            None => (key.name, None, None),
            Some((_, origin)) if key.name == "token" => {
                (key.name, Some("(hidden)".to_owned()), Some(origin))
            }
            Some((value, origin)) => (key.name, Some(value.clone()), Some(origin)),
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

/// Where the records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreAt {
    /// In memory; they go when the program ends.
    Memory,
    /// In this SQLite database.
    Sqlite(PathBuf),
}

impl StoreAt {
    /// Reads `memory` or `sqlite:PATH`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(Failure::usage(
                format!("unknown store {text:?}"),
                "write `memory`, or `sqlite:PATH` with the path of a database file",
            )
            .into()),
        }
    }
}

fn usual_file() -> Option<PathBuf> {
    folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("lockstep/config.toml"))
}

fn data_file() -> Option<PathBuf> {
    folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("lockstep/lockstep.db"))
}

/// Finds a folder of the XDG base directory rules: only absolute paths count.
fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let named = env::var_os(variable).map(PathBuf::from).and_then(absolute);
    named.or_else(|| env::home_dir().map(|home| home.join(below_home)))
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

fn anything(_: &str) -> Result<()> {
    Ok(())
}

fn address(text: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| {
        let message = format!("{text:?} is not an address to listen on");
        Failure::usage(message, "write an IP address and a port, such as 127.0.0.1:5980").into()
    })
}

fn log_format(text: &str) -> Result<()> {
    if matches!(text, "text" | "json") {
        return Ok(());
    }
    Err(Failure::usage(format!("unknown log format {text:?}"), "write `text` or `json`").into())
}
