//! What can change in the agreed state.

use model::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;

use crate::{
    Checkpoint, FlagChange, Flags, FolderName, Identity, Key, Side, Sides,
    plan::{Conflict, Ghost, Hold},
};

/// One change of the agreed state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// Remembers which store a side is.
    Store(Side, SmolStr),
    /// Begins to know a folder.
    AddFolder(FolderName),
    /// Remembers what stays when a side renames a folder.
    FolderId(FolderName, Side, SmolStr),
    /// Renames a folder, and all below it.
    RenameFolder(FolderName, FolderName),
    /// Forgets a folder and its pairs.
    DropFolder(FolderName),
    /// Forgets all pairs of a folder, and how far it was looked at.
    Dissolve(FolderName),
    /// Remembers how far a side of a folder was looked at.
    Checkpoint(FolderName, Side, Checkpoint),
    /// Remembers that all that a folder had at first was looked at, so that the rest is news.
    Known(FolderName),
    /// Remembers that both sides of a folder were the same.
    Proved(FolderName, Time),
    /// Remembers that both sides of all folders but these were the same.
    ProvedBut(Vec<FolderName>, Time),
    /// Adds a message that is on both sides.
    AddPair {
        /// The folder.
        folder: FolderName,
        /// What the sides call it.
        keys: Sides<Key>,
        /// What stays when a side renames it.
        stamps: Sides<Option<u64>>,
        /// The flags that both have.
        flags: Flags,
        /// What tells it apart.
        identity: Option<Identity>,
    },
    /// Gives a pair another key on one side.
    Rekey(i64, Side, Key, Option<u64>),
    /// Gives a pair other flags.
    Flags(i64, Flags),
    /// Puts a pair into another folder.
    MovePair {
        /// The pair.
        pair: i64,
        /// The folder.
        to: FolderName,
        /// What the sides call it there.
        keys: Sides<Key>,
        /// What stays when a side renames it.
        stamps: Sides<Option<u64>>,
    },
    /// Forgets a pair.
    DropPair(i64),
    /// Says that messages are about to be appended to a side, once more where it was said before.
    Intend {
        /// The folder.
        folder: FolderName,
        /// The side that gets them.
        side: Side,
        /// What the other side calls them.
        keys: Vec<Key>,
        /// The run that does it.
        run: i64,
    },
    /// Says that the outcome of these appends is known.
    Settle(FolderName, Side, Vec<Key>),
    /// Says that the outcome of all appends to a side of a folder that are not listed is known.
    SettleAll(FolderName, Side),
    /// Remembers that a second copy may turn up, until a time.
    AddGhost(FolderName, Ghost, Time),
    /// Forgets one ghost record of this kind.
    DropGhost(FolderName, Ghost),
    /// Replaces the list of what waits for approval.
    Holds(Vec<Hold>, Time),
    /// Lets a held set through.
    Approve(SmolStr),
    /// Remembers where the sides contradicted each other.
    Conflict(Conflict, Time),
    /// Begins a run.
    BeginRun(i64, Time),
    /// Ends a run.
    EndRun(i64, Time, Value),
    /// Forgets a run, since what it removed is no longer kept.
    Purged(i64),
    /// Remembers how to undo something.
    Done(i64, Undo),
    /// Remembers that something was undone.
    Undone(i64),
    /// Tells the world of something, once.
    Event {
        /// What makes it the same event.
        id: String,
        /// When.
        at: Time,
        /// Its type.
        kind: SmolStr,
        /// What it says.
        body: Value,
    },
}

/// How to undo something that a run did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case", deny_unknown_fields)]
pub enum Undo {
    /// A message was removed, and is kept.
    Removed {
        /// From where.
        side: Side,
        /// From which folder.
        folder: FolderName,
        /// The folder in which it is kept.
        kept_in: FolderName,
        /// What it is called there.
        kept_as: Key,
        /// Its flags.
        flags: Flags,
    },
    /// Flags were changed.
    Flagged {
        /// Where.
        side: Side,
        /// In which folder.
        folder: FolderName,
        /// In which epoch its key holds.
        epoch: SmolStr,
        /// The message.
        key: Key,
        /// What was changed.
        change: FlagChange,
    },
    /// A message was moved.
    Moved {
        /// Where.
        side: Side,
        /// From where.
        from: FolderName,
        /// Where to.
        to: FolderName,
        /// What it is called there.
        key: Key,
    },
    /// A folder was removed.
    FolderRemoved {
        /// Where.
        side: Side,
        /// Which.
        folder: FolderName,
    },
}
