//! `lockstep attempt`.

use std::ffi::OsString;

use anyhow::Result;
use clap::{Args, Subcommand};
use client::AttemptHandle;
use model::{Answer, Attempt, AttemptRef, Data, Query, SpecName, WorkerName, data_from_json};
use serde_json::json;

use super::unit::{json_flag, unit_name};
use crate::{
    connect::{Session, pages, unexpected},
    span, view,
};

/// What to do with attempts.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List the attempts of a unit or of a worker, oldest first
    #[command(after_long_help = "Examples:\n  lockstep attempt list scan src/main.rs\n  \
        lockstep attempt list --worker build-1 --which active --json")]
    List(ListArgs),
    /// Extend the lease of an attempt
    #[command(
        after_long_help = "Examples:\n  lockstep attempt renew scan src/main.rs 17 --lease 10m"
    )]
    Renew {
        #[command(flatten)]
        one: OneArgs,
        /// How long from now the lease is to last
        #[arg(long, value_name = "SPAN", default_value = "15m")]
        lease: String,
    },
    /// End an attempt with success
    #[command(after_long_help = "Examples:\n  \
        lockstep attempt finish scan src/main.rs 17 --data '{\"lines\": 3}'")]
    Finish(OneArgs),
    /// End an attempt without success
    #[command(after_long_help = "Examples:\n  \
        lockstep attempt fail scan src/main.rs 17 --data '{\"traceback\": \"no such file\"}'")]
    Fail(OneArgs),
    /// End an attempt and let its unit be tried again
    #[command(
        after_long_help = "Examples:\n  lockstep attempt retry scan src/main.rs 17 --delay 90s"
    )]
    Retry {
        #[command(flatten)]
        one: OneArgs,
        /// Hand the unit out only after this span
        #[arg(long, value_name = "SPAN", default_value = "0s")]
        delay: String,
    },
    /// End the lease of an attempt now, so that its unit is handed out again
    #[command(after_long_help = "Examples:\n  lockstep attempt expire scan src/main.rs 17")]
    Expire(OneArgs),
}

/// Whose attempts to list.
#[derive(Args)]
pub(crate) struct ListArgs {
    /// The work spec of the unit
    #[arg(required_unless_present = "worker", requires = "name")]
    spec: Option<String>,
    /// The name of the unit
    name: Option<OsString>,
    /// A worker, in place of a unit
    #[arg(long, value_name = "NAME", conflicts_with = "spec")]
    worker: Option<String>,
    /// Which attempts of the worker: its pending ones, all, or its children's pending ones
    #[arg(long, value_enum, default_value_t = Which::All, requires = "worker")]
    which: Which,
    /// Show at most this many; 0 is all
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
    /// Show only attempts after this one (the "next" of an earlier list)
    #[arg(long, value_name = "ID")]
    after: Option<u64>,
}

/// Which attempts of a worker.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Which {
    All,
    Active,
    Children,
}

/// Which attempt, and its new data.
#[derive(Args)]
pub(crate) struct OneArgs {
    /// The work spec
    spec: String,
    /// The name of the unit
    name: OsString,
    /// The id of the attempt
    id: u64,
    /// New data, a JSON object; without it the data stays
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
}

impl Verb {
    /// Runs the verb.
    pub(crate) async fn run(self, session: &Session) -> Result<()> {
        let one = match self {
            Self::List(args) => return list(args, session).await,
            Self::Renew { one, lease } => {
                let span = span::parse(&lease)?;
                let (attempt, data) = one.parts(session).await?;
                attempt.renew(span, data).await?;
                attempt
            }
            Self::Finish(one) => {
                let (attempt, data) = one.parts(session).await?;
                attempt.finish(data).await?;
                attempt
            }
            Self::Fail(one) => {
                let (attempt, data) = one.parts(session).await?;
                attempt.fail(data).await?;
                attempt
            }
            Self::Retry { one, delay } => {
                let delay = span::parse(&delay)?;
                let (attempt, data) = one.parts(session).await?;
                attempt.retry(delay, data).await?;
                attempt
            }
            Self::Expire(one) => {
                let (attempt, data) = one.parts(session).await?;
                attempt.expire(data).await?;
                attempt
            }
        };
        let attempt = one.get().await?;
        session.out.data(&view::attempt(&attempt), || view::attempts_table(&[attempt]))
    }
}

impl OneArgs {
    /// Finds the attempt, and reads its new data.
    async fn parts(self, session: &Session) -> Result<(AttemptHandle, Option<Data>)> {
        let data = match &self.data {
            Some(text) => Some(data_from_json(&json_flag("--data", text)?)?),
            None => None,
        };
        let (spec, unit) = (SpecName::new(self.spec)?, unit_name(self.name)?);
        let query = Query::Attempt(
            session.lockstep.namespace().clone(),
            AttemptRef { spec, unit, id: self.id },
        );
        match session.lockstep.ask(query).await? {
            Answer::Attempt(attempt) => Ok((session.lockstep.attempt(&attempt), data)),
            _ => Err(unexpected().into()),
        }
    }
}

async fn list(args: ListArgs, session: &Session) -> Result<()> {
    let (limit, after) = (args.limit, args.after);
    let key = |attempt: &Attempt| attempt.id;
    let (attempts, next) = match (args.spec, args.name) {
        (Some(spec), Some(name)) => {
            let unit = session.lockstep.unit(SpecName::new(spec)?, unit_name(name)?);
            pages(limit, after, key, async |page| unit.attempts(page).await).await?
        }
        _ => {
            let name = WorkerName::new(args.worker.unwrap_or_default())?;
            let worker = session.lockstep.worker(name);
            let fetch = async |page| match args.which {
                Which::All => worker.all_attempts(page).await,
                Which::Active => worker.active_attempts(page).await,
                Which::Children => worker.child_attempts(page).await,
            };
            pages(limit, after, key, fetch).await?
        }
    };
    let shown: Vec<_> = attempts.iter().map(view::attempt).collect();
    let json = json!({"attempts": shown, "next": next});
    session.out.data(&json, || view::attempts_table(&attempts))
}
