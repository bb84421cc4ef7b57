//! A command's way to the records: the namespace of a backend, and how to write answers.

use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use client::{Lockstep, Remote, RemoteOptions, TlsOptions};
use model::{Error, Page};

use crate::{config::Config, output::Output};

/// What a command works with.
pub(crate) struct Session {
    /// The namespace to work in.
    pub(crate) lockstep: Lockstep,
    /// How to write.
    pub(crate) out: Output,
}

impl Session {
    /// Connects to the configured server.
    pub(crate) fn remote(config: &Config, out: Output) -> Result<Self> {
        Ok(Self { lockstep: remote(config, 3)?, out })
    }
}

/// Names the configured namespace of the configured server; nothing is asked yet.
pub(crate) fn remote(config: &Config, tries_max: u32) -> Result<Lockstep> {
    let token = config.token()?;
    let options =
        RemoteOptions { token, tls: tls(config)?, tries_max, ..RemoteOptions::standard() };
    let remote = Remote::new(config.text("url"), options)?;
    Ok(Lockstep::new(Arc::new(remote), config.namespace()?))
}

/// Gives whom to trust over https, and what to show.
pub(crate) fn tls(config: &Config) -> Result<TlsOptions> {
    Ok(TlsOptions {
        ca_file: config.path("ca_file"),
        identity: config.pair("client_cert", "client_key")?,
    })
}

/// Says that an answer is not of the kind that was asked for.
pub(crate) fn unexpected() -> Error {
    Error::Internal("the server gave an answer of another kind".to_owned())
}

/// Which part of a list to show.
#[derive(Args)]
pub(crate) struct Part {
    /// Show at most this many; 0 is all
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) limit: u32,
    /// Show only what comes after this one (the "next" of an earlier list)
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) after: Option<String>,
}

/// Reads a list page by page; the key says where the next part starts, if there may be one.
pub(crate) async fn pages<K: Clone, T>(
    limit: u32,
    mut after: Option<K>,
    key: impl Fn(&T) -> K,
    fetch: impl AsyncFn(Page<K>) -> model::Result<Vec<T>>,
) -> Result<(Vec<T>, Option<K>)> {
    let page_max = model::limits::PAGE_MAX;
    let mut items: Vec<T> = Vec::new();
    loop {
        let taken = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let left = if limit == 0 { page_max } else { limit.saturating_sub(taken) };
        let asked = left.min(page_max);
        let page = fetch(Page { after: after.clone(), limit: asked }).await?;
        let full = page.len() >= asked as usize;
        items.extend(page);
        after = items.last().map(&key);
        if !full {
            return Ok((items, None));
        }
        if limit > 0 && items.len() >= limit as usize {
            return Ok((items, after));
        }
    }
}
