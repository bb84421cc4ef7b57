//! `lockstep user`.

use std::{
    fs,
    io::{BufRead as _, IsTerminal as _, stdin},
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use client::Lockstep;
use model::{
    Answer, Command, Grant, Namespace, PasswordHash, Query, Role, Session, UserAnswer, UserChange,
    UserCommand, UserInfo, UserName, UserQuery,
};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};

use super::token::Place;
use crate::{
    config::Config,
    connect::{Part, pages, unexpected},
    failure::at_server,
    output::{Output, printable, table},
    view,
};

const ADD_EXAMPLES: &str = "\
A role is a name for scopes, in one namespace or in all:
  view     looks at the work
  operate  keeps it going: units, attempts, workers, instances, events, mail, pausing specs
  author   says what the work is: specs and definitions
  admin    does everything, and says who may do what

The password is the first line of --password-file or of standard input; it is hashed here, and only
the hash is sent and stored. With --store the user is written to the database itself, for which no
server may be running.

Examples:
  lockstep user add ann --role admin --all-namespaces --store sqlite:/var/lib/lockstep/lockstep.db
  lockstep user add bob --role operate --namespace nightly --password-file bob.txt
  lockstep user add eve@example.org --role view -A --no-password";

const GRANT_EXAMPLES: &str = "\
A user has at most one role in each namespace, and one for all: this takes the place of the one that
there is. Browsers that are signed in follow at once.

Examples:
  lockstep user grant bob --role author --namespace nightly
  lockstep user grant bob --role view --all-namespaces";

const PASSWD_EXAMPLES: &str = "\
The password is the first line of --password-file or of standard input. The user is signed out
everywhere.

Examples:
  lockstep user passwd bob
  lockstep user passwd bob --password-file bob.txt";

/// What to do with users.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Add a user with a password and a role
    #[command(after_long_help = ADD_EXAMPLES)]
    Add(AddArgs),
    /// List users, never their passwords
    #[command(after_long_help = "Examples:\n  lockstep user list --json")]
    List {
        #[command(flatten)]
        part: Part,
        #[command(flatten)]
        place: Place,
    },
    /// Show a user and where it is signed in
    #[command(after_long_help = "Examples:\n  lockstep user show ann")]
    Show(Named),
    /// Remove a user, and sign it out everywhere
    #[command(after_long_help = "Examples:\n  lockstep user remove bob")]
    Remove(Named),
    /// Give a user a role
    #[command(after_long_help = GRANT_EXAMPLES)]
    Grant(GrantArgs),
    /// Take the role in a namespace away
    #[command(after_long_help = "Examples:\n  lockstep user ungrant bob --namespace nightly")]
    Ungrant(UngrantArgs),
    /// Keep a user out, and sign it out everywhere
    #[command(after_long_help = "Examples:\n  lockstep user disable bob")]
    Disable(Named),
    /// Let a user in again
    #[command(after_long_help = "Examples:\n  lockstep user enable bob")]
    Enable(Named),
    /// Set the password of a user
    #[command(after_long_help = PASSWD_EXAMPLES)]
    Passwd(PasswdArgs),
    /// Sign a user out everywhere
    #[command(after_long_help = "Examples:\n  lockstep user sign-out bob")]
    SignOut(Named),
}

/// One user.
#[derive(Args)]
pub(crate) struct Named {
    /// The name
    #[arg(value_parser = user_name)]
    name: UserName,
    #[command(flatten)]
    place: Place,
}

/// Where a role holds.
#[derive(Args)]
pub(crate) struct Where {
    /// In all namespaces, and not only in the one of --namespace
    #[arg(long, short = 'A', conflicts_with = "namespace", required_unless_present = "namespace")]
    all_namespaces: bool,
}

