//! `lockstep mail sync` and `lockstep mail undo`.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Args;
use mail::{
    Side,
    engine::{Context, Counts, Mode, Session, Summary, undo},
    state::Event,
};
use serde_json::{Value, json};

use super::{
    place::{self, Opened, now},
    plan::readable,
    progress::Bars,
    settings,
    vault::Vault,
};
use crate::output::{Output, printable, raw};

/// Events that are shown with the round that they tell of; `mail events` shows all.
const EVENTS_MAX: u32 = 10_000;
/// The exit code where removals are held.
const HELD: u8 = 3;

/// Which accounts to sync, and how.
#[derive(Args)]
pub(crate) struct SyncArgs {
    /// The account; all of them if none is named
    account: Option<String>,
    /// Go on, whenever something changes
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Which account to put back.
#[derive(Args)]
pub(crate) struct UndoArgs {
    /// The account
    account: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl SyncArgs {
    /// Syncs, once or for as long as the program runs.
    pub(super) async fn run(self, vault: &Vault, out: Output) -> Result<ExitCode> {
        let names = settings::chosen(self.account.as_deref())?;
        if self.watch {
            let mut tasks = tokio::task::JoinSet::new();
            for name in names {
                let vault = vault.clone();
                tasks.spawn(async move { watch(&name, &vault, out).await });
            }
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let mode = if self.dry_run { Mode::Plan } else { Mode::Apply };
        let mut worst = 0;
        for name in names {
            let opened = place::open(&name, vault).await?;
            let before = place::database(&name)?.last_event()?;
            let bars = Bars::new(&name, out)?;
            let show = |progress| bars.tell(&progress);
            let context = Context { now: &now, progress: &show };
            let session = Session::new(&opened.account, &opened.state, &context);
            let summary = session.round(&mode).await;
            drop(session);
            bars.end();
            let summary = summary?;
            let events = place::database(&name)?.events(before, EVENTS_MAX)?;
            worst = worst.max(report(&name, &summary, &events, self.dry_run, out)?);
        }
        Ok(ExitCode::from(worst))
    }
}

/// Writes what a round did; gives the exit code.
pub(super) fn report(
    name: &str,
    summary: &Summary,
    events: &[Event],
    dry: bool,
    out: Output,
) -> Result<u8> {
    let mut shown = shown(name, summary, events)?;
    if let Some(fields) = shown.as_object_mut().filter(|_| dry) {
        fields.insert("plan".to_owned(), serde_json::to_value(&summary.plan)?);
    }
    out.data(&shown, || if dry { readable(name, &summary.plan) } else { told(name, summary) })?;
    for problem in &summary.problems {
        let place = problem.folder.as_ref().map(|folder| format!(" {folder}:")).unwrap_or_default();
        out.note(printable(&format!("error: {name}:{place} {}", problem.error)));
    }
    for hold in &summary.held {
        out.note(printable(&format!("held: {name}: {}", hold.why)));
        out.note(format!("hint: `lockstep mail approve {}` lets it through", hold.token));
    }
    Ok(if !summary.problems.is_empty() {
        1
    } else if !summary.held.is_empty() {
        HELD
    } else {
        0
    })
}

/// Gives what a round did for programs, with the events that tell of it.
fn shown(name: &str, summary: &Summary, events: &[Event]) -> Result<Value> {
    let mut shown = serde_json::to_value(summary)?;
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("account".to_owned(), json!(name));
        fields.insert("events".to_owned(), serde_json::to_value(events)?);
    }
    Ok(shown)
}

/// Says in a few lines what a round did.
fn told(name: &str, summary: &Summary) -> String {
    let mut text = format!(
        "{name}: {} folders, {} looked into{}\n",
        summary.folders,
        summary.examined,
        if summary.is_quiet() { ", both sides are the same" } else { "" }
    );
    for side in Side::BOTH {
        let counts = summary.done.get(side);
        if *counts != Counts::default() {
            text.push_str(&format!("  {side}: {}\n", counted(counts)));
        }
    }
    if summary.paired > 0 {
        text.push_str(&format!("  {} messages were on both sides already\n", summary.paired));
    }
    for conflict in &summary.conflicts {
        let line = format!("  {}: {} is on both sides again\n", conflict.folder, conflict.key);
        text.push_str(&printable(&line));
    }
    if summary.outdated > 0 {
        text.push_str(&format!("  {} steps of the plan no longer held\n", summary.outdated));
    }
    text
}

fn counted(counts: &Counts) -> String {
    let kinds = [
        (counts.copied, format!("{} new ({})", counts.copied, size(counts.bytes))),
        (counts.flagged, format!("{} flagged", counts.flagged)),
        (counts.moved, format!("{} moved", counts.moved)),
        (counts.removed, format!("{} removed", counts.removed)),
        (counts.deduplicated, format!("{} second copies removed", counts.deduplicated)),
        (counts.folders, format!("{} folders changed", counts.folders)),
    ];
    let said: Vec<String> =
        kinds.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    said.join(", ")
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// Syncs again and again: when a side tells of a change, or the interval is over.
async fn watch(name: &str, vault: &Vault, out: Output) -> Result<()> {
    let mut failures = 0_u32;
    loop {
        let opened = place::open(name, vault).await?;
        let interval = opened.file.interval()?;
        let outcome = watch_connected(name, &opened, interval, out, &mut failures).await;
        drop(opened);
        if let Err(error) = outcome {
            failures = failures.saturating_add(1);
            // The same server is asked less and less often, but never given up.
            let pause = Duration::from_secs(1 << failures.min(8)).min(interval);
            out.note(printable(&format!("error: {name}: {error:#}")));
            out.note(format!("{name}: trying again in {} s", pause.as_secs()));
            tokio::time::sleep(pause).await;
        }
    }
}

async fn watch_connected(
    name: &str,
    opened: &Opened,
    interval: Duration,
    out: Output,
    failures: &mut u32,
) -> Result<()> {
    let context = Context { now: &now, progress: &|_| {} };
    let session = Session::new(&opened.account, &opened.state, &context);
    let mut last = place::database(name)?.last_event()?;
    loop {
        let summary = session.round(&Mode::Apply).await?;
        let events = place::database(name)?.events(last, EVENTS_MAX)?;
        last = events.last().map_or(last, |event| event.seq);
        let is_news =
            !summary.is_quiet() || !summary.problems.is_empty() || !summary.held.is_empty();
        if is_news && out.json {
            let line = shown(name, &summary, &events)?;
            raw(format!("{line}\n").as_bytes())?;
        } else if is_news {
            report(name, &summary, &events, false, out)?;
        }
        *failures = 0;
        session.wait(interval).await?;
    }
}

impl UndoArgs {
    /// Puts back what the last sync did.
    pub(super) async fn run(self, vault: &Vault, out: Output) -> Result<ExitCode> {
        let name = &self.account;
        out.confirm(
            &format!("put back what the last sync of {name:?} removed or changed"),
            self.yes,
        )?;
        let opened = place::open(name, vault).await?;
        let context = Context { now: &now, progress: &|_| {} };
        let undone = undo(&opened.account, &opened.state, &context).await?;
        out.data(&serde_json::to_value(undone)?, || {
            format!(
                "{name}: {} messages are back, {} have their flags again, {} are moved back, {} \
                 folders are made again, {} had changed meanwhile",
                undone.restored, undone.flagged, undone.moved, undone.folders, undone.skipped
            )
        })?;
        out.note(format!("`lockstep mail sync {name}` makes the other side follow"));
        Ok(ExitCode::SUCCESS)
    }
}
