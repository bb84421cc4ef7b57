//! Drivers: what one store of mail can do. They know nothing of sync.

pub mod imap;
pub mod maildir;
pub mod memory;

use std::{
    collections::HashMap,
    future,
    path::{Path, PathBuf},
};

use model::{BoxFuture, Error, Result};
use smol_str::SmolStr;
use tokio::sync::mpsc;

use crate::{
    Checkpoint, FlagChange, Flags, FolderName, Identified, Key, Part, Pouring, Seen, Storable,
};

/// What a store can do, and how it likes to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether operations that change anything are refused.
    pub read_only: bool,
    /// Whether a message whose append was cut off may still appear later, since a server goes on
    /// with what it was sent.
    pub ghosts: bool,
    /// Messages that one append should have at most.
    pub append_messages_max: usize,
    /// Bytes that one append should have at most; a larger message goes alone.
    pub append_bytes_max: u64,
    /// Whether it costs little to look into a message, as in a local file.
    pub cheap_bodies: bool,
}

/// A folder of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its name.
    pub name: FolderName,
    /// What it is at now, if that costs little to know: one `LIST` with `STATUS`, or two `stat`.
    /// None makes the engine open it.
    pub checkpoint: Option<Checkpoint>,
    /// What stays when the folder is renamed: MAILBOXID, or the inode of a directory.
    pub id: Option<SmolStr>,
    /// What it is for, such as `\Sent`, if the store says.
    pub purpose: Option<SmolStr>,
}

/// The folders of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// Those that can hold messages.
    pub folders: Vec<Folder>,
    /// Those that were left out, and why, as lines for people.
    pub skipped: Vec<String>,
}

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// How far this listing looked: what `since` of the next one will be. It stems from the start
    /// of the listing, so that a change made meanwhile is seen again.
    pub checkpoint: Checkpoint,
    /// All messages, or those that are new or changed.
    pub messages: Vec<Seen>,
    /// What became of the messages that are not listed.
    pub rest: Rest,
    /// Which flags this folder can keep.
    pub storable: Storable,
}

/// A folder together with the epoch in which the keys of its messages hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct At {
    /// The folder.
    pub folder: FolderName,
    /// The epoch of the listing that the keys stem from. If the folder has another one now, the
    /// operation does nothing and answers [`Error::Gone`]. Empty where nothing needs checking.
    pub epoch: SmolStr,
}

/// What became of messages that a listing does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// They are gone: the listing is complete.
    Gone,
    /// They are as they were, except that these are gone. Keys that nobody knows are no matter.
    SameExcept(Vec<Key>),
    /// They are as they were if their UID is in one of these ranges (sorted, both ends included),
    /// and gone otherwise.
    SameWithin(Vec<(u32, u32)>),
}

/// A message to be appended; its body comes through the pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The key under which its body comes through the pipe.
    pub source: Key,
    /// A name that nothing else has, the same at each attempt to append this message; letters and
    /// digits. For stores that let the client name messages.
    pub name: SmolStr,
    /// The flags that it gets.
    pub flags: Flags,
}

/// A message that was appended, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The key under which its body came.
    pub source: Key,
    /// What the store calls it, if it tells (APPENDUID).
    pub key: Option<Key>,
    /// What stays when it is renamed.
    pub stamp: Option<u64>,
}

/// How a flag change is to be made to several messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagGroup {
    /// The messages, sorted.
    pub keys: Vec<Key>,
    /// What changes in each.
    pub change: FlagChange,
}

/// One connection to one store of mail.
///
/// Every operation names its folder; a driver opens it where it has to, and where keys are given
/// it makes sure that they still mean the same messages. What a store no longer
/// has is no error: such keys are missing from the answer. An error says that the outcome of the
/// whole call is not known, and the connection may be unusable afterwards. What an operation that
/// changes something has answered is durable.
pub trait Driver: Send {
    /// Says what this store can do.
    fn capabilities(&self) -> Capabilities;

    /// Gives the identity of the store as a whole, such as a mark in the root directory. None says
    /// that the store has none. Makes one if `create` is set and there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store is not there, as a disk that is not mounted.
    fn identity(&mut self, create: bool) -> BoxFuture<'_, Result<Option<SmolStr>>>;

    /// Lists the folders, in one round trip where that is possible.
    fn folders(&mut self) -> BoxFuture<'_, Result<Folders>>;

