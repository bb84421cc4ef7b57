//! The files of accounts: what is kept in step, and how.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use mail::{
    Sides,
    controller::{Hide, Rule},
    driver::imap::Compressing,
    engine::Settings,
    plan::Guard,
};
use serde::{Deserialize, Serialize};

use crate::{config::folder, failure::Failure, span};

/// The shortest lease that can be kept, and the longest for which waiting makes sense.
const LEASE_MIN: Duration = Duration::from_secs(1);
const LEASE_MAX: Duration = Duration::from_mins(15);

/// An account as its file says it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountFile {
    /// The namespace of its rounds, where a server makes them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) namespace: String,
    /// One store.
    pub(super) left: StoreFile,
    /// The other store.
    pub(super) right: StoreFile,
    /// How they are kept in step.
    #[serde(default)]
    pub(super) sync: SyncFile,
    /// How much may be removed without being asked for.
    #[serde(default)]
    pub(super) guard: Guard,
    /// What is left out.
    #[serde(default)]
    pub(super) hide: Hide,
}

/// A store as the file says it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreFile {
    /// Where it is.
    pub(super) url: String,
    /// A command that prints the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) password_command: Option<String>,
    /// A file whose first line is the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) password_file: Option<PathBuf>,
    /// A variable of the environment that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) password_env: Option<String>,
    /// A secret of the store that is the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) password_secret: Option<String>,
    /// A command that prints an access token, in place of a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token_command: Option<String>,
    /// Who gives access tokens, in place of a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) oauth: Option<OauthFile>,
    /// A file with certificates to trust in place of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca_file: Option<PathBuf>,
    /// Extensions that are not used although the server offers them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) without: Vec<String>,
    /// Whether nothing may be changed.
    #[serde(default)]
    pub(super) read_only: bool,
    /// When a connection is compressed.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub(super) compress: Compressing,
    /// Whether the directories of a Maildir have folder names in modified UTF-7, as other programs
    /// write them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) utf7: bool,
    /// Other names for folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) names: Vec<Rule>,
    /// Requests that it may get in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) operations_a_second: Option<u32>,
    /// Bytes of messages that may pass in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bytes_a_second: Option<u32>,
}

/// Who gives access tokens, as the file says it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OauthFile {
    /// The address that is asked for tokens.
    pub(super) token_url: String,
    /// What the service calls this program.
    pub(super) client_id: String,
    /// A command that prints the secret of this program, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_secret_command: Option<String>,
    /// A file whose first line it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_secret_file: Option<PathBuf>,
    /// A variable of the environment that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_secret_env: Option<String>,
    /// A secret of the store that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_secret_secret: Option<String>,
    /// A command that prints the refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token_command: Option<String>,
    /// A file whose first line it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token_file: Option<PathBuf>,
    /// A variable of the environment that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token_env: Option<String>,
    /// A secret of the store that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token_secret: Option<String>,
    /// What is to be allowed, where the service wants to be told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<String>,
}

fn is_usual(compressing: &Compressing) -> bool {
    *compressing == Compressing::default()
}

/// How sides are kept in step, as the file says it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SyncFile {
    /// Whether a message that one side removed comes back if the other flagged it since.
    keep_flagged: bool,
    /// Connections to each side.
    connections: usize,
    /// How long removed messages are kept.
    keep_removed: String,
    /// How long a server may still act on what a lost connection had sent.
    grace: String,
    /// How often `--watch` and servers look by themselves.
    interval: String,
    /// How long another node waits before it takes a round over from one that is gone.
    lease: String,
    /// Where removed messages are kept, if not in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<PathBuf>,
}

impl Default for SyncFile {
    fn default() -> Self {
        Self {
            keep_flagged: false,
            connections: 4,
            keep_removed: "30d".to_owned(),
            grace: "5s".to_owned(),
            interval: "5m".to_owned(),
            lease: "15s".to_owned(),
            removed: None,
        }
    }
}

impl AccountFile {
    /// Gives what the engine has to know.
    pub(super) fn settings(&self) -> Result<Settings> {
        if !(1..=32).contains(&self.sync.connections) {
            let message = "connections must be 1 to 32";
            return Err(Failure::usage(message, "correct the account's file").into());
        }
        Ok(Settings {
            keep_flagged: self.sync.keep_flagged,
            guard: self.guard,
            connections: self.sync.connections,
            grace: span::parse(&self.sync.grace)?,
            keep_removed: span::parse(&self.sync.keep_removed)?,
            hide: self.hide.clone(),
        })
    }

