//! `lockstep mail examine` and `lockstep mail doctor`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use mail::{Side, driver::Folders};
use serde_json::json;

use super::{place, settings, vault::Vault};
use crate::output::{Output, printable, table};

/// Which account to look at.
#[derive(Args)]
pub(crate) struct ExamineArgs {
    /// The account
    account: String,
}

/// Which accounts to look over.
#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// The account; all of them if none is named
    account: Option<String>,
}

impl ExamineArgs {
    /// Shows what both sides have and can do.
    pub(super) async fn run(self, vault: &Vault, out: Output) -> Result<ExitCode> {
        let file = settings::load(&self.account)?;
        let given = vault.give(&file).await?;
        let (mut shown, mut text) = (Vec::new(), String::new());
        for side in Side::BOTH {
            let store = file.stores();
            let store = store.get(side);
            let connect = place::connect(&self.account, side, store, &given)?;
            let mut driver = connect.connect().await.with_context(|| format!("the {side} side"))?;
            let can = driver.capabilities();
            let found = driver.folders().await.with_context(|| format!("the {side} side"))?;
            let rows = rows(&found);
            text.push_str(&printable(&format!("{side}: {}\n", store.url)));
            let writing = if can.read_only { "read-only" } else { "may be changed" };
            text.push_str(&format!("{writing}, {} folders\n", found.folders.len()));
            text.push_str(&table(&["folder", "for", "epoch"], &rows));
            for skipped in &found.skipped {
                text.push_str(&printable(&format!("left out: {skipped}\n")));
            }
            text.push('\n');
            let folders = found.folders.iter().map(|folder| {
                json!({"folder": folder.name, "for": folder.purpose, "at": folder.checkpoint})
            });
            let folders: Vec<_> = folders.collect();
            shown.push(json!({
                "side": side, "url": store.url, "read_only": can.read_only, "folders": folders,
                "left_out": found.skipped,
            }));
            driver.close().await.with_context(|| format!("the {side} side"))?;
        }
        out.data(&json!(shown), || text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn rows(found: &Folders) -> Vec<Vec<String>> {
    let row = |folder: &mail::driver::Folder| {
        let epoch = folder.checkpoint.as_ref().map(|known| known.epoch.to_string());
        let purpose = folder.purpose.as_ref().map(ToString::to_string);
        vec![
            printable(folder.name.as_str()),
            printable(&purpose.unwrap_or_default()),
            printable(&epoch.unwrap_or_default()),
        ]
    };
    found.folders.iter().map(row).collect()
}

impl DoctorArgs {
    /// Looks for what is wrong, one thing after the other.
    pub(super) async fn run(self, vault: &Vault, out: Output) -> Result<ExitCode> {
        let (mut shown, mut lines, mut wrong) = (Vec::new(), Vec::new(), false);
        for name in settings::chosen(self.account.as_deref())? {
            let mut checks: Vec<(String, Result<String>)> = Vec::new();
            checks.push(("file".to_owned(), check_file(&name)));
            for side in Side::BOTH {
                checks.push((format!("{side} side"), check_side(&name, side, vault).await));
            }
            checks.push(("state".to_owned(), check_state(&name)));
            for (what, outcome) in checks {
                let (ok, said) = match outcome {
                    Ok(said) => (true, said),
                    Err(error) => (false, format!("{error:#}")),
                };
                wrong |= !ok;
                let mark = if ok { "ok" } else { "WRONG" };
                lines.push(printable(&format!("{name}: {what}: {mark}: {said}")));
                shown.push(json!({"account": name, "check": what, "ok": ok, "said": said}));
            }
        }
        out.data(&json!(shown), || lines.join("\n"))?;
        Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn check_file(name: &str) -> Result<String> {
    settings::load(name)?.settings()?;
    Ok(settings::file(name)?.display().to_string())
}

async fn check_side(name: &str, side: Side, vault: &Vault) -> Result<String> {
    let file = settings::load(name)?;
    let given = vault.give(&file).await?;
    let store = file.stores();
    let store = place::connect(name, side, store.get(side), &given)?;
    let mut driver = store.connect().await?;
    driver.identity(false).await?;
    let folders = driver.folders().await?;
    driver.close().await?;
    Ok(format!("{} folders, {} left out", folders.folders.len(), folders.skipped.len()))
}

fn check_state(name: &str) -> Result<String> {
    let database = place::database(name)?;
    let overview = database.overview(place::now())?;
    let pairs: usize = overview.folders.iter().map(|row| row.messages).sum();
    let cut = database.runs(1)?.first().is_some_and(|run| run.finished.is_none());
    let open: usize = overview.intents.values().map(std::collections::BTreeMap::len).sum();
    let last = if cut { "the last run was cut off" } else { "the last run came to its end" };
    Ok(format!(
        "{pairs} messages in {} folders on both sides, {open} uploads in doubt, {last}",
        overview.folders.len()
    ))
}
