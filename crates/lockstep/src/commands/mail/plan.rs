//! `lockstep mail plan` and `lockstep mail apply`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use mail::{
    FlagChange, Key, Sides,
    engine::{Context, FolderStep, Mode, Session, WholePlan},
    plan::Step,
};
use serde::{Deserialize, Serialize};

use super::{
    place::{self, now},
    sync::report,
    vault::Vault,
};
use crate::{
    failure::Failure,
    files,
    output::{Output, printable},
};

/// Which account to plan for.
#[derive(Args)]
pub(crate) struct PlanArgs {
    /// The account
    account: String,
}

/// Which plan to apply.
#[derive(Args)]
pub(crate) struct ApplyArgs {
    /// The file of the plan; - is standard input
    plan: String,
}

/// A plan as it stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    account: String,
    plan: WholePlan,
}

impl PlanArgs {
    /// Shows what a sync would do.
    pub(super) async fn run(self, vault: &Vault, out: Output) -> Result<ExitCode> {
        let opened = place::open(&self.account, vault).await?;
        let context = Context { now: &now, progress: &|_| {} };
        let session = Session::new(&opened.account, &opened.state, &context);
        let summary = session.round(&Mode::Plan).await?;
        for problem in &summary.problems {
            out.note(printable(&format!("error: {}", problem.error)));
        }
        let failed = !summary.problems.is_empty();
        let written = Written { account: self.account, plan: summary.plan };
        let json = serde_json::to_value(&written)?;
        out.data(&json, || readable(&written.account, &written.plan))?;
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl ApplyArgs {
    /// Does what a written plan says, as far as it still holds.
    pub(super) async fn run(self, vault: &Vault, out: Output) -> Result<ExitCode> {
        let text = files::text(&self.plan)?;
        let written: Written = serde_json::from_str(&text).map_err(|error| {
            let hint = "write one with `lockstep mail plan ACCOUNT --json`";
            Failure::usage(format!("{} is no plan: {error}", self.plan), hint)
        })?;
        let opened = place::open(&written.account, vault).await?;
        let context = Context { now: &now, progress: &|_| {} };
        let session = Session::new(&opened.account, &opened.state, &context);
        let summary = session.round(&Mode::Only(Box::new(written.plan))).await?;
        Ok(ExitCode::from(report(&written.account, &summary, &[], false, out)?))
    }
}

/// Writes a plan as lines: `+` for what a side gets, `-` for what it loses, `~` for changes.
pub(super) fn readable(name: &str, plan: &WholePlan) -> String {
    let mut lines = Vec::new();
    for step in &plan.folders {
        lines.push(match step {
            FolderStep::Create { side, folder } => format!("{side} + {folder}/"),
            FolderStep::Remove { side, folder } => format!("{side} - {folder}/"),
            FolderStep::Rename { side, from, to } => format!("{side} ~ {from}/ -> {to}/"),
        });
    }
    for steps in &plan.messages {
        let folder = &steps.folder;
        for step in steps.steps.iter().filter(|step| step.changes_mail()) {
            match step {
                Step::Copy { to, key, flags, .. } => {
                    lines.push(format!("{to} + {folder}: {key} {flags}"));
                }
                Step::Remove { side, key, .. } | Step::Expel { side, key } => {
                    lines.push(format!("{side} - {folder}: {key}"));
                }
                Step::Move { side, to, keys, .. } => {
                    lines.push(format!("{side} ~ {folder}: {} -> {to}", keys.get(*side)));
                }
                Step::Pair { keys, changes, .. } | Step::Flag { keys, changes, .. } => {
                    lines.extend(flagged(folder.as_str(), keys, changes));
                }
                Step::Rekey { .. } | Step::Forget { .. } => {}
            }
        }
    }
    for hold in &plan.held {
        lines.push(format!("held: {} ({})", hold.why, hold.token));
    }
    if lines.is_empty() {
        return format!("{name}: nothing to do\n");
    }
    let lines: Vec<String> = lines.iter().map(|line| printable(line.trim_end())).collect();
    format!("{}\n", lines.join("\n"))
}

fn flagged(folder: &str, keys: &Sides<Key>, changes: &Sides<FlagChange>) -> Vec<String> {
    let mut lines = Vec::new();
    for side in mail::Side::BOTH {
        let change = changes.get(side);
        if !change.is_empty() {
            let signs = change.add.names().map(|name| format!(" +{name}"));
            let signs: String =
                signs.chain(change.remove.names().map(|name| format!(" -{name}"))).collect();
            lines.push(format!("{side} ~ {folder}: {}{signs}", keys.get(side)));
        }
    }
    lines
}
