//! What the values of settings must be.

use std::{env, net::SocketAddr, num::NonZeroU32, path::PathBuf};

use anyhow::Result;
use server::Rate;

use crate::{failure::Failure, steps::Guard, webhook::Webhook};

pub(super) fn data_file() -> Option<PathBuf> {
    folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("lockstep/lockstep.db"))
}

/// Finds a folder of the XDG base directory rules: only absolute paths count.
pub(crate) fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let named = env::var_os(variable).map(PathBuf::from).and_then(absolute);
    named.or_else(|| env::home_dir().map(|home| home.join(below_home)))
}

pub(super) fn anything(_: &str) -> Result<()> {
    Ok(())
}

pub(super) fn address(text: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| {
        let message = format!("{text:?} is not an address to listen on");
        Failure::usage(message, "write an IP address and a port, such as 127.0.0.1:5980").into()
    })
}

/// Reads the address for CBOR-RPC; `off` is none.
pub(super) fn rpc(text: &str) -> Result<Option<SocketAddr>> {
    if text == "off" { Ok(None) } else { address(text).map(Some) }
}

/// Reads the URL at which other nodes reach this one; none is that they do not.
pub(super) fn peer_url(text: &str) -> Result<Option<reqwest::Url>> {
    if text.is_empty() {
        return Ok(None);
    }
    let is_right = |url: &reqwest::Url| {
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        let says_more = url.query().is_some() || url.fragment().is_some();
        is_http && !says_more && url.username().is_empty() && url.password().is_none()
    };
    let url = reqwest::Url::parse(text).ok().filter(is_right).ok_or_else(|| {
        let message = format!("{text:?} is not a URL at which other nodes reach this one");
        let hint = "write http://HOST:PORT or https://HOST:PORT, such as http://10.0.0.7:5980";
        Failure::usage(message, hint)
    })?;
    Ok(Some(url))
}

/// Reads the address of a collector; none is no collector.
pub(super) fn collector(text: &str) -> Result<Option<reqwest::Url>> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(mut url) = url else {
        let message = format!("{text:?} is not the address of a collector");
        let hint = "write its address for OTLP over HTTP, such as http://127.0.0.1:4318";
        return Err(Failure::usage(message, hint).into());
    };
    if !url.path().ends_with("/v1/traces") {
        url.set_path(&format!("{}/v1/traces", url.path().trim_end_matches('/')));
    }
    Ok(Some(url))
}

/// Reads a share.
pub(super) fn share(text: &str) -> Result<f64> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| {
        let message = format!("{text:?} is not a share of all traces");
        Failure::usage(message, "write a number from 0 to 1, such as 0.1 for a tenth").into()
    })
}

pub(super) fn yes_or_no(text: &str) -> Result<bool> {
    text.parse().map_err(|_| {
        let message = format!("{text:?} is neither true nor false");
        Failure::usage(message, "write `true` or `false`").into()
    })
}

pub(super) fn rate(text: &str) -> Result<Rate> {
    let number: u32 = text.parse().map_err(|_| {
        let message = format!("{text:?} is not a number of requests a second");
        Failure::usage(message, "write a whole number, or 0 for no limit")
    })?;
    Ok(NonZeroU32::new(number).map_or(Rate::Unlimited, Rate::Max))
}

/// Reads networks.
pub(super) fn guard(text: &str) -> Result<Guard> {
    let hint = "write networks such as 10.0.0.0/8, with commas between them";
    Guard::parse(text).map_err(|why| Failure::usage(why, hint).into())
}

/// Reads who is asked before anything is published.
pub(super) fn webhooks(text: &str) -> Result<Vec<Webhook>> {
    let hint =
        "write NAME=URL with commas between them, and NAME?=URL for one that need not answer";
    Webhook::parse_all(text).map_err(|why| Failure::usage(why, hint).into())
}

pub(super) fn on_or_off(text: &str) -> Result<bool> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => {
            let message = format!("{text:?} is neither on nor off");
            Err(Failure::usage(message, "write `on` or `off`").into())
        }
    }
}

pub(super) fn log_format(text: &str) -> Result<()> {
    if matches!(text, "text" | "json") {
        return Ok(());
    }
    Err(Failure::usage(format!("unknown log format {text:?}"), "write `text` or `json`").into())
}