/// Where the password is.
#[derive(Args)]
pub(crate) struct Password {
    /// File whose first line is the password [default: standard input]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// The user to add.
#[derive(Args)]
pub(crate) struct AddArgs {
    /// The name
    #[arg(value_parser = user_name)]
    name: UserName,
    /// What the user may do: view, operate, author or admin
    #[arg(long, value_name = "ROLE", value_parser = Role::parse)]
    role: Role,
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    password: Password,
    /// The user has no password yet, and cannot sign in with one
    #[arg(long, conflicts_with = "password_file")]
    no_password: bool,
    #[command(flatten)]
    place: Place,
}

/// The role to give.
#[derive(Args)]
pub(crate) struct GrantArgs {
    #[command(flatten)]
    user: Named,
    /// What the user may do: view, operate, author or admin
    #[arg(long, value_name = "ROLE", value_parser = Role::parse)]
    role: Role,
    #[command(flatten)]
    at: Where,
}

/// The role to take away.
#[derive(Args)]
pub(crate) struct UngrantArgs {
    #[command(flatten)]
    user: Named,
    #[command(flatten)]
    at: Where,
}

/// Whose password to set.
#[derive(Args)]
pub(crate) struct PasswdArgs {
    #[command(flatten)]
    user: Named,
    #[command(flatten)]
    password: Password,
}

fn user_name(text: &str) -> Result<UserName, model::Error> {
    UserName::new(text)
}

impl Where {
    fn namespace(&self, config: &Config) -> Result<Option<Namespace>> {
        if self.all_namespaces { Ok(None) } else { config.namespace().map(Some) }
    }
}

impl Password {
    /// Reads the password and hashes it.
    fn hash(&self, out: Output) -> Result<PasswordHash> {
        let text = match &self.password_file {
            Some(path) => fs::read_to_string(path)
                .with_context(|| format!("cannot read the password file {}", path.display()))?,
            None => typed(out)?,
        };
        Ok(server::hash_password(text.lines().next().unwrap_or_default())?)
    }
}

/// Reads a line from standard input, which a terminal does not show.
fn typed(out: Output) -> Result<String> {
    let input = stdin();
    let shown = match input.is_terminal() {
        true => {
            out.note("password, which is not shown:");
            let modes = tcgetattr(&input)?;
            let mut hidden = modes.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            tcsetattr(&input, OptionalActions::Flush, &hidden)?;
            Some(modes)
        }
        false => None,
    };
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    if let Some(modes) = shown {
        tcsetattr(&input, OptionalActions::Flush, &modes)?;
    }
    read.context("cannot read the password from standard input")?;
    Ok(line)
}

impl Verb {
    fn place(&self) -> &Place {
        match self {
            Self::Add(AddArgs { place, .. }) | Self::List { place, .. } => place,
            Self::Show(user)
            | Self::Remove(user)
            | Self::Disable(user)
            | Self::Enable(user)
            | Self::SignOut(user)
            | Self::Grant(GrantArgs { user, .. })
            | Self::Ungrant(UngrantArgs { user, .. })
            | Self::Passwd(PasswdArgs { user, .. }) => &user.place,
        }
    }

    /// Runs the verb.
    pub(crate) async fn run(self, config: &Config, out: Output) -> Result<()> {
        let (lockstep, is_remote) = (self.place().open(config)?, self.place().store.is_none());
        // Users are of no namespace, and none is to come into being for them.
        let lockstep = lockstep.in_namespace(Namespace::empty());
        let done = self.done(config, &lockstep, out).await;
        done.map_err(|error| if is_remote { at_server(error) } else { error })
    }

