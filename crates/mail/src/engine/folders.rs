//! Which folders there are, and which of them have to be looked into.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::{Error, Result};

use super::FolderStep;
use crate::{
    Checkpoint, FolderName, Side, Sides,
    driver::Folder,
    state::{FolderRow, Overview},
};

/// A folder with all that is known of it before it is looked into.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) name: FolderName,
    /// What the state knows of it; none if it is new.
    pub(super) row: Option<FolderRow>,
    /// What each side says of it; none where it is not.
    pub(super) listed: Sides<Option<Folder>>,
}

impl Work {
    /// Gives how far a side was looked at in the last round.
    pub(super) fn since(&self, side: Side) -> Option<&Checkpoint> {
        self.row.as_ref().and_then(|row| row.checkpoints.get(side).as_ref())
    }

    /// Tells whether a side says that nothing has changed.
    pub(super) fn is_quiet(&self, side: Side) -> bool {
        let now = self.listed.get(side).as_ref().and_then(|folder| folder.checkpoint.as_ref());
        match (self.since(side), now) {
            (Some(since), Some(now)) => now.token.is_some() && since == now,
            _ => false,
        }
    }

    /// Gives the side that has removed the folder, if one has.
    pub(super) fn removed_on(&self) -> Option<Side> {
        self.row.as_ref()?;
        Side::BOTH.into_iter().find(|side| {
            self.listed.get(*side).is_none() && self.listed.get(side.other()).is_some()
        })
    }

    /// Gives the side that does not have it yet, if one has not.
    pub(super) fn lacking(&self) -> Option<Side> {
        if self.row.is_some() {
            return None;
        }
        Side::BOTH.into_iter().find(|side| self.listed.get(*side).is_none())
    }
}

/// What the folders of both sides come to.
#[derive(Debug, Default)]
pub(super) struct Reconciled {
    /// Renames that must come before anything else.
    pub(super) renames: Vec<FolderStep>,
    /// Known folders that neither side has any more.
    pub(super) vanished: Vec<FolderName>,
    /// All others, by name.
    pub(super) work: Vec<Work>,
}

/// Compares the folders of both sides with those that are known.
///
/// # Errors
/// If a side has lost so much that it cannot be trusted.
pub(super) fn reconcile(
    overview: &Overview,
    listed: &Sides<Vec<Folder>>,
    hidden: impl Fn(&FolderName) -> bool,
) -> Result<Reconciled> {
    let known: BTreeMap<&FolderName, &FolderRow> =
        overview.folders.iter().map(|row| (&row.name, row)).collect();
    let by_name = listed.as_ref().map(|folders| {
        folders.iter().map(|folder| (&folder.name, folder)).collect::<BTreeMap<_, _>>()
    });
    for side in Side::BOTH {
        trust(side, &known, by_name.get(side))?;
    }
    let names: BTreeSet<&FolderName> = known
        .keys()
        .chain(by_name.left.keys())
        .chain(by_name.right.keys())
        .copied()
        .filter(|name| !hidden(name))
        .collect();
    let mut found = Reconciled::default();
    for name in names {
        let row = known.get(name).map(|row| (*row).clone());
        let listed =
            by_name.as_ref().map(|folders| folders.get(name).map(|found| (*found).clone()));
        if row.is_some() && listed.left.is_none() && listed.right.is_none() {
            found.vanished.push(name.clone());
        } else {
            found.work.push(Work { name: name.clone(), row, listed });
        }
    }
    found.renames = renames(&found.work);
    Ok(found)
}

/// Refuses a side that shows nothing where something was: rather its store is not there than that
/// someone removed everything.
fn trust(
    side: Side,
    known: &BTreeMap<&FolderName, &FolderRow>,
    listed: &BTreeMap<&FolderName, &Folder>,
) -> Result<()> {
    let inbox = FolderName::inbox();
    let lost = if listed.is_empty() && !known.is_empty() {
        "no folders at all"
    } else if known.contains_key(&inbox) && !listed.contains_key(&inbox) {
        "no INBOX"
    } else {
        return Ok(());
    };
    Err(Error::Unavailable(format!(
        "the {side} side shows {lost}, where it had {} folders; nothing was changed: see whether \
         its disk is mounted, or whether its server works",
        known.len()
    )))
}

/// Finds folders that one side has renamed, by what stays when it does.
fn renames(work: &[Work]) -> Vec<FolderStep> {
    let (mut steps, mut done) = (Vec::new(), HashSet::new());
    for side in Side::BOTH {
        let mut new: BTreeMap<&str, &FolderName> = BTreeMap::new();
        for candidate in work.iter().filter(|work| work.lacking() == Some(side.other())) {
            let id = candidate.listed.get(side).as_ref().and_then(|folder| folder.id.as_deref());
            new.extend(id.map(|id| (id, &candidate.name)));
        }
        for lost in work.iter().filter(|work| work.removed_on() == Some(side)) {
            let id = lost.row.as_ref().and_then(|row| row.ids.get(side).as_deref());
            let Some(to) = id.and_then(|id| new.get(id)) else { continue };
            // What is below a renamed folder comes along.
            let along = lost.name.parent().is_some_and(|parent| done.contains(&parent));
            if !lost.name.is_inbox() && !to.is_inbox() && !along {
                let (from, to) = (lost.name.clone(), (*to).clone());
                steps.push(FolderStep::Rename { side: side.other(), from, to });
            }
            done.insert(lost.name.clone());
        }
    }
    steps
}
