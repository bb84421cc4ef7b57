//! `lockstep health`: asks a server whether it is ready.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use client::{Remote, RemoteOptions};
use serde_json::json;

use crate::{config::Config, connect, output::Output};

const EXAMPLES: &str = "\
Asks the server at --url whether it takes requests: its store answers, and it is not stopping. It
needs no token. It ends with 0 if so, and with 5 if not, as the health checks of containers and load
balancers want it.

Examples:
  lockstep health
  lockstep health --url http://127.0.0.1:8080 --quiet";

/// The longest time that an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How to ask.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct HealthArgs {}

impl HealthArgs {
    /// Runs the command.
    pub(crate) async fn run(self, config: &Config, out: Output) -> Result<()> {
        let tls = connect::tls(config)?;
        let options = RemoteOptions { tls, answer_max: ANSWER_MAX, ..RemoteOptions::standard() };
        Remote::new(config.text("url"), options)?.ready().await?;
        if out.quiet {
            return Ok(());
        }
        out.data(&json!({"status": "ok"}), || "ready".to_owned())
    }
}
