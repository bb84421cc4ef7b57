//! Stores by their addresses.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::{Context, Result};
use mail::{
    Side, Sides,
    controller::{Controlled, Names, Rate, ReadOnly, Trace, Utf7},
    driver::{
        Connect,
        imap::{ImapSettings, ImapStore, Limits, Login, Secret, Security, Timeouts},
        maildir::{Layout, MaildirSettings, MaildirStore},
    },
    engine::Account,
    state::{Database, State},
};
use model::Time;

use super::{
    oauth::Refresh,
    settings::{self, AccountFile, StoreFile},
    vault::{Given, Vault},
};
use crate::failure::Failure;

/// An address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// Directories on this machine.
    Maildir(PathBuf, Layout),
    /// A server: host, port, how the connection is kept secret, and the user.
    Imap(String, u16, Security, String),
}

const HINT: &str = "write maildir:PATH, maildir++:PATH, imaps://USER@HOST, \
                    imap+starttls://USER@HOST, or imap+plain://USER@127.0.0.1:PORT";

impl Address {
    /// Reads an address.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong =
            |why: &str| Failure::usage(format!("{text:?} is no store of mail: {why}"), HINT);
        let (scheme, rest) = text.split_once(':').ok_or_else(|| wrong("it has no scheme"))?;
        let (security, port) = match scheme {
            "maildir" | "maildir++" if rest.is_empty() => return Err(wrong("no path").into()),
            "maildir" => return Ok(Self::Maildir(rest.into(), Layout::Nested)),
            "maildir++" => return Ok(Self::Maildir(rest.into(), Layout::Dotted)),
            "imaps" => (Security::Tls, 993),
            "imap" | "imap+starttls" => (Security::StartTls, 143),
            "imap+plain" => (Security::Plain, 143),
            _ => return Err(wrong("the scheme is unknown").into()),
        };
        let rest = rest.strip_prefix("//").ok_or_else(|| wrong("// is missing"))?;
        let (user, host) = rest.rsplit_once('@').ok_or_else(|| wrong("the user is missing"))?;
        if user.contains(':') {
            return Err(Failure::usage(
                "a password must not stand in an address",
                "give --left-password-command, --left-password-file or --left-password-env (or \
                 those of the right side)",
            )
            .into());
        }
        let host = host.trim_end_matches('/');
        let (host, port) = match host.rsplit_once(':') {
            Some((host, number)) if !number.contains(']') => {
                (host, number.parse().map_err(|_| wrong("the port is no number"))?)
            }
            _ => (host, port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || user.is_empty() {
            return Err(wrong("the host or the user is missing").into());
        }
        let user = user.replace("%40", "@").replace("%3A", ":").replace("%25", "%");
        Ok(Self::Imap(host.to_owned(), port, security, user))
    }
}

/// An account that can be worked with.
pub(super) struct Opened {
    pub(super) file: AccountFile,
    pub(super) account: Account,
    pub(super) state: State,
    /// Held as long as the account is in use, so that no other process uses it.
    _lock: fs::File,
}

/// Opens an account, so that nobody else works with it meanwhile.
pub(super) async fn open(name: &str, vault: &Vault) -> Result<Opened> {
    let file = settings::load(name)?;
    let lock = lock(name)?;
    let given = vault.give(&file).await?;
    let account = account(name, &file, &given)?;
    let state = State::start(Database::open(&settings::state(name, "db")?)?)?;
    Ok(Opened { file, account, state, _lock: lock })
}

/// Opens what is remembered of an account, to look at it.
pub(super) fn database(name: &str) -> Result<Database> {
    settings::load(name)?;
    Ok(Database::open(&settings::state(name, "db")?)?)
}

fn lock(name: &str) -> Result<fs::File> {
    let path = settings::state(name, "lock")?;
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(model::Error::LockConflict(format!(
            "another process works with the mail account {name:?}"
        ))
        .into()),
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Puts together both sides of an account, and where what is removed is kept.
pub(super) fn account(name: &str, file: &AccountFile, given: &Given) -> Result<Account> {
    let kept =
        MaildirSettings { root: file.removed(name)?, layout: Layout::Nested, read_only: false };
    fs::create_dir_all(&kept.root)
        .with_context(|| format!("cannot make {}", kept.root.display()))?;
    let stores = file.stores();
    Ok(Account {
        name: name.to_owned(),
        stores: Sides {
            left: connect(name, Side::Left, stores.left, given)?,
            right: connect(name, Side::Right, stores.right, given)?,
        },
        retention: Some(Arc::new(MaildirStore::new(kept))),
        settings: file.settings()?,
    })
}

/// Puts together a driver and the controllers over it.
pub(super) fn connect(
    name: &str,
    side: Side,
    file: &StoreFile,
    given: &Given,
) -> Result<Arc<dyn Connect>> {
    let (driver, is_imap): (Arc<dyn Connect>, bool) = match Address::parse(&file.url)? {
        Address::Maildir(root, layout) => {
            let settings = MaildirSettings { root, layout, read_only: file.read_only };
            (Arc::new(MaildirStore::new(settings)), false)
        }
        Address::Imap(host, port, security, user) => {
            let login = login(file, given).with_context(|| format!("the {side} side of {name}"))?;
            let settings = ImapSettings {
                host,
                port,
                security,
                user,
                login,
                ca_file: file.ca_file.clone(),
                without: file.without.iter().map(|name| name.to_uppercase()).collect(),
                read_only: file.read_only,
                compress: file.compress,
                timeouts: Timeouts::default(),
                limits: Limits::default(),
            };
            (Arc::new(ImapStore::new(settings)), true)
        }
    };
    let trace = Trace { store: format!("{name} {side}") };
    let mut store: Arc<dyn Connect> = Arc::new(Controlled::new(driver, trace));
    if file.operations_a_second.is_some() || file.bytes_a_second.is_some() {
        let rate = Rate::new(file.operations_a_second, file.bytes_a_second);
        store = Arc::new(Controlled::new(store, rate));
    }
    if file.read_only {
        store = Arc::new(Controlled::new(store, ReadOnly));
    }
    if is_imap || file.utf7 {
        store = Arc::new(Controlled::new(store, Utf7));
    }
    if !file.names.is_empty() {
        store = Arc::new(Controlled::new(store, Names::new(file.names.clone())?));
    }
    Ok(store)
}

/// Where a secret comes from: one of these, or none.
pub(super) struct Source<'a> {
    /// A command that prints it.
    pub(super) command: Option<&'a str>,
    /// A file whose first line it is.
    pub(super) file: Option<&'a Path>,
    /// A variable of the environment.
    pub(super) env: Option<&'a str>,
    /// A secret of the store.
    pub(super) secret: Option<&'a str>,
}

/// Gives a secret, if it is said where it comes from.
pub(super) fn secret(source: &Source<'_>, given: &Given) -> Result<Option<String>> {
    Ok(Some(match (source.command, source.file, source.env, source.secret) {
        (None, None, None, None) => return Ok(None),
        (Some(command), None, None, None) => printed_by(command)?,
        (None, Some(path), None, None) => {
            let text = fs::read_to_string(path);
            first_line(&text.with_context(|| format!("cannot read {}", path.display()))?)
        }
        (None, None, None, Some(name)) => given.line(name)?,
        (None, None, Some(name), None) => {
            env::var(name).with_context(|| format!("the variable {name} is not set"))?
        }
        _ => {
            let message = "it is said more than once where a secret comes from";
            return Err(Failure::usage(message, "keep one of command, file, env and secret").into());
        }
    }))
}

/// Gives what proves who the user is, from where the file says.
fn login(file: &StoreFile, given: &Given) -> Result<Login> {
    let source = Source {
        command: file.password_command.as_deref(),
        file: file.password_file.as_deref(),
        env: file.password_env.as_deref(),
        secret: file.password_secret.as_deref(),
    };
    let password = secret(&source, given)?;
    match (password, &file.token_command, &file.oauth) {
        (Some(password), None, None) => Ok(Login::Password(Secret(password))),
        (None, Some(command), None) => Ok(Login::Token(Secret(printed_by(command)?))),
        (None, None, Some(oauth)) => Ok(Login::Fresh(Arc::new(Refresh::new(oauth, given)?))),
        _ => Err(Failure::usage(
            "it is not said where its password comes from, or more than once",
            "give one of password_command, password_file, password_env, password_secret, \
             token_command and oauth",
        )
        .into()),
    }
}

fn printed_by(command: &str) -> Result<String> {
    let output = Command::new("sh").arg("-c").arg(command).output();
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let message = format!("{command:?} failed: {}", output.status);
        return Err(Failure::usage(message, "run it by hand to see why").into());
    }
    let text = String::from_utf8(output.stdout).context("the password is not text")?;
    Ok(first_line(&text))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Tells the time.
pub(super) fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map(|since| since.as_nanos()).unwrap_or_default();
    Time(i64::try_from(nanos).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_passwords_in_them_refused() {
        let imap = |text| Address::parse(text).unwrap();
        let expected = |host: &str, port, security, user: &str| {
            Address::Imap(host.to_owned(), port, security, user.to_owned())
        };
        assert_eq!(imap("imaps://me@host"), expected("host", 993, Security::Tls, "me"));
        assert_eq!(imap("imaps://a@b.c@host:99"), expected("host", 99, Security::Tls, "a@b.c"));
        assert_eq!(imap("imap://me@host/"), expected("host", 143, Security::StartTls, "me"));
        assert_eq!(
            imap("imap+plain://me@[::1]:1143"),
            expected("::1", 1143, Security::Plain, "me")
        );
        assert_eq!(imap("maildir:/m"), Address::Maildir("/m".into(), Layout::Nested));
        for wrong in ["", "x", "ftp://a@b", "imaps://host", "imaps://me:secret@host", "maildir:"] {
            assert!(Address::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
