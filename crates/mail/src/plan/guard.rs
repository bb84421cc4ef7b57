//! The brake on mass removal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use super::{FolderPlan, Policy, Step};
use crate::{FolderName, Key, Side};

/// How much may be removed without being asked for, of a folder and of all that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// So many are never too many.
    pub count: usize,
    /// More than this part of what there was is too much, if it is more than the count.
    pub percent: usize,
    /// A folder that had at least so many, and now has none, was emptied.
    pub emptied: usize,
}

impl Default for Guard {
    fn default() -> Self {
        Self { count: 20, percent: 10, emptied: 10 }
    }
}

impl Guard {
    fn is_too_much(self, removed: usize, known: usize) -> bool {
        removed > self.count && removed.saturating_mul(100) > known.saturating_mul(self.percent)
    }
}

/// Messages that would be removed from one side of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// The folder.
    pub folder: FolderName,
    /// The side that would lose them.
    pub side: Side,
    /// What that side calls them, sorted.
    pub keys: Vec<Key>,
}

/// Removals that wait for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Stands for exactly this set of messages.
    pub token: SmolStr,
    /// Why they wait.
    pub why: String,
    /// What would be removed.
    pub removals: Vec<Removal>,
}

/// Takes removals out of the plans where there are too many, unless they were approved.
pub(super) fn hold(folders: &mut [FolderPlan], known: &[usize], policy: &Policy) -> Vec<Hold> {
    let mut holds = Vec::new();
    let mut total = 0;
    for (plan, known) in folders.iter_mut().zip(known) {
        for (side, keys) in removals(plan) {
            let emptied = keys.len() >= policy.guard.emptied && keys.len() >= *known;
            if !emptied && !policy.guard.is_too_much(keys.len(), *known) {
                total += keys.len();
                continue;
            }
            let what = if emptied { "all" } else { "many" };
            let why = format!(
                "{what} at once: {} of {known} messages of {} would be removed from the {side} \
                 side",
                keys.len(),
                plan.folder
            );
            let removals = vec![Removal { folder: plan.folder.clone(), side, keys }];
            let hold = Hold { token: token(&removals), why, removals };
            if !policy.approved.contains(&hold.token) {
                withhold(plan, side);
                holds.push(hold);
            }
        }
    }
    let known = known.iter().sum::<usize>().max(policy.known);
    if policy.guard.is_too_much(total, known) {
        holds.extend(hold_all(folders, total, known, policy));
    }
    holds
}

/// Holds what is left in all folders together, if it was not approved as a whole.
fn hold_all(
    folders: &mut [FolderPlan],
    total: usize,
    known: usize,
    policy: &Policy,
) -> Option<Hold> {
    let each = |plan: &FolderPlan| {
        let folder = plan.folder.clone();
        let removal = move |(side, keys)| Removal { folder: folder.clone(), side, keys };
        removals(plan).into_iter().map(removal).collect::<Vec<_>>()
    };
    let all: Vec<Removal> = folders.iter().flat_map(each).collect();
    let approved =
        |removal: &Removal| policy.approved.contains(&token(std::slice::from_ref(removal)));
    // What was approved folder by folder does not wait for the rest.
    let removals: Vec<Removal> = all.into_iter().filter(|removal| !approved(removal)).collect();
    let token = token(&removals);
    if removals.is_empty() || policy.approved.contains(&token) {
        return None;
    }
    for removal in &removals {
        let plan = folders.iter_mut().find(|plan| plan.folder == removal.folder);
        if let Some(plan) = plan {
            withhold(plan, removal.side);
        }
    }
    let why = format!(
        "{total} of {known} messages in {} folders would be removed at once",
        removals.len()
    );
    Some(Hold { token, why, removals })
}

fn removals(plan: &FolderPlan) -> BTreeMap<Side, Vec<Key>> {
    let mut found: BTreeMap<Side, Vec<Key>> = BTreeMap::new();
    for step in &plan.steps {
        if let Step::Remove { side, key, .. } = step {
            found.entry(*side).or_default().push(key.clone());
        }
    }
    found.values_mut().for_each(|keys| keys.sort_unstable());
    found
}

fn withhold(plan: &mut FolderPlan, from: Side) {
    plan.steps.retain(|step| !matches!(step, Step::Remove { side, .. } if *side == from));
    plan.complete = false;
}

/// Gives the token of a set: whatever else changes, it stands for these messages only.
fn token(removals: &[Removal]) -> SmolStr {
    let mut hasher = Sha256::new();
    for removal in removals {
        let head = format!("{}\0{}\0{}\0", removal.folder, removal.side, removal.keys.len());
        hasher.update(head);
        for key in &removal.keys {
            hasher.update(match key {
                Key::Uid(uid) => format!("{uid}\0"),
                Key::Name(name) => format!("/{name}\0"),
            });
        }
    }
    let digest = hasher.finalize();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
