//! `lockstep health`: asks a server whether it is ready.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use http_body_util::Empty;
use hyper::{Request, StatusCode, Uri, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use model::Error;
use serde_json::json;

use crate::{config::Config, failure::Failure, output::Output};

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
        let url = config.text("url").trim_end_matches('/');
        let wrong = |_| {
            let hint = "write it such as http://127.0.0.1:5980";
            Failure::usage(format!("{url:?} is not the address of a server"), hint)
        };
        let uri: Uri = format!("{url}/readyz").parse().map_err(wrong)?;
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let request = Request::get(uri).body(Empty::new())?;
        let unavailable = |why: String| Error::Unavailable(format!("{url} {why}"));
        let answer = tokio::time::timeout(ANSWER_MAX, client.request(request))
            .await
            .map_err(|_| unavailable(format!("gave no answer within {ANSWER_MAX:?}")))?
            .map_err(|error| unavailable(format!("cannot be reached: {error}")))?;
        if answer.status() != StatusCode::OK {
            return Err(unavailable(format!("is not ready: {}", answer.status())).into());
        }
        if out.quiet {
            return Ok(());
        }
        out.data(&json!({"status": "ok"}), || "ready".to_owned())
    }
}
