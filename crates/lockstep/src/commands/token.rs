//! `lockstep token`.

use std::sync::Arc;

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{Args, Subcommand};
use client::Lockstep;
use engine::{Clock, Engine, SystemClock};
use model::{AdminCommand, Answer, Command, Error, Namespace, Principal, Query, Scope, TokenInfo};
use serde_json::json;
use server::Authorized;
use sha2::{Digest, Sha256};

use crate::{
    config::{Config, StoreAt},
    connect::{self, unexpected},
    failure::at_server,
    output::{Output, printable, table},
    serve, span, view,
};

const CREATE_EXAMPLES: &str = "\
A scope is VERB:RESOURCE with read, write or *, and namespace, spec, control, unit, attempt, worker,
lock, definition, instance, event, mail, blob, secret, audit, user, token, server or *. What no
scope allows is refused.
The token is printed once and stored as a hash.
With --store the token is written to the database itself, for which no server may be running.

Examples:
  lockstep token create --namespace nightly --scope read:* --scope write:attempt --expires 30d
  lockstep token create --all-namespaces --scope '*' --store sqlite:/var/lib/lockstep/lockstep.db";

/// What to do with tokens.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a token and print it once
    #[command(after_long_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// List tokens, never their secrets
    #[command(after_long_help = "Examples:\n  lockstep token list --json")]
    List(Place),
    /// Make a token stop working at once
    #[command(after_long_help = "Examples:\n  lockstep token revoke 3f9a0c1b2d4e")]
    Revoke {
        /// Its id
        id: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the tokens, or the users, are.
#[derive(Args)]
pub(crate) struct Place {
    /// Open this store itself, in place of asking a server: sqlite:PATH
    #[arg(long, value_name = "STORE")]
    pub(super) store: Option<String>,
}

/// What the token is to allow.
#[derive(Args)]
pub(crate) struct CreateArgs {
    /// What it allows, such as read:* or write:attempt
    #[arg(long, value_name = "SCOPE", required = true, value_parser = Scope::parse)]
    scope: Vec<Scope>,
    /// It opens all namespaces, and not only the one of --namespace
    #[arg(long, short = 'A', conflicts_with = "namespace", required_unless_present = "namespace")]
    all_namespaces: bool,
    /// It stops working after this span, such as 30d
    #[arg(long, value_name = "SPAN")]
    expires: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, config: &Config, out: Output) -> Result<()> {
        let place = match &self {
            Self::Create(CreateArgs { place, .. }) | Self::List(place) => place,
            Self::Revoke { place, .. } => place,
        };
        let (lockstep, is_remote) = (place.open(config)?, place.store.is_none());
        let done = match self {
            Self::Create(args) => create(args, config, &lockstep, out).await,
            Self::List(_) => list(&lockstep, out).await,
            Self::Revoke { id, .. } => revoke(id, &lockstep, out).await,
        };
        done.map_err(|error| if is_remote { at_server(error) } else { error })
    }
}

impl Place {
    pub(super) fn open(&self, config: &Config) -> Result<Lockstep> {
        match &self.store {
            None => connect::remote(config, 3),
            Some(store) => {
                let store = serve::open(&StoreAt::parse(store)?)?;
                let clock = engine::clock_of(&store);
                let engine = Engine::new(store, clock);
                // What is done without a server is written down as done on this machine.
                let local = Authorized::new(engine, Arc::new(Principal::all("local")));
                Ok(Lockstep::new(Arc::new(local), Namespace::empty()))
            }
        }
    }
}

async fn create(args: CreateArgs, config: &Config, lockstep: &Lockstep, out: Output) -> Result<()> {
    let namespace = if args.all_namespaces { None } else { Some(config.namespace()?) };
    let created = SystemClock.now();
    let expires = args.expires.as_deref().map(span::parse).transpose()?;
    let expires = expires.map(|span| created.plus(span));
    let (id, token) = make()?;
    let info = TokenInfo { id, namespace, scopes: args.scope, created, expires };
    let hash = Sha256::digest(token.as_bytes()).into();
    lockstep
        .command(Command::Admin(AdminCommand::CreateToken { info: info.clone(), hash }))
        .await?;
    out.note("keep this token now; it cannot be shown again");
    let mut shown = view::token(&info);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("token".to_owned(), token.clone().into());
    }
    out.data(&shown, || token)
}

/// Makes a token of 256 random bits, with its id in front.
fn make() -> Result<(String, String)> {
    let (mut id, mut secret) = ([0; 6], [0; 32]);
    getrandom::fill(&mut id).context("no random numbers")?;
    getrandom::fill(&mut secret).context("no random numbers")?;
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("lk_{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    Ok((id, token))
}

async fn list(lockstep: &Lockstep, out: Output) -> Result<()> {
    let Answer::Tokens(tokens) = lockstep.ask(Query::Tokens).await? else {
        return Err(unexpected().into());
    };
    let shown: Vec<_> = tokens.iter().map(view::token).collect();
    let row = |info: &TokenInfo| {
        let scopes: Vec<_> = info.scopes.iter().map(ToString::to_string).collect();
        let namespace = info.namespace.as_ref();
        vec![
            info.id.clone(),
            namespace.map_or("(all)".to_owned(), |n| format!("\"{}\"", printable(n.as_str()))),
            scopes.join(" "),
            info.created.to_string(),
            view::time(info.expires),
        ]
    };
    let heads = ["id", "namespace", "scopes", "created", "expires"];
    out.data(&json!({"tokens": shown}), || {
        table(&heads, &tokens.iter().map(row).collect::<Vec<_>>())
    })
}

async fn revoke(id: String, lockstep: &Lockstep, out: Output) -> Result<()> {
    // The store would take an unknown id for one that is revoked already.
    let Answer::Tokens(tokens) = lockstep.ask(Query::Tokens).await? else {
        return Err(unexpected().into());
    };
    if !tokens.iter().any(|info| info.id == id) {
        return Err(Error::NoSuchToken(id).into());
    }
    lockstep.command(Command::Admin(AdminCommand::RevokeToken { id: id.clone() })).await?;
    out.data(&json!({"revoked": id}), || format!("revoked token {}", printable(&id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_never_alike_and_carry_their_id() {
        let (id, token) = make().unwrap();
        let (other, _) = make().unwrap();
        assert_ne!(id, other);
        assert_eq!((id.len(), token.len()), (12, 3 + 12 + 1 + 43));
        assert!(token.starts_with(&format!("lk_{id}_")));
    }
}