    /// Gives the time after which an account is looked at although nothing tells of a change.
    pub(super) fn interval(&self) -> Result<Duration> {
        Ok(span::parse(&self.sync.interval)?.max(Duration::from_secs(1)))
    }

    /// Gives the time for which a node has a round to itself without saying that it is alive.
    pub(super) fn lease(&self) -> Result<Duration> {
        Ok(span::parse(&self.sync.lease)?.clamp(LEASE_MIN, LEASE_MAX))
    }

    /// Gives the place of removed messages.
    pub(super) fn removed(&self, name: &str) -> Result<PathBuf> {
        self.sync.removed.clone().map_or_else(|| state(name, "removed"), Ok)
    }

    /// Gives both stores.
    pub(super) fn stores(&self) -> Sides<&StoreFile> {
        Sides { left: &self.left, right: &self.right }
    }
}

/// Finds where the file of an account is, whether it exists or not.
pub(super) fn file(name: &str) -> Result<PathBuf> {
    check_name(name)?;
    Ok(accounts()?.join(format!("{name}.toml")))
}

/// Refuses what cannot name an account.
pub(super) fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Failure::usage(
            format!("{name:?} cannot name an account"),
            "use letters, digits and -_.@",
        )
        .into());
    }
    Ok(())
}

/// Finds where what belongs to an account is kept.
pub(super) fn state(name: &str, kind: &str) -> Result<PathBuf> {
    let data = folder("XDG_DATA_HOME", ".local/share").context("there is no home folder")?;
    let place = data.join("lockstep/mail");
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    Ok(place.join(format!("{name}.{kind}")))
}

/// Finds the folder of the files of accounts.
pub(super) fn accounts() -> Result<PathBuf> {
    let config = folder("XDG_CONFIG_HOME", ".config").context("there is no home folder")?;
    Ok(config.join("lockstep/mail"))
}

/// Lists the names of all accounts.
pub(super) fn names() -> Result<Vec<String>> {
    names_in(&accounts()?)
}

/// Lists the names of the accounts of a folder.
pub(super) fn names_in(place: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| format!("cannot read {}", place.display()))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(".toml")).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Gives the named account, or all of them.
pub(super) fn chosen(name: Option<&str>) -> Result<Vec<String>> {
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => names()?,
    };
    if names.is_empty() {
        return Err(Failure::usage(
            "there are no mail accounts",
            "make one with `lockstep mail account add NAME --left URL --right URL`",
        )
        .into());
    }
    Ok(names)
}

/// Reads an account.
pub(super) fn load(name: &str) -> Result<AccountFile> {
    let path = file(name)?;
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let known = names()?.join(", ");
            return Err(Failure::usage(
                format!("there is no mail account {name:?}"),
                if known.is_empty() {
                    "there are none".to_owned()
                } else {
                    format!("there are {known}")
                },
            )
            .into());
        }
        other => other.with_context(|| format!("cannot read {}", path.display()))?,
    };
    parse(&path, &text)
}

/// Reads the text of an account's file.
pub(super) fn parse(path: &Path, text: &str) -> Result<AccountFile> {
    toml::from_str(text).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        Failure::usage(message.trim_end(), "correct the file").into()
    })
}

/// Writes a new account; one of that name must not exist.
pub(super) fn save(name: &str, account: &AccountFile) -> Result<PathBuf> {
    let path = file(name)?;
    let text = toml::to_string(account).context("cannot write the account as TOML")?;
    if let Some(place) = path.parent() {
        fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
    }
    let mut made = match fs::File::create_new(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Failure::usage(
                format!("there is already a mail account {name:?}"),
                "choose another name, or edit its file: `lockstep mail account show` tells where",
            )
            .into());
        }
        other => other.with_context(|| format!("cannot make {}", path.display()))?,
    };
    made.write_all(text.as_bytes())?;
    made.sync_all()?;
    Ok(path)
}

/// Makes a relative path absolute, since accounts are used from anywhere.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot use the path {}", path.display()))
}