    /// Lists what changed in a folder since a checkpoint, or all that it holds if there is none or
    /// its epoch has ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the folder is not what it was: a directory that lost its mark.
    fn list<'a>(
        &'a mut self,
        folder: &'a FolderName,
        since: Option<&'a Checkpoint>,
    ) -> BoxFuture<'a, Result<Listing>>;

    /// Looks again for messages that a listing did not have, and gives those that are really
    /// gone. For stores whose listing can miss what is renamed meanwhile.
    fn confirm_gone<'a>(
        &'a mut self,
        at: &'a At,
        suspects: Vec<Key>,
    ) -> BoxFuture<'a, Result<Vec<Key>>> {
        let _unused = at;
        Box::pin(future::ready(Ok(suspects)))
    }

    /// Tells what stays when these messages are renamed: for stores whose listing leaves that out,
    /// as it costs something and is needed of few.
    fn stamps<'a>(
        &'a mut self,
        at: &'a At,
        keys: Vec<Key>,
    ) -> BoxFuture<'a, Result<HashMap<Key, u64>>> {
        let _unused = (at, keys);
        Box::pin(future::ready(Ok(HashMap::new())))
    }

    /// Tells what tells messages apart, in any order.
    fn identify<'a>(
        &'a mut self,
        at: &'a At,
        keys: &'a [Key],
    ) -> BoxFuture<'a, Result<Vec<Identified>>>;

    /// Pours messages into a pipe, each once, in any order, with line ends as CRLF.
    fn fetch<'a>(
        &'a mut self,
        at: &'a At,
        keys: &'a [Key],
        into: Pouring,
    ) -> BoxFuture<'a, Result<()>>;

    /// Appends the messages that come through a pipe, and answers once all are durable. A message
    /// that does not come to its `End` leaves no trace, and is missing from the answer.
    fn append<'a>(
        &'a mut self,
        at: &'a At,
        messages: &'a [Append],
        from: mpsc::Receiver<Part>,
    ) -> BoxFuture<'a, Result<Vec<Appended>>>;

    /// Puts messages into a directory of a Maildir on the same disk without copying them, each
    /// under its name, and gives those that are there, durably; none if that cannot be done.
    fn link<'a>(
        &'a mut self,
        at: &'a At,
        messages: &'a [Append],
        into: &'a Path,
    ) -> BoxFuture<'a, Result<Option<Vec<Appended>>>> {
        let _unused = (at, messages, into);
        Box::pin(future::ready(Ok(None)))
    }

    /// Changes flags, and gives the keys of the messages that have them now.
    fn flag<'a>(
        &'a mut self,
        at: &'a At,
        groups: &'a [FlagGroup],
    ) -> BoxFuture<'a, Result<Vec<Key>>>;

    /// Removes exactly these messages, and gives those that are gone now.
    fn remove<'a>(&'a mut self, at: &'a At, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Key>>>;

    /// Moves messages to another folder, and gives for each that was moved its old key, and what
    /// became of it.
    fn relocate<'a>(
        &'a mut self,
        from: &'a At,
        keys: &'a [Key],
        to: &'a FolderName,
    ) -> BoxFuture<'a, Result<Vec<Appended>>>;

    /// Makes a folder; one that is there already is no error.
    fn create_folder<'a>(&'a mut self, folder: &'a FolderName) -> BoxFuture<'a, Result<()>>;

    /// Removes a folder that holds no message.
    ///
    /// # Errors
    /// [`Error::LockConflict`] if it holds messages.
    fn delete_folder<'a>(&'a mut self, folder: &'a FolderName) -> BoxFuture<'a, Result<()>>;

    /// Renames a folder with all that is in it.
    fn rename_folder<'a>(
        &'a mut self,
        from: &'a FolderName,
        to: &'a FolderName,
    ) -> BoxFuture<'a, Result<()>>;

    /// Waits until something changed in one of these folders, and names those that did; an empty
    /// answer says that any of them may have. Dropping the future must leave the driver usable.
    fn watch<'a>(&'a mut self, folders: &'a [FolderName])
    -> BoxFuture<'a, Result<Vec<FolderName>>>;

    /// Ends the connection in order.
    fn close(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(future::ready(Ok(())))
    }
}

/// Makes connections to one store.
pub trait Connect: Send + Sync {
    /// Makes one more connection.
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Driver>>>;

    /// Gives the directory of a folder, if this is a Maildir.
    fn directory(&self, folder: &FolderName) -> Option<PathBuf> {
        let _unused = folder;
        None
    }
}

/// Refuses a change of a store that may only be read.
pub fn refuse_change<T>() -> Result<T> {
    Err(Error::Denied(
        "this side of the account is read-only, so nothing can be changed".to_owned(),
    ))
}
