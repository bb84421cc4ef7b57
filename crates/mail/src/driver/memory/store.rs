//! What a store in memory holds, and what can happen to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use model::{Error, Result, Time};
use smol_str::{SmolStr, format_smolstr};
use tokio::sync::Notify;

use super::Fuse;
use crate::{Checkpoint, Flags, FolderName, Key, driver::At};

/// How a store in memory behaves.
#[derive(Clone, Debug)]
pub struct MemoryOptions {
    /// Whether messages have names, and not UIDs.
    pub names: bool,
    /// Whether appends and moves tell the new key.
    pub tells_keys: bool,
    /// Whether listings say what changed, and not all that is there.
    pub incremental: bool,
    /// Whether appends that were cut off may happen later.
    pub ghosts: bool,
    /// Whether all changes are refused.
    pub read_only: bool,
    /// Messages that an append may have.
    pub window: usize,
    /// Counts effects.
    pub fuse: Arc<Fuse>,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            names: false,
            tells_keys: true,
            incremental: false,
            ghosts: false,
            read_only: false,
            window: 4,
            fuse: Arc::new(Fuse::endless()),
        }
    }
}

/// A store in memory. All clones are the same store.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    options: Arc<Mutex<MemoryOptions>>,
    pub(super) inner: Arc<Mutex<Inner>>,
    pub(super) changed: Arc<Notify>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) id: SmolStr,
    pub(super) folders: BTreeMap<FolderName, Held>,
    /// Grows with everything that happens.
    pub(super) clock: u64,
    /// Appends that a dead connection had sent: after so many calls they happen.
    pub(super) late: Vec<(u32, FolderName, Message)>,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: u64,
    epoch: u64,
    next: u32,
    pub(super) changed: u64,
    pub(super) messages: BTreeMap<Key, Message>,
    pub(super) gone: Vec<(u64, Key)>,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) body: Bytes,
    pub(super) flags: Flags,
    pub(super) date: Option<Time>,
    pub(super) changed: u64,
    pub(super) stamp: u64,
}

impl MemoryStore {
    /// Makes a store with an empty inbox.
    pub fn new(id: &str, options: MemoryOptions) -> Self {
        let inner = Inner { id: id.into(), ..Inner::default() };
        let options = Arc::new(Mutex::new(options));
        let inner = Arc::new(Mutex::new(inner));
        let store = Self { options, inner, changed: Arc::default() };
        store.add_folder(&FolderName::inbox());
        store
    }

    /// Gives the options as they are now.
    pub fn options(&self) -> MemoryOptions {
        lock(&self.options).clone()
    }

    /// Changes the options.
    pub fn set_options(&self, change: impl FnOnce(&mut MemoryOptions)) {
        change(&mut lock(&self.options));
    }

    /// Gives the store another identity, as another disk in the place of this one has.
    pub fn set_identity(&self, id: &str) {
        lock(&self.inner).id = id.into();
    }

    /// Puts a message into a folder, as mail that arrives, and gives its key.
    pub fn deliver(&self, folder: &FolderName, body: &[u8], flags: Flags) -> Key {
        self.add_folder(folder);
        let names = self.options().names;
        let key = lock(&self.inner).put(folder, Bytes::copy_from_slice(body), flags, None, names);
        self.changed.notify_waiters();
        key.unwrap_or(Key::Uid(0))
    }

    /// Makes a folder, as a user does.
    pub fn add_folder(&self, folder: &FolderName) {
        let mut inner = lock(&self.inner);
        let id = inner.tick();
        let held = || Held {
            id,
            epoch: id,
            next: 1,
            changed: id,
            messages: BTreeMap::new(),
            gone: Vec::new(),
        };
        inner.folders.entry(folder.clone()).or_insert_with(held);
    }

    /// Removes a folder with all that is in it, as a user does.
    pub fn take_folder(&self, folder: &FolderName) {
        lock(&self.inner).folders.remove(folder);
    }

    /// Gives a folder another name, as a user does.
    pub fn move_folder(&self, from: &FolderName, to: &FolderName) {
        lock(&self.inner).rename(from, to);
    }

    /// Gives all messages of a folder other keys, as a server does that lost its index.
    pub fn end_epoch(&self, folder: &FolderName) {
        let mut inner = lock(&self.inner);
        let now = inner.tick();
        let Some(held) = inner.folders.get_mut(folder) else { return };
        held.epoch = now;
        held.changed = now;
        held.next = 1000 + held.next * 2;
        let messages = std::mem::take(&mut held.messages);
        for (key, message) in messages {
            let key = match key {
                Key::Uid(_) => {
                    held.next += 1;
                    Key::Uid(held.next)
                }
                Key::Name(name) => Key::Name(name),
            };
            held.messages.insert(key, message);
        }
    }

