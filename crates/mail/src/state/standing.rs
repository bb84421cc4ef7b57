//! How an account stands, for people who are elsewhere.

use model::{Result, Time};
use serde_json::{Value, json};

use super::Database;

/// Folders of which it is told how they stand.
const FOLDERS_MAX: usize = 4_000;
/// Conflicts that are told.
const CONFLICTS_MAX: u32 = 100;
/// Held sets that are told.
const HOLDS_MAX: usize = 100;

/// Says how an account stands: its folders, its last run, what is held, and conflicts.
pub(super) fn standing(database: &Database, now: Time) -> Result<Value> {
    let overview = database.overview(now)?;
    let folder = |row: &super::FolderRow| {
        json!({
            "folder": row.name, "messages": row.messages, "proved": row.proved.map(time),
        })
    };
    let folders: Vec<Value> = overview.folders.iter().take(FOLDERS_MAX).map(folder).collect();
    let all =
        !overview.folders.is_empty() && overview.folders.iter().all(|row| row.proved.is_some());
    let proved = overview.folders.iter().filter_map(|row| row.proved).min();
    let holds = database.holds()?.into_iter().take(HOLDS_MAX).map(|hold| {
        let removal = |removal: &crate::plan::Removal| {
            json!({
                "folder": removal.folder, "side": removal.side, "messages": removal.keys.len(),
            })
        };
        let removals: Vec<Value> = hold.removals.iter().take(HOLDS_MAX).map(removal).collect();
        json!({
            "token": hold.token, "why": hold.why, "removals": removals, "since": time(hold.since),
            "approved": hold.approved,
        })
    });
    let holds: Vec<Value> = holds.collect();
    let conflicts = database.conflicts(CONFLICTS_MAX)?;
    let conflicts =
        conflicts.into_iter().map(|(at, conflict)| json!({"at": time(at), "conflict": conflict}));
    let conflicts: Vec<Value> = conflicts.collect();
    let last = database.runs(1)?.into_iter().next().map(|run| {
        json!({
            "run": run.id, "started": time(run.started), "finished": run.finished.map(time),
            "summary": run.summary,
        })
    });
    Ok(json!({
        "folders": folders, "count": overview.folders.len(), "holds": holds,
        "conflicts": conflicts, "last": last,
        "messages": overview.folders.iter().map(|row| row.messages).sum::<usize>(),
        "proved": proved.filter(|_| all).map(time),
    }))
}

fn time(seconds: i64) -> String {
    Time(seconds.saturating_mul(1_000_000_000)).to_string()
}
