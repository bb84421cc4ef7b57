//! The settings that there are, and what their values must be.

use std::{env, net::SocketAddr, num::NonZeroU32, path::PathBuf};

use anyhow::Result;
use model::Namespace;
use server::{OidcOptions, Rate};

use super::StoreAt;
use crate::{failure::Failure, span, steps::Guard, webhook::Webhook};

/// One setting that there is.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) env: &'static str,
    /// Empty where it is no flag, as all users of a machine can see those.
    pub(super) flag: &'static str,
    pub(super) default: fn() -> Option<String>,
    pub(super) check: fn(&str) -> Result<()>,
}

/// All settings.
pub(super) const KEYS: [Key; 38] = [
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
        name: "ca_file",
        env: "LOCKSTEP_CA_FILE",
        flag: "--ca-file",
        default: || None,
        check: anything,
    },
    Key {
        name: "client_cert",
        env: "LOCKSTEP_CLIENT_CERT",
        flag: "--client-cert",
        default: || None,
        check: anything,
    },
    Key {
        name: "client_key",
        env: "LOCKSTEP_CLIENT_KEY",
        flag: "--client-key",
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
        name: "serve.tls_cert",
        env: "LOCKSTEP_TLS_CERT",
        flag: "--tls-cert",
        default: || None,
        check: anything,
    },
    Key {
        name: "serve.tls_key",
        env: "LOCKSTEP_TLS_KEY",
        flag: "--tls-key",
        default: || None,
        check: anything,
    },
    Key {
        name: "serve.tls_client_ca",
        env: "LOCKSTEP_TLS_CLIENT_CA",
        flag: "--tls-client-ca",
        default: || None,
        check: anything,
    },
    Key {
        name: "serve.require_token",
        env: "LOCKSTEP_REQUIRE_TOKEN",
        flag: "--require-token",
        default: || Some("false".to_owned()),
        check: |text| yes_or_no(text).map(drop),
    },
    Key {
        name: "serve.rate_limit",
        env: "LOCKSTEP_RATE_LIMIT",
        flag: "--rate-limit",
        default: || None,
        check: |text| rate(text).map(drop),
    },
    Key {
        name: "serve.cache",
        env: "LOCKSTEP_CACHE",
        flag: "--cache",
        default: || Some("on".to_owned()),
        check: |text| on_or_off(text).map(drop),
    },
    Key {
        name: "serve.rpc",
        env: "LOCKSTEP_RPC",
        flag: "--rpc",
        default: || Some("127.0.0.1:5932".to_owned()),
        check: |text| rpc(text).map(drop),
    },
    Key {
        name: "serve.rpc_config",
        env: "LOCKSTEP_RPC_CONFIG",
        flag: "--rpc-config",
        default: || None,
        check: anything,
    },
    Key {
        name: "serve.steps_may_call",
        env: "LOCKSTEP_STEPS_MAY_CALL",
        flag: "--steps-may-call",
        default: || Some(String::new()),
        check: |text| guard(text).map(drop),
    },
    Key {
        name: "serve.processes",
        env: "LOCKSTEP_PROCESSES",
        flag: "--processes",
        default: || Some("off".to_owned()),
        check: |text| on_or_off(text).map(drop),
    },
    Key {
        name: "serve.secrets",
        env: "LOCKSTEP_SECRETS",
        flag: "--secrets",
        default: || Some(String::new()),
        check: anything,
    },
    Key {
        name: "serve.secrets_key",
        env: "LOCKSTEP_SECRETS_KEY",
        flag: "--secrets-key",
        default: || Some(String::new()),
        check: anything,
    },
    Key {
        name: "serve.mail",
        env: "LOCKSTEP_MAIL",
        flag: "--mail",
        default: || Some(String::new()),
        check: anything,
    },
    Key {
        name: "serve.publish_webhooks",
        env: "LOCKSTEP_PUBLISH_WEBHOOKS",
        flag: "--publish-webhooks",
        default: || Some(String::new()),
        check: |text| webhooks(text).map(drop),
    },
    Key {
        name: "serve.keep_instances",
        env: "LOCKSTEP_KEEP_INSTANCES",
        flag: "--keep-instances",
        default: || Some("30d".to_owned()),
        check: |text| Ok(span::parse(text).map(drop)?),
    },
    Key {
        name: "serve.grace",
        env: "LOCKSTEP_GRACE",
        flag: "--grace",
        default: || Some("10s".to_owned()),
        check: |text| Ok(span::parse(text).map(drop)?),
    },
    Key {
        name: "otlp.endpoint",
        env: "LOCKSTEP_OTLP_ENDPOINT",
        flag: "--otlp-endpoint",
        default: || Some(String::new()),
        check: |text| collector(text).map(drop),
    },
    Key {
        name: "otlp.sample",
        env: "LOCKSTEP_OTLP_SAMPLE",
        flag: "--otlp-sample",
        default: || Some("1".to_owned()),
        check: |text| share(text).map(drop),
    },
    Key {
        name: "oidc.issuer",
        env: "LOCKSTEP_OIDC_ISSUER",
        flag: "--oidc-issuer",
        default: || Some(String::new()),
        check: anything,
    },
    Key {
        name: "oidc.client_id",
        env: "LOCKSTEP_OIDC_CLIENT_ID",
        flag: "--oidc-client-id",
        default: || Some(String::new()),
        check: anything,
    },
    Key {
        name: "oidc.client_secret",
        env: "LOCKSTEP_OIDC_CLIENT_SECRET",
        flag: "",
        default: || None,
        check: anything,
    },
    Key {
        name: "oidc.client_secret_file",
        env: "LOCKSTEP_OIDC_CLIENT_SECRET_FILE",
        flag: "--oidc-client-secret-file",
        default: || None,
        check: anything,
    },
    Key {
        name: "oidc.address",
        env: "LOCKSTEP_OIDC_ADDRESS",
        flag: "--oidc-address",
        default: || Some(String::new()),
        check: anything,
    },
    Key {
        name: "oidc.label",
        env: "LOCKSTEP_OIDC_LABEL",
        flag: "--oidc-label",
        default: || Some("single sign-on".to_owned()),
        check: anything,
    },
    Key {
        name: "oidc.name_claim",
        env: "LOCKSTEP_OIDC_NAME_CLAIM",
        flag: "--oidc-name-claim",
        default: || Some("preferred_username".to_owned()),
        check: anything,
    },
    Key {
        name: "oidc.groups_claim",
        env: "LOCKSTEP_OIDC_GROUPS_CLAIM",
        flag: "--oidc-groups-claim",
        default: || Some("groups".to_owned()),
        check: anything,
    },
    Key {
        name: "oidc.grants",
        env: "LOCKSTEP_OIDC_GRANTS",
        flag: "--oidc-grants",
        default: || Some(String::new()),
        check: |text| Ok(OidcOptions::parse_grants(text).map(drop)?),
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

fn data_file() -> Option<PathBuf> {
    folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("lockstep/lockstep.db"))
}

/// Finds a folder of the XDG base directory rules: only absolute paths count.
pub(crate) fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let named = env::var_os(variable).map(PathBuf::from).and_then(absolute);
    named.or_else(|| env::home_dir().map(|home| home.join(below_home)))
}

fn anything(_: &str) -> Result<()> {
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

fn log_format(text: &str) -> Result<()> {
    if matches!(text, "text" | "json") {
        return Ok(());
    }
    Err(Failure::usage(format!("unknown log format {text:?}"), "write `text` or `json`").into())
}
