//! The engine: asks both sides what changed, plans, lets the sides apply, remembers.

mod act;
mod adopt;
mod apply;
mod copy;
mod examine;
mod folders;
mod learn;
mod make;
mod pool;
mod retain;
mod round;
mod undo;
mod watch;
mod whole;
mod worker;

use std::{collections::HashSet, sync::Arc, time::Duration};

use model::{Error, Time};
use serde::{Deserialize, Serialize};

use crate::{
    FolderName, Key, Side, Sides,
    controller::Hide,
    driver::Connect,
    plan::{Conflict, Guard, Hold, Step},
};
pub use act::{Acted, Action, Message, New, Tell};
pub use adopt::Adopted;
pub use round::{Session, sync};
pub use undo::{Undone, undo};

/// Two stores that are kept in step.
#[derive(Clone)]
pub struct Account {
    /// Its name, which is part of what names events and files.
    pub name: String,
    /// How to reach the sides.
    pub stores: Sides<Arc<dyn Connect>>,
    /// Where removed messages are kept for a while, if they are.
    pub retention: Option<Arc<dyn Connect>>,
    /// How to decide.
    pub settings: Settings,
}

/// How to keep an account in step.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether a message that one side removed comes back if the other flagged it since.
    pub keep_flagged: bool,
    /// How much may be removed without being asked for.
    pub guard: Guard,
    /// Connections to each side.
    pub connections: usize,
    /// How long a server may still act on what a lost connection had sent.
    pub grace: Duration,
    /// How long removed messages are kept.
    pub keep_removed: Duration,
    /// What is left out.
    pub hide: Hide,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keep_flagged: false,
            guard: Guard::default(),
            connections: 4,
            grace: Duration::from_secs(5),
            keep_removed: Duration::from_hours(30 * 24),
            hide: Hide::default(),
        }
    }
}

/// What a round may do.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Nothing: it only says what it would do.
    Plan,
    /// Everything.
    Apply,
    /// Only what this plan says, as far as it still holds.
    Only(Box<WholePlan>),
}

/// What a round would do, as it is written down and read back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholePlan {
    /// What happens to folders.
    pub folders: Vec<FolderStep>,
    /// What happens to messages, by folder.
    pub messages: Vec<FolderSteps>,
    /// What waits for approval.
    pub held: Vec<Hold>,
    /// Where the sides contradict each other.
    pub conflicts: Vec<Conflict>,
}

impl WholePlan {
    /// Tells whether nothing would change on either side.
    pub fn is_empty(&self) -> bool {
        let quiet = |steps: &FolderSteps| !steps.steps.iter().any(Step::changes_mail);
        self.folders.is_empty() && self.messages.iter().all(quiet)
    }
}

/// What happens to the messages of a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderSteps {
    /// The folder.
    pub folder: FolderName,
    /// What happens, in this order.
    pub steps: Vec<Step>,
}

/// What happens to a folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum FolderStep {
    /// It is made on a side.
    Create {
        /// The side.
        side: Side,
        /// The folder.
        folder: FolderName,
    },
    /// It is removed from a side, once it is empty.
    Remove {
        /// The side.
        side: Side,
        /// The folder.
        folder: FolderName,
    },
    /// It gets another name on a side.
    Rename {
        /// The side.
        side: Side,
        /// Its name so far.
        from: FolderName,
        /// Its new name.
        to: FolderName,
    },
}

/// What a round did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The number of the run; none if it only planned.
    pub run: Option<i64>,
    /// What it planned first.
    #[serde(skip)]
    pub plan: WholePlan,
    /// Folders that are on either side.
    pub folders: usize,
    /// Folders that were looked into.
    pub examined: usize,
    /// What was done on each side.
    pub done: Sides<Counts>,
    /// Messages that were found to be the same on both sides.
    pub paired: usize,
    /// What waits for approval.
    pub held: Vec<Hold>,
    /// Where the sides contradicted each other.
    pub conflicts: Vec<Conflict>,
    /// What could not be done, and why.
    pub problems: Vec<Problem>,
    /// Steps of a written plan that no longer held.
    pub outdated: usize,
    /// Folders of which their stores did not say that nothing had changed.
    #[serde(skip)]
    pub(crate) unproved: Vec<FolderName>,
}

impl Summary {
    /// Tells whether nothing was changed on either side.
    pub fn is_quiet(&self) -> bool {
        self.done == Sides::default()
    }
}

/// What was done on one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages that it got.
    pub copied: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Messages whose flags changed.
    pub flagged: usize,
    /// Messages that were moved.
    pub moved: usize,
    /// Messages that were removed.
    pub removed: usize,
    /// Second copies of our own uploads that were removed.
    pub deduplicated: usize,
    /// Folders that were made, renamed or removed.
    pub folders: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.copied += other.copied;
        self.bytes += other.bytes;
        self.flagged += other.flagged;
        self.moved += other.moved;
        self.removed += other.removed;
        self.deduplicated += other.deduplicated;
        self.folders += other.folders;
    }
}

/// Something that could not be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// The folder that it concerns, if it is one.
    pub folder: Option<FolderName>,
    /// What is wrong.
    pub error: Error,
}

impl Problem {
    /// Tells whether trying again may help.
    pub fn may_pass(&self) -> bool {
        matches!(self.error, Error::Unavailable(_) | Error::Gone)
    }
}

/// What a round tells while it goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// So many folders are to be looked into.
    Folders(usize),
    /// A folder was looked into.
    Examined(FolderName),
    /// Messages are to be copied in a folder.
    Copying {
        /// The folder.
        folder: FolderName,
        /// How many.
        messages: usize,
        /// Their bytes, where a listing has told them.
        bytes: Option<u64>,
    },
    /// More messages were copied in a folder.
    Copied {
        /// The folder.
        folder: FolderName,
        /// How many.
        messages: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// A folder is done.
    Applied(FolderName),
    /// A round waits for a server to end what a lost connection had begun.
    Waiting(Duration),
}

/// What a round needs from around it.
pub struct Context<'a> {
    /// Tells the time.
    pub now: &'a (dyn Fn() -> Time + Send + Sync),
    /// Hears what goes on.
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

/// The keys of a set of steps that are copies, for windows.
type Keys = HashSet<Key>;
