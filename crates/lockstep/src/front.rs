//! What stands at the front of a server besides HTTP: CBOR-RPC, TLS over both, and how other nodes
//! reach it.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, anyhow};
use client::TlsOptions;
use engine::PeerAddress;
use model::{Answer, Backend, Data, Page, Query, UserAnswer, UserQuery, data_from_json};
use reqwest::Url;
use serde_json::Value;
use server::{Oidc, Tls};

use crate::{
    config::{Config, StoreAt},
    connect,
    failure::Failure,
    files, oidc, signals,
};

/// How a server is reached.
#[derive(Default)]
pub(crate) struct Front {
    /// CBOR-RPC, unless it is off.
    pub(crate) rpc: Option<Rpc>,
    /// TLS, if there are certificates.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Where people sign in, if not only here.
    pub(crate) oidc: Option<Oidc>,
    /// How other nodes reach it, if they may pass writes on to it.
    pub(crate) peer: Option<PeerAt>,
}

/// How nodes of one store reach each other.
pub(crate) struct PeerAt {
    /// The URL of this one.
    pub(crate) url: Url,
    /// Whom it trusts over https, and what it shows.
    pub(crate) tls: TlsOptions,
}

impl PeerAt {
    /// Gives what the others are told, with a new secret.
    pub(crate) fn address(mut self, listening: SocketAddr) -> Result<PeerAddress> {
        if self.url.port() == Some(0) && self.url.set_port(Some(listening.port())).is_err() {
            return Err(anyhow!("{} cannot have a port", self.url));
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).context("no random numbers")?;
        let secret = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(PeerAddress { url: self.url.as_str().trim_end_matches('/').to_owned(), secret })
    }
}

/// Refuses peers over a store that is for one node alone.
pub(crate) fn refuse_peers_of(place: &StoreAt, peer: Option<&PeerAt>) -> Result<()> {
    if peer.is_none() || matches!(place, StoreAt::Postgres(_)) {
        return Ok(());
    }
    let message = "serve.peer_url is for nodes that share a PostgreSQL, and this store is for one";
    let hint = "leave out --peer-url, or give --store postgres://USER@HOST:PORT/DATABASE";
    Err(Failure::usage(message, hint).into())
}

/// How to listen for CBOR-RPC.
pub(crate) struct Rpc {
    /// Where.
    pub(crate) listen: SocketAddr,
    /// Whether programs on this machine need no token.
    pub(crate) open: bool,
    /// What `get_config` gives.
    pub(crate) config: Option<Data>,
}

impl Front {
    /// Reads what the settings name.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let rpc = match config.rpc()? {
            None => None,
            Some(listen) => Some(Rpc {
                listen,
                open: listen.ip().is_loopback() && !config.require_token()?,
                config: rpc_config(config.text("serve.rpc_config"))?,
            }),
        };
        let hint = "write both as PEM; the certificate first, then those that lead to an authority";
        let hinted = |error: model::Error| Failure::hinted(error.into(), hint);
        let tls = config.tls()?.map(Tls::open).transpose().map_err(hinted)?;
        let peer = config.peer_url()?;
        let peer = peer.map(|url| anyhow::Ok(PeerAt { url, tls: connect::tls(config)? }));
        Ok(Self { rpc, tls, oidc: oidc::of(config)?, peer: peer.transpose()? })
    }

    /// Reads certificates again whenever SIGHUP comes, until the process ends.
    pub(crate) fn reload_on_hangup(&self) -> Result<()> {
        let Some(tls) = self.tls.clone() else { return Ok(()) };
        let mut hangups = signals::hangups()?;
        tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                match tls.reload() {
                    Ok(()) => tracing::info!("the certificates were read again"),
                    Err(error) => tracing::error!(%error, "the old certificates are kept"),
                }
            }
        });
        Ok(())
    }
}

/// Says so of addresses that others can reach although nothing is encrypted.
pub(crate) fn warn(addresses: [Option<SocketAddr>; 2]) {
    for address in addresses.into_iter().flatten().filter(|address| !address.ip().is_loopback()) {
        tracing::warn!(
            %address,
            "others can reach this address, and nothing is encrypted: give --tls-cert and \
             --tls-key, or let a proxy that speaks TLS stand in front"
        );
    }
}

/// Reads what `get_config` gives; no file is none.
fn rpc_config(path: &str) -> Result<Option<Data>> {
    if path.is_empty() {
        return Ok(None);
    }
    Ok(Some(data_from_json(&Value::Object(files::yaml_map(path)?))?))
}

/// Refuses to ask for tokens as long as there is none.
pub(crate) async fn refuse_without_tokens(backend: &dyn Backend, listen: SocketAddr) -> Result<()> {
    let first = UserQuery::List(Page { after: None, limit: 1 });
    let users = backend.read(Query::Users(first), 0).await?.answer;
    let has_user = matches!(&users, Answer::Users(UserAnswer::Users(users)) if !users.is_empty());
    match backend.read(Query::Tokens, 0).await?.answer {
        Answer::Tokens(tokens) if !tokens.is_empty() || has_user => Ok(()),
        _ => {
            let (why, or) = if listen.ip().is_loopback() {
                ("everyone is asked for a token".to_owned(), "leave out --require-token")
            } else {
                (format!("{listen} can be reached from other machines"), "listen on 127.0.0.1")
            };
            let hint = format!(
                "make one with `lockstep token create --all-namespaces --scope '*' --store \
                 sqlite:PATH`, or a user with `lockstep user add NAME --role admin \
                 --all-namespaces --store sqlite:PATH`, or {or}"
            );
            Err(Failure::usage(format!("{why}, and the store has no token and no user"), hint)
                .into())
        }
    }
}
