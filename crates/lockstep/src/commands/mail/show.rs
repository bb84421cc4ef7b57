//! What is remembered of accounts: `status`, `conflicts`, `events`, `approve`.

use std::{
    env,
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use model::{Error, Time};
use serde_json::json;

use super::{place, server, settings};
use crate::{
    config::Config,
    output::{Output, printable, raw, table},
};

/// Which accounts to show.
#[derive(Args)]
pub(crate) struct Which {
    /// The account; all of them if none is named
    account: Option<String>,
}

/// Which accounts to show, and where they are.
#[derive(Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    which: Which,
    /// Ask the server about the accounts that it keeps in step
    #[arg(long)]
    server: bool,
}

impl StatusArgs {
    /// Shows how far accounts are.
    pub(super) async fn run(self, config: &Config, out: Output) -> Result<ExitCode> {
        if self.server {
            server::status(self.which.account.as_deref(), config, out).await?;
            return Ok(ExitCode::SUCCESS);
        }
        status(&self.which, out)
    }
}

/// Which events to show.
#[derive(Args)]
pub(crate) struct EventsArgs {
    /// The account
    account: String,
    /// Show only what came after this number
    #[arg(long, default_value_t = 0, value_name = "N")]
    after: i64,
    /// Show at most this many
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    limit: u32,
}

/// What to let through.
#[derive(Args)]
pub(crate) struct ApproveArgs {
    /// The token that stands for the held set; it is no token for access, which has a flag
    #[arg(id = "held", value_name = "TOKEN")]
    token: String,
    /// It is of an account that the server keeps in step
    #[arg(long)]
    server: bool,
}

const NANOS: i64 = 1_000_000_000;
/// What is shown of each folder.
pub(super) const HEADS: [&str; 4] = ["folder", "messages", "the same at", ""];

fn time(seconds: i64) -> String {
    Time(seconds.saturating_mul(NANOS)).to_string()
}

/// Tells whether both sides were not known to be the same for more than two intervals.
pub(super) fn is_late(proved: Option<Time>, interval: Duration) -> bool {
    proved.is_none_or(|proved| place::now() > proved.plus(interval * 2))
}

/// Marks what is late: with a word, and in red where somebody looks.
pub(super) fn mark(late: bool) -> String {
    match late {
        false => String::new(),
        true if io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none() => {
            "\u{1b}[31mLATE\u{1b}[0m".to_owned()
        }
        true => "LATE".to_owned(),
    }
}

/// Shows how far accounts are.
fn status(which: &Which, out: Output) -> Result<ExitCode> {
    let (mut shown, mut text) = (Vec::new(), String::new());
    for name in settings::chosen(which.account.as_deref())? {
        let database = place::database(&name)?;
        let overview = database.overview(place::now())?;
        let (last, holds) = (database.runs(1)?.into_iter().next(), database.holds()?);
        let interval = settings::load(&name)?.interval()?;
        let mut rows = Vec::new();
        let mut folders = Vec::new();
        for row in &overview.folders {
            let late = is_late(row.proved.map(|at| Time(at.saturating_mul(NANOS))), interval);
            let proved = row.proved.map_or_else(|| "never".to_owned(), time);
            folders.push(json!({
                "folder": row.name, "messages": row.messages, "proved": row.proved.map(time),
                "late": late,
            }));
            let name = printable(row.name.as_str());
            rows.push(vec![name, row.messages.to_string(), proved, mark(late)]);
        }
        let ran = match &last {
            None => "never synced".to_owned(),
            Some(run) => match run.finished {
                Some(at) => format!("last synced at {}", time(at)),
                None => format!("the run that began at {} was cut off", time(run.started)),
            },
        };
        text.push_str(&format!("{name}: {ran}\n"));
        for hold in &holds {
            let waits = if hold.approved { "approved" } else { "held" };
            text.push_str(&printable(&format!("{waits}: {} ({})\n", hold.why, hold.token)));
        }
        text.push_str(&table(&HEADS, &rows));
        shown.push(json!({"account": name, "last": last, "holds": holds, "folders": folders}));
    }
    out.data(&json!(shown), || text)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows where sides contradicted each other.
pub(super) fn conflicts(which: &Which, out: Output) -> Result<ExitCode> {
    let (mut shown, mut rows) = (Vec::new(), Vec::new());
    for name in settings::chosen(which.account.as_deref())? {
        for (at, conflict) in place::database(&name)?.conflicts(1_000)? {
            let kind = serde_json::to_value(conflict.kind)?;
            rows.push(vec![
                name.clone(),
                time(at),
                printable(conflict.folder.as_str()),
                printable(&conflict.key.to_string()),
                kind.as_str().unwrap_or_default().to_owned(),
            ]);
            shown.push(json!({"account": name, "at": time(at), "conflict": conflict}));
        }
    }
    let heads = ["account", "at", "folder", "message", "what"];
    out.data(&json!(shown), || table(&heads, &rows))?;
    Ok(ExitCode::SUCCESS)
}

impl EventsArgs {
    /// Shows what happened.
    pub(super) fn run(self, out: Output) -> Result<ExitCode> {
        for event in place::database(&self.account)?.events(self.after, self.limit)? {
            let line = if out.json {
                serde_json::to_string(&event)?
            } else {
                printable(&format!(
                    "{} {} {} {}",
                    event.seq,
                    time(event.at),
                    event.kind,
                    event.data
                ))
            };
            raw(format!("{line}\n").as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl ApproveArgs {
    /// Lets a held set through at the next sync.
    pub(super) async fn run(self, config: &Config, out: Output) -> Result<ExitCode> {
        if self.server {
            server::approve(&self.token, config, out).await?;
            return Ok(ExitCode::SUCCESS);
        }
        for name in settings::chosen(None)? {
            if place::database(&name)?.approve(&self.token)? {
                let shown = json!({"account": name, "approved": self.token});
                out.data(&shown, || format!("{name}: the next sync removes exactly that set"))?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        Err(Error::bad_input(format!(
            "no held set has the token {:?}; `lockstep mail status` shows what is held",
            self.token
        ))
        .into())
    }
}
