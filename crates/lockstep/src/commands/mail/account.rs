//! `lockstep mail account`.

use std::{fs, io::ErrorKind, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use mail::{Side, Sides, controller::Hide, plan::Guard};
use serde_json::json;

use super::{
    place::{self, Address},
    settings::{self, AccountFile, StoreFile, SyncFile},
    vault::Vault,
};
use crate::output::{Output, printable, table};

const ADD_HELP: &str = "\
Addresses: maildir:PATH (folders in folders), maildir++:PATH (folders beside each other, with
dots), imaps://USER@HOST, imap+starttls://USER@HOST, imap+plain://USER@127.0.0.1:PORT.
A password never stands in the file: say where to get it. More settings are in the file that is
written.

Examples:
  lockstep mail account add home --left maildir:~/Mail --right imaps://me@imap.example.org \\
    --right-password-command 'pass show mail'
  lockstep mail account add copy --left maildir:a --right maildir:b --left-read-only";

/// What to do with accounts.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make an account
    #[command(after_long_help = ADD_HELP)]
    Add(Box<AddArgs>),
    /// List accounts
    #[command(after_long_help = "Examples:\n  lockstep mail account list")]
    List,
    /// Show an account, without secrets
    #[command(after_long_help = "Examples:\n  lockstep mail account show home")]
    Show {
        /// Its name
        name: String,
    },
    /// Reach both sides of an account, and change nothing
    #[command(after_long_help = "Examples:\n  lockstep mail account test home")]
    Test {
        /// Its name
        name: String,
    },
    /// Forget an account; its mail stays where it is
    #[command(after_long_help = "Examples:\n  lockstep mail account remove home --yes")]
    Remove {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// What an account is made of.
#[derive(Args)]
pub(crate) struct AddArgs {
    /// Its name
    name: String,
    /// Namespace of its rounds, where a server makes them
    #[arg(long = "in", value_name = "NAMESPACE", default_value = "")]
    namespace: String,
    /// Address of one store
    #[arg(long, value_name = "URL")]
    left: String,
    /// Address of the other store
    #[arg(long, value_name = "URL")]
    right: String,
    /// Command that prints the left side's password
    #[arg(long, value_name = "COMMAND")]
    left_password_command: Option<String>,
    /// File whose first line is the left side's password
    #[arg(long, value_name = "FILE")]
    left_password_file: Option<PathBuf>,
    /// Variable that holds the left side's password
    #[arg(long, value_name = "NAME")]
    left_password_env: Option<String>,
    /// Secret of the store that is the left side's password
    #[arg(long, value_name = "SECRET")]
    left_password_secret: Option<String>,
    /// Command that prints an access token for the left side
    #[arg(long, value_name = "COMMAND")]
    left_token_command: Option<String>,
    /// File with certificates to trust for the left side
    #[arg(long, value_name = "FILE")]
    left_ca_file: Option<PathBuf>,
    /// Change nothing on the left side
    #[arg(long)]
    left_read_only: bool,
    /// Command that prints the right side's password
    #[arg(long, value_name = "COMMAND")]
    right_password_command: Option<String>,
    /// File whose first line is the right side's password
    #[arg(long, value_name = "FILE")]
    right_password_file: Option<PathBuf>,
    /// Variable that holds the right side's password
    #[arg(long, value_name = "NAME")]
    right_password_env: Option<String>,
    /// Secret of the store that is the right side's password
    #[arg(long, value_name = "SECRET")]
    right_password_secret: Option<String>,
    /// Command that prints an access token for the right side
    #[arg(long, value_name = "COMMAND")]
    right_token_command: Option<String>,
    /// File with certificates to trust for the right side
    #[arg(long, value_name = "FILE")]
    right_ca_file: Option<PathBuf>,
    /// Change nothing on the right side
    #[arg(long)]
    right_read_only: bool,
}

impl Verb {
    /// Runs the verb.
    pub(super) async fn run(self, vault: &Vault, out: Output) -> Result<ExitCode> {
        match self {
            Self::Add(args) => args.run(out)?,
            Self::List => list(out)?,
            Self::Show { name } => show(&name, out)?,
            Self::Test { name } => test(&name, vault, out).await?,
            Self::Remove { name, yes } => remove(&name, yes, out)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl AddArgs {
    fn run(self, out: Output) -> Result<()> {
        let left = StoreFile {
            url: checked(&self.left)?,
            password_command: self.left_password_command,
            password_file: whole(self.left_password_file)?,
            password_env: self.left_password_env,
            password_secret: self.left_password_secret,
            token_command: self.left_token_command,
            ca_file: whole(self.left_ca_file)?,
            read_only: self.left_read_only,
            ..StoreFile::default()
        };
        let right = StoreFile {
            url: checked(&self.right)?,
            password_command: self.right_password_command,
            password_file: whole(self.right_password_file)?,
            password_env: self.right_password_env,
            password_secret: self.right_password_secret,
            token_command: self.right_token_command,
            ca_file: whole(self.right_ca_file)?,
            read_only: self.right_read_only,
            ..StoreFile::default()
        };
        let (sync, guard, hide) = (SyncFile::default(), Guard::default(), Hide::default());
        let namespace = self.namespace;
        let account = AccountFile { namespace, left, right, sync, guard, hide };
        let path = settings::save(&self.name, &account)?;
        let shown = json!({"name": self.name, "file": path});
        out.data(&shown, || format!("{} is in {}", self.name, path.display()))?;
        out.note(format!("try it with `lockstep mail account test {}`", self.name));
        Ok(())
    }
}

/// Checks an address, and makes a path in it absolute.
fn checked(url: &str) -> Result<String> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    Ok(match Address::parse(url)? {
        Address::Maildir(..) => {
            let home = rest
                .strip_prefix("~/")
                .and_then(|rest| std::env::home_dir().map(|home| home.join(rest)));
            let path = settings::absolute(&home.unwrap_or_else(|| rest.into()))?;
            format!("{scheme}:{}", path.display())
        }
        Address::Imap(..) => url.to_owned(),
    })
}

fn whole(path: Option<PathBuf>) -> Result<Option<PathBuf>> {
    path.map(|path| settings::absolute(&path)).transpose()
}

fn list(out: Output) -> Result<()> {
    let (mut shown, mut rows) = (Vec::new(), Vec::new());
    for name in settings::names()? {
        let file = settings::load(&name)?;
        shown.push(json!({"name": name, "left": file.left.url, "right": file.right.url}));
        rows.push(vec![name, printable(&file.left.url), printable(&file.right.url)]);
    }
    out.data(&json!(shown), || table(&["name", "left", "right"], &rows))
}

fn show(name: &str, out: Output) -> Result<()> {
    let (path, file) = (settings::file(name)?, settings::load(name)?);
    let shown = json!({"name": name, "file": path, "settings": file});
    let text = toml::to_string(&file).context("cannot write the account as TOML")?;
    out.data(&shown, || format!("# {}\n{text}", path.display()))
}

async fn test(name: &str, vault: &Vault, out: Output) -> Result<()> {
    let file = settings::load(name)?;
    let given = vault.give(&file).await?;
    let mut found = Sides::default();
    for side in Side::BOTH {
        let store = place::connect(name, side, file.stores().get(side), &given)?;
        let mut driver = store.connect().await.with_context(|| format!("the {side} side"))?;
        let folders = driver.folders().await.with_context(|| format!("the {side} side"))?;
        *found.get_mut(side) = folders.folders.len();
        driver.close().await.with_context(|| format!("the {side} side"))?;
    }
    let shown = json!({"name": name, "folders": found});
    out.data(&shown, || {
        format!("both sides can be reached: {} folders left, {} right", found.left, found.right)
    })
}

fn remove(name: &str, yes: bool, out: Output) -> Result<()> {
    let path = settings::file(name)?;
    settings::load(name)?;
    out.confirm(&format!("forget the mail account {name:?} and what is remembered of it"), yes)?;
    // What was removed from stores is kept: it may be all that is left of a message.
    for kind in ["db", "db-wal", "db-shm", "lock"] {
        match fs::remove_file(settings::state(name, kind)?) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    out.data(&json!({"removed": name}), || format!("{name} is forgotten"))
}