    async fn done(self, config: &Config, lockstep: &Lockstep, out: Output) -> Result<()> {
        let (name, change, did) = match self {
            Self::Add(args) => return add(args, config, lockstep, out).await,
            Self::List { part, .. } => return list(&part, lockstep, out).await,
            Self::Show(user) => return show(user.name, lockstep, out).await,
            Self::Remove(user) => {
                let name = user.name;
                lockstep.command(UserCommand::Remove { name: name.clone() }).await?;
                let text = format!("removed user {}", printable(name.as_str()));
                return out.data(&json!({"removed": name.as_str()}), || text);
            }
            Self::Grant(GrantArgs { user, role, at }) => {
                let namespace = at.namespace(config)?;
                (user.name, UserChange::Grant(Grant { role, namespace }), "changed")
            }
            Self::Ungrant(UngrantArgs { user, at }) => {
                let namespace = at.namespace(config)?;
                (user.name, UserChange::Ungrant { namespace }, "changed")
            }
            Self::Disable(user) => (user.name, UserChange::Disable, "disabled"),
            Self::Enable(user) => (user.name, UserChange::Enable, "enabled"),
            Self::SignOut(user) => (user.name, UserChange::SignOut, "signed out"),
            Self::Passwd(PasswdArgs { user, password }) => {
                (user.name, UserChange::Password(password.hash(out)?), "set the password of")
            }
        };
        let command = UserCommand::Change { name: name.clone(), change };
        lockstep.command(Command::User(command)).await?;
        let (info, _) = one(name, lockstep).await?;
        out.data(&view::user(&info), || {
            format!("{did} user {}: {}", printable(info.name.as_str()), roles(&info))
        })
    }
}

async fn add(args: AddArgs, config: &Config, lockstep: &Lockstep, out: Output) -> Result<()> {
    let AddArgs { name, role, at, password, no_password, place: _ } = args;
    let grants = vec![Grant { role, namespace: at.namespace(config)? }];
    let password = if no_password { None } else { Some(password.hash(out)?) };
    let add = UserCommand::Add { name: name.clone(), password, grants, identity: None };
    lockstep.command(Command::User(add)).await?;
    let (info, _) = one(name, lockstep).await?;
    out.data(&view::user(&info), || {
        format!("added user {}: {}", printable(info.name.as_str()), roles(&info))
    })
}

async fn one(name: UserName, lockstep: &Lockstep) -> Result<(UserInfo, Vec<Session>)> {
    match lockstep.ask(Query::Users(UserQuery::One(name))).await? {
        Answer::Users(UserAnswer::User(info, sessions)) => Ok((info, sessions)),
        _ => Err(unexpected().into()),
    }
}

fn roles(info: &UserInfo) -> String {
    match info.grants.as_slice() {
        [] => "no role".to_owned(),
        grants => printable(&grants.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn standing(info: &UserInfo) -> &'static str {
    if info.is_disabled { "disabled" } else { "active" }
}

async fn list(part: &Part, lockstep: &Lockstep, out: Output) -> Result<()> {
    let after = part.after.clone().map(UserName::new).transpose()?;
    let fetch = async |page| match lockstep.ask(Query::Users(UserQuery::List(page))).await? {
        Answer::Users(UserAnswer::Users(users)) => Ok(users),
        _ => Err(unexpected()),
    };
    let key = |info: &UserInfo| info.name.clone();
    let (users, next) = pages(part.limit, after, key, fetch).await?;
    let shown: Vec<Value> = users.iter().map(view::user).collect();
    let row = |info: &UserInfo| {
        let name = printable(info.name.as_str());
        vec![name, standing(info).to_owned(), roles(info), info.created.to_string()]
    };
    let next_name = next.as_ref().map(|name| name.as_str());
    out.data(&json!({"users": shown, "next": next_name}), || {
        let heads = ["name", "status", "roles", "added"];
        table(&heads, &users.iter().map(row).collect::<Vec<_>>())
    })?;
    if let Some(next) = next {
        out.note(format!("there are more; go on with --after {}", printable(next.as_str())));
    }
    Ok(())
}

async fn show(name: UserName, lockstep: &Lockstep, out: Output) -> Result<()> {
    let (info, sessions) = one(name, lockstep).await?;
    let mut shown = view::user(&info);
    let session = |session: &Session| json!({"begun": session.begun, "seen": session.seen});
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("sessions".to_owned(), sessions.iter().map(session).collect());
    }
    out.data(&shown, || {
        let mut text = format!("{} ({})\n", printable(info.name.as_str()), standing(&info));
        text.push_str(&format!("roles: {}\n", roles(&info)));
        if let Some(identity) = &info.identity {
            let (subject, issuer) = (printable(&identity.subject), printable(&identity.issuer));
            text.push_str(&format!("signs in at {issuer} as {subject}\n"));
        }
        for session in &sessions {
            text.push_str(&format!("signed in {}, in use {}\n", session.begun, session.seen));
        }
        text
    })
}
