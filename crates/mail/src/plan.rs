//! The plan: what to do on each side, as a pure function of what both sides changed.
//!
//! First [`identities_wanted`] and then [`contents_wanted`] say what has to be known of new
//! messages; [`plan`] then decides.

mod guard;
mod merge;
mod moves;
mod pairing;
mod questions;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    Content, Delta, FlagChange, Flags, FolderName, Identified, Identity, Key, Side, Sides, Snapshot,
};
pub use guard::{Guard, Hold, Removal};
pub use questions::{contents_wanted, identities_wanted};

/// What is known of one folder when a plan is made.
#[derive(Clone, Debug)]
pub struct Case {
    /// The folder.
    pub folder: FolderName,
    /// What both sides had when they last agreed.
    pub snapshot: Arc<Snapshot>,
    /// What each side changed since.
    pub deltas: Sides<Delta>,
    /// What was found out about new messages.
    pub identities: Sides<HashMap<Key, Identified>>,
    /// The content of new messages that need it to be told apart.
    pub contents: Sides<HashMap<Key, Content>>,
    /// Messages of which a second copy may turn up.
    pub ghosts: Vec<Ghost>,
}

/// A message that was appended once more since nobody knew whether the first time had worked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ghost {
    /// The side that it was appended to.
    pub side: Side,
    /// What tells it apart.
    pub identity: Identity,
    /// All its bytes.
    pub content: Content,
}

/// How to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which sides may be changed.
    pub writable: Sides<bool>,
    /// Whether a message that one side removed comes back if the other side flagged it, or gave
    /// it a keyword, since.
    pub keep_flagged: bool,
    /// How much may be removed without being asked for.
    pub guard: Guard,
    /// Messages that both sides had in all folders, also in those that nobody looks into now.
    pub known: usize,
    /// Tokens of held removals that were let through.
    pub approved: HashSet<SmolStr>,
}

/// What to do, and what is not done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Steps by folder, one entry for each case in its order.
    pub folders: Vec<FolderPlan>,
    /// Removals that wait for approval.
    pub holds: Vec<Hold>,
    /// Where the sides contradict each other, and what becomes of it.
    pub conflicts: Vec<Conflict>,
}

/// What to do in one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderPlan {
    /// The folder.
    pub folder: FolderName,
    /// What to do, in this order.
    pub steps: Vec<Step>,
    /// Whether everything that changed is in the steps. If not, the same changes must be seen
    /// again by the next round.
    pub complete: bool,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Remember that a side has given a message another key.
    Rekey {
        /// The number of the pair.
        pair: i64,
        /// The side.
        side: Side,
        /// Its key now.
        key: Key,
        /// What stays when it is renamed again.
        #[serde(default)]
        stamp: Option<u64>,
    },
    /// Remember that two messages are the same, and make their flags equal.
    Pair {
        /// What the sides call it.
        keys: Sides<Key>,
        /// What stays when a side renames it.
        #[serde(default)]
        stamps: Sides<Option<u64>>,
        /// The flags of each at present.
        had: Sides<Flags>,
        /// The flags that it will have.
        agreed: Flags,
        /// What to change on each side.
        changes: Sides<FlagChange>,
    },
    /// Move a message that the other side has moved.
    Move {
        /// The number of the pair.
        pair: i64,
        /// The side on which to move it.
        side: Side,
        /// Where to.
        to: FolderName,
        /// Its keys in the old folder.
        keys: Sides<Key>,
        /// Its key in the new folder of the other side.
        moved: Key,
        /// What stays when the other side renames it.
        #[serde(default)]
        stamp: Option<u64>,
        /// The flags that it will have.
        agreed: Flags,
        /// What to change on each side, after the move.
        changes: Sides<FlagChange>,
    },
    /// Copy a message.
    Copy {
        /// The side that gets it.
        to: Side,
        /// What the other side calls it.
        key: Key,
        /// Its flags.
        flags: Flags,
        /// Its bytes, where they are known.
        #[serde(default)]
        size: Option<u64>,
        /// What stays when the other side renames it.
        #[serde(default)]
        stamp: Option<u64>,
    },
    /// Change flags, or only remember that both sides changed them alike.
    Flag {
        /// The number of the pair.
        pair: i64,
        /// What the sides call it.
        keys: Sides<Key>,
        /// The flags that it will have.
        agreed: Flags,
        /// What to change on each side.
        changes: Sides<FlagChange>,
    },
    /// Remove a message that the other side has removed.
    Remove {
        /// The number of the pair.
        pair: i64,
        /// The side on which to remove it.
        side: Side,
        /// What that side calls it.
        key: Key,
        /// Its flags, to be kept with it.
        flags: Flags,
    },
    /// Remove a second copy that our own upload has made.
    Expel {
        /// The side on which to remove it.
        side: Side,
        /// What that side calls it.
        key: Key,
    },
    /// Forget a message that neither side has any more.
    Forget {
        /// The number of the pair.
        pair: i64,
        /// What the sides called it.
        keys: Sides<Key>,
    },
}

impl Step {
    /// Tells whether it changes a side, rather than only what is remembered.
    pub fn changes_mail(&self) -> bool {
        match self {
            Self::Rekey { .. } | Self::Forget { .. } => false,
            Self::Pair { changes, .. } | Self::Flag { changes, .. } => {
                !changes.left.is_empty() || !changes.right.is_empty()
            }
            Self::Move { .. } | Self::Copy { .. } | Self::Remove { .. } | Self::Expel { .. } => {
                true
            }
        }
    }
}

/// Where the sides contradict each other. Nothing is dropped: it is on both sides afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The folder.
    pub folder: FolderName,
    /// The side whose message is kept.
    pub side: Side,
    /// What that side calls it.
    pub key: Key,
    /// What happened.
    pub kind: ConflictKind,
}

/// How the sides contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// One side removed what the other has flagged since; it comes back.
    RemovedButFlagged,
    /// One side removed its folder, in which the other has something new; the folder comes back.
    FolderRemoved,
}

/// Decides what to do.
pub fn plan(cases: &[&Case], policy: &Policy) -> Plan {
    merge::plan(cases, policy)
}
