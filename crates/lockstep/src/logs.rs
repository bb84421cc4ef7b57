//! Logs: on standard error, as text or JSON.

use std::io::{self, IsTerminal};

use anyhow::Result;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{config::Config, failure::Failure};

/// Sets up logging as configured.
pub(crate) fn start(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(config.text("log.filter")).map_err(|error| {
        let hint = "write a level such as `info`, or parts such as `warn,server=debug`";
        Failure::usage(format!("bad log filter: {error}"), hint)
    })?;
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(colours);
    let registry = tracing_subscriber::registry().with(filter);
    if config.text("log.format") == "json" {
        registry.with(layer.json()).try_init()?;
    } else {
        registry.with(layer).try_init()?;
    }
    Ok(())
}
