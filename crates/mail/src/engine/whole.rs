//! The whole plan: what happens to folders as well, and what a written plan allows.

use std::collections::HashSet;

use super::{FolderStep, FolderSteps, WholePlan, examine::Examined};
use crate::plan::{Conflict, ConflictKind, Plan, Policy, Step};

/// Says what happens to folders: those that lack on a side are made, and those that a side has
/// removed are removed from the other, unless there is something new in them.
pub(super) fn folder_steps(
    examined: &[Examined],
    plan: &mut Plan,
    policy: &Policy,
) -> Vec<FolderStep> {
    let mut steps = Vec::new();
    for (examined, folder_plan) in examined.iter().zip(&mut plan.folders) {
        let folder = &examined.case.folder;
        if let Some(side) = examined.work.lacking()
            && *policy.writable.get(side)
        {
            steps.push(FolderStep::Create { side, folder: folder.clone() });
        }
        let Some(side) = examined.work.removed_on() else { continue };
        let new = folder_plan.steps.iter().find_map(|step| match step {
            Step::Copy { to, key, .. } if *to == side => Some(key.clone()),
            _ => None,
        });
        if let Some(key) = new {
            steps.push(FolderStep::Create { side, folder: folder.clone() });
            let (folder, kind) = (folder.clone(), ConflictKind::FolderRemoved);
            plan.conflicts.push(Conflict { folder, side: side.other(), key, kind });
        } else if folder_plan.complete && *policy.writable.get(side.other()) {
            steps.push(FolderStep::Remove { side: side.other(), folder: folder.clone() });
        }
    }
    steps
}

/// Gives what happens to messages, as it is written down.
pub(super) fn steps(plan: &Plan) -> Vec<FolderSteps> {
    let filled = plan.folders.iter().filter(|folder| !folder.steps.is_empty());
    filled
        .map(|folder| FolderSteps { folder: folder.folder.clone(), steps: folder.steps.clone() })
        .collect()
}

/// Takes out what a written plan does not say; gives the number of its steps that do not hold.
pub(super) fn keep_only(
    plan: &mut Plan,
    folder_steps: &mut Vec<FolderStep>,
    written: &WholePlan,
    first: bool,
) -> usize {
    let mut kept = 0;
    let allowed: HashSet<&FolderStep> = written.folders.iter().collect();
    folder_steps.retain(|step| allowed.contains(step));
    for folder in &mut plan.folders {
        let said = written.messages.iter().find(|said| said.folder == folder.folder);
        let allowed: HashSet<&Step> = said.iter().flat_map(|said| &said.steps).collect();
        let before = folder.steps.len();
        folder.steps.retain(|step| allowed.contains(step) || !step.changes_mail());
        folder.complete &= folder.steps.len() == before;
        kept += folder.steps.iter().filter(|step| step.changes_mail()).count();
    }
    let said = written.messages.iter().flat_map(|said| &said.steps);
    let said = said.filter(|step| step.changes_mail()).count();
    if first { said.saturating_sub(kept) } else { 0 }
}
