//! `lockstep secret`.

use std::{
    fs,
    io::{self, IsTerminal as _, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use client::Lockstep;
use model::{
    Answer, Namespace, NamespaceInfo, Page, Query, Reply, SecretCommand, SecretInfo, SecretName,
    SecretValue, limits,
};
use serde_json::json;

use crate::{
    connect::{Part, Session, pages, unexpected},
    failure::Failure,
    keyring,
    output::{printable, table},
};

const SET_HELP: &str = "\
The server seals the value under the first key of its --secrets-key, and nothing gives it back:
steps of workflows and rounds of mail that run in the server use it. A line break at its end is not
part of it; where the value is JSON, workflows see its parts.
A value is never an argument, which others on this machine could see.

Examples:
  pass show erp/token | lockstep secret set erp-token
  lockstep secret set erp-account --file account.json --namespace shop";

const KEY_HELP: &str = "\
A key is 32 random bytes. The file is for its owner only, and a server refuses one that others may
read. Keep a copy of it apart from backups of the store: with both, one has the secrets, and without
the key nobody has them.

Examples:
  lockstep secret key /etc/lockstep/secrets.key
  lockstep secret key --first /etc/lockstep/secrets.key
  lockstep secret key -";

const ROTATE_HELP: &str = "\
Put a new key before the old ones (`lockstep secret key --first FILE`), start the server again, and
run this. What was cut off goes on where it was: secrets under the first key are left alone. Once it
is done for all namespaces, the old keys can be taken out of the file.
Several nodes need the new key behind the old one first, so that all can open what one seals.

Examples:
  lockstep secret rotate --namespace shop
  lockstep secret rotate --all-namespaces --json";

/// What to do with secrets.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Set a secret, or replace its value, from standard input or a file
    #[command(after_long_help = SET_HELP)]
    Set(SetArgs),
    /// List secrets, never their values
    #[command(after_long_help = "Examples:\n  lockstep secret list --namespace shop --json")]
    List(Part),
    /// Remove a secret; what names it fails from then on
    #[command(after_long_help = "Examples:\n  lockstep secret remove erp-token --yes")]
    Remove {
        /// Its name
        #[arg(value_parser = name)]
        name: SecretName,
        /// Do not ask first
        #[arg(long, short)]
        yes: bool,
    },
    /// Make a key under which a server seals secrets
    #[command(after_long_help = KEY_HELP)]
    Key(KeyArgs),
    /// Seal secrets under the first key of the server
    #[command(after_long_help = ROTATE_HELP)]
    Rotate {
        /// Those of all namespaces, and not only of that of --namespace
        #[arg(long, short = 'A', conflicts_with = "namespace")]
        all_namespaces: bool,
    },
}

/// What to set.
#[derive(Args)]
pub(crate) struct SetArgs {
    /// Its name: letters, digits and -_.
    #[arg(value_parser = name)]
    name: SecretName,
    /// File that holds the value; - is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// Where to put a key.
#[derive(Args)]
pub(crate) struct KeyArgs {
    /// The new file; - prints the key
    file: PathBuf,
    /// Put the key before those of a file that is there, so that it seals from now on
    #[arg(long)]
    first: bool,
}

fn name(text: &str) -> model::Result<SecretName> {
    SecretName::new(text)
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        match self {
            Self::Set(args) => set(args, session).await,
            Self::List(part) => list(part, session).await,
            Self::Remove { name, yes } => remove(name, yes, session).await,
            Self::Key(args) => key(&args, session),
            Self::Rotate { all_namespaces } => rotate(all_namespaces, session).await,
        }
    }
}

async fn set(args: SetArgs, session: &Session) -> Result<()> {
    let (name, value) = (args.name, value(&args.file)?);
    session.lockstep.command(SecretCommand::Set { name: name.clone(), value }).await?;
    session.out.data(&json!({ "set": name }), || format!("set secret {name}"))
}

/// Reads a value, and not more than one may have.
fn value(path: &Path) -> Result<SecretValue> {
    let shown = path.display();
    let (from, whence): (Box<dyn Read>, _) = if path == Path::new("-") {
        let input = io::stdin();
        if input.is_terminal() {
            let message = "a terminal would show the value";
            let hint = "give it on standard input, such as `pass show x | lockstep secret set x`, \
                        or with --file";
            return Err(Failure::usage(message, hint).into());
        }
        (Box::new(input), "standard input".to_owned())
    } else {
        let file = fs::File::open(path).with_context(|| format!("cannot open {shown}"))?;
        (Box::new(file), shown.to_string())
    };
    // One byte more than there may be, so that what is too large is refused. All the room at once,
    // so that growing leaves no copies behind.
    let most = limits::SECRET_BYTES_MAX + 1;
    let mut bytes = Vec::with_capacity(most + 1);
    from.take(most as u64)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {whence}"))?;
    Ok(SecretValue::from_bytes(bytes)?)
}

async fn list(part: Part, session: &Session) -> Result<()> {
    let lockstep = &session.lockstep;
    let after = part.after.map(SecretName::new).transpose()?;
    let fetch = async |page: Page<SecretName>| match lockstep
        .ask(Query::Secrets(lockstep.namespace().clone(), page))
        .await?
    {
        Answer::Secrets(secrets) => Ok(secrets),
        _ => Err(unexpected()),
    };
    let key = |info: &SecretInfo| info.name.clone();
    let (secrets, next) = pages(part.limit, after, key, fetch).await?;
    let shown = json!({ "secrets": serde_json::to_value(&secrets)?, "next": next });
    session.out.data(&shown, || {
        let row = |info: &SecretInfo| {
            let SecretInfo { name, revision, changed, key } = info;
            vec![name.to_string(), revision.to_string(), changed.to_string(), key.clone()]
        };
        let rows: Vec<_> = secrets.iter().map(row).collect();
        table(&["name", "revision", "changed", "key"], &rows)
    })?;
    if let Some(next) = next {
        session.out.note(format!("there are more; go on with --after {next}"));
    }
    Ok(())
}

async fn remove(name: SecretName, yes: bool, session: &Session) -> Result<()> {
    session.out.confirm(&format!("remove secret {name}, which nothing can give back"), yes)?;
    session.lockstep.command(SecretCommand::Remove { name: name.clone() }).await?;
    session.out.data(&json!({ "removed": name }), || format!("removed secret {name}"))
}

fn key(args: &KeyArgs, session: &Session) -> Result<()> {
    let (line, id) = keyring::make()?;
    if args.file == Path::new("-") {
        if args.first {
            let message = "a key that is printed cannot be put before others";
            return Err(Failure::usage(message, "give the file of the keys").into());
        }
        return session.out.data(&json!({ "id": id, "key": *line }), || line.to_string());
    }
    match args.first {
        true => keyring::put_first(&args.file, &line)?,
        false => keyring::write(&args.file, &line)?,
    }
    let file = args.file.display().to_string();
    session.out.note("keep a copy of it apart from backups of the store");
    session
        .out
        .data(&json!({ "id": id, "file": file }), || format!("key {id} is in {}", printable(&file)))
}

async fn rotate(all: bool, session: &Session) -> Result<()> {
    let namespaces = match all {
        true => namespaces(&session.lockstep).await?,
        false => vec![session.lockstep.namespace().clone()],
    };
    let bar = session.out.bar(Some(namespaces.len() as u64), "{bar:30} {pos}/{len} {msg}")?;
    let (mut total, mut shown) = (0, Vec::new());
    for namespace in &namespaces {
        let count = rotate_one(session, namespace, |count| {
            bar.set_message(format!("{} secrets sealed anew", total + count));
        });
        let count = count.await?;
        total += count;
        shown.push(json!({ "namespace": namespace, "resealed": count }));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let shown = json!({ "resealed": total, "namespaces": shown });
    session.out.data(&shown, || {
        format!("{total} secrets of {} namespaces are sealed anew", namespaces.len())
    })
}

async fn rotate_one(
    session: &Session,
    namespace: &Namespace,
    progress: impl Fn(u64),
) -> Result<u64> {
    let lockstep = Lockstep::new(session.lockstep.backend().clone(), namespace.clone());
    let (mut total, mut after) = (0, None);
    loop {
        let reply = lockstep.command(SecretCommand::Reseal { after }).await?;
        let Reply::Resealed { count, next } = reply else { return Err(unexpected().into()) };
        total += count;
        progress(total);
        if next.is_none() {
            return Ok(total);
        }
        after = next;
    }
}

async fn namespaces(lockstep: &Lockstep) -> Result<Vec<Namespace>> {
    let key = |info: &NamespaceInfo| info.name.clone();
    let fetch = async |page| match lockstep.ask(Query::Namespaces(page)).await? {
        Answer::Namespaces(found) => Ok(found),
        _ => Err(unexpected()),
    };
    let (found, _) = pages(0, None, key, fetch).await?;
    Ok(found.into_iter().map(|info| info.name).collect())
}