    /// Changes the flags of a message, as a user does.
    pub fn set_flags(&self, folder: &FolderName, key: &Key, flags: Flags) {
        let mut inner = lock(&self.inner);
        let now = inner.tick();
        let held = inner.folders.get_mut(folder);
        if let Some(held) = held
            && let Some(message) = held.messages.get_mut(key)
        {
            message.flags = flags;
            message.changed = now;
            held.changed = now;
        }
    }

    /// Removes a message, as a user does.
    pub fn take(&self, folder: &FolderName, key: &Key) {
        lock(&self.inner).drop_message(folder, key);
    }

    /// Moves a message to another folder, as a user does.
    pub fn shift(&self, from: &FolderName, key: &Key, to: &FolderName) {
        self.add_folder(to);
        let names = self.options().names;
        let mut inner = lock(&self.inner);
        if let Some(message) = inner.drop_message(from, key) {
            inner.put_message(to, message, None, names);
        }
    }

    /// Gives a message another name, as a mail reader does.
    pub fn rename(&self, folder: &FolderName, key: &Key, name: &str) {
        let mut inner = lock(&self.inner);
        let now = inner.tick();
        if let Some(held) = inner.folders.get_mut(folder)
            && let Some(message) = held.messages.remove(key)
        {
            held.changed = now;
            held.messages.insert(Key::Name(name.into()), message);
        }
    }

    /// Gives everything that it holds, by folder and in order of keys.
    pub fn contents(&self) -> Vec<(FolderName, Key, Bytes, Flags)> {
        let inner = lock(&self.inner);
        let all = inner.folders.iter().flat_map(|(folder, held)| {
            held.messages.iter().map(|(key, message)| {
                (folder.clone(), key.clone(), message.body.clone(), message.flags.clone())
            })
        });
        all.collect()
    }

    /// Gives the names of its folders.
    pub fn folder_names(&self) -> Vec<FolderName> {
        lock(&self.inner).folders.keys().cloned().collect()
    }

    /// Lets everything happen that dead connections had sent.
    pub fn let_ghosts_finish(&self) {
        let names = self.options().names;
        let mut inner = lock(&self.inner);
        for (_, folder, message) in std::mem::take(&mut inner.late) {
            inner.put_message(&folder, message, None, names);
        }
    }
}

impl Inner {
    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn at(&self, at: &At) -> Result<&Held> {
        let held = self.folders.get(&at.folder).ok_or_else(|| missing(&at.folder))?;
        let same = at.epoch.is_empty() || at.epoch == held.checkpoint().epoch;
        same.then_some(held).ok_or(Error::Gone)
    }

    fn put(
        &mut self,
        folder: &FolderName,
        body: Bytes,
        flags: Flags,
        date: Option<Time>,
        names: bool,
    ) -> Option<Key> {
        self.put_message(folder, Message { body, flags, date, changed: 0, stamp: 0 }, None, names)
    }

    pub(super) fn put_message(
        &mut self,
        folder: &FolderName,
        mut message: Message,
        name: Option<&str>,
        names: bool,
    ) -> Option<Key> {
        let now = self.tick();
        let held = self.folders.get_mut(folder)?;
        message.changed = now;
        if message.stamp == 0 {
            message.stamp = now;
        }
        held.changed = now;
        let key = match name {
            Some(name) => Key::Name(name.into()),
            None if names => Key::Name(format!("m{now}").into()),
            None => Key::Uid(held.next),
        };
        held.next += 1;
        held.messages.insert(key.clone(), message);
        Some(key)
    }

    pub(super) fn drop_message(&mut self, folder: &FolderName, key: &Key) -> Option<Message> {
        let now = self.tick();
        let held = self.folders.get_mut(folder)?;
        let message = held.messages.remove(key)?;
        held.changed = now;
        held.gone.push((now, key.clone()));
        Some(message)
    }

    pub(super) fn stamp(&self, folder: &FolderName, key: &Key) -> Option<u64> {
        self.folders.get(folder)?.messages.get(key).map(|message| message.stamp)
    }

    pub(super) fn rename(&mut self, from: &FolderName, to: &FolderName) {
        let all: Vec<FolderName> = self.folders.keys().cloned().collect();
        for name in all.iter().filter(|name| *name == from || name.is_below(from)) {
            let rest = name.as_str().get(from.as_str().len()..).unwrap_or_default();
            if let Ok(new) = FolderName::new(&format!("{to}{rest}"))
                && let Some(held) = self.folders.remove(name)
            {
                self.folders.insert(new, held);
            }
        }
    }
}

impl Held {
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            epoch: format_smolstr!("{}", self.epoch),
            token: Some(format_smolstr!("{}", self.changed)),
        }
    }
}

pub(super) fn missing(folder: &FolderName) -> Error {
    Error::Unavailable(format!("there is no folder {folder}"))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
