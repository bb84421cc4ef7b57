//! What a store in memory answers to its drivers.

use std::sync::Arc;

use bytes::Bytes;
use model::{Error, Result, Time};
use smol_str::{SmolStr, format_smolstr};
use tokio::sync::Notify;

use super::store::{Held, MemoryStore, Message, lock, missing};
use crate::{
    Checkpoint, FolderName, Key, Seen, Storable,
    driver::{Append, Appended, At, FlagGroup, Folder, Folders, Listing, Rest},
};

impl MemoryStore {
    pub(super) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Counts a call, upon which what a dead connection had sent may happen.
    pub(super) fn touch(&self) -> Result<()> {
        let options = self.options();
        options.fuse.call()?;
        let mut inner = lock(&self.inner);
        let late = std::mem::take(&mut inner.late);
        for (calls, folder, message) in late {
            if calls == 0 {
                inner.put_message(&folder, message, None, options.names);
            } else {
                inner.late.push((calls - 1, folder, message));
            }
        }
        Ok(())
    }

    pub(super) fn identity(&self) -> Result<Option<SmolStr>> {
        self.touch()?;
        Ok(Some(lock(&self.inner).id.clone()))
    }

    pub(super) fn list_folders(&self) -> Result<Folders> {
        self.touch()?;
        let inner = lock(&self.inner);
        let folder = |(name, held): (&FolderName, &Held)| Folder {
            name: name.clone(),
            checkpoint: Some(held.checkpoint()),
            id: Some(format_smolstr!("{}", held.id)),
            purpose: None,
        };
        Ok(Folders { folders: inner.folders.iter().map(folder).collect(), skipped: Vec::new() })
    }

    pub(super) fn list(&self, folder: &FolderName, since: Option<&Checkpoint>) -> Result<Listing> {
        self.touch()?;
        let options = self.options();
        let inner = lock(&self.inner);
        let held = inner.folders.get(folder).ok_or_else(|| missing(folder))?;
        let checkpoint = held.checkpoint();
        let since = since.filter(|since| options.incremental && since.epoch == checkpoint.epoch);
        let since: Option<u64> =
            since.and_then(|since| since.token.as_ref()).and_then(|token| token.parse().ok());
        let seen = |(key, message): (&Key, &Message)| Seen {
            key: key.clone(),
            flags: message.flags.clone(),
            size: Some(message.body.len() as u64),
            date: message.date,
            stamp: options.names.then_some(message.stamp),
        };
        let later = |message: &Message| since.is_none_or(|since| message.changed > since);
        let messages = held.messages.iter().filter(|(_, message)| later(message)).map(seen);
        let rest = match since {
            None => Rest::Gone,
            Some(since) => {
                let gone = held.gone.iter().filter(|(when, _)| *when > since);
                Rest::SameExcept(gone.map(|(_, key)| key.clone()).collect())
            }
        };
        Ok(Listing { checkpoint, messages: messages.collect(), rest, storable: Storable::Any })
    }

    pub(super) fn bodies(&self, at: &At, keys: &[Key]) -> Result<Vec<(Key, Bytes, Option<Time>)>> {
        self.touch()?;
        let inner = lock(&self.inner);
        let held = inner.at(at)?;
        let body = |key: &Key| {
            held.messages.get(key).map(|found| (key.clone(), found.body.clone(), found.date))
        };
        Ok(keys.iter().filter_map(body).collect())
    }

    pub(super) fn append(
        &self,
        at: &At,
        append: &Append,
        body: Bytes,
        date: Option<Time>,
    ) -> Result<Appended> {
        let options = self.options();
        let name = options.names.then_some(append.name.as_str());
        let flags = append.flags.clone();
        if let Err(cut) = self.touch().and_then(|()| options.fuse.effect()) {
            if options.ghosts {
                let mut inner = lock(&self.inner);
                let message = Message { body, flags, date, changed: 0, stamp: 0 };
                let calls = u32::try_from(inner.clock % 12).unwrap_or_default();
                inner.late.push((calls, at.folder.clone(), message));
            }
            return Err(cut);
        }
        let mut inner = lock(&self.inner);
        inner.at(at)?;
        let message = Message { body, flags, date, changed: 0, stamp: 0 };
        let key = inner.put_message(&at.folder, message, name, options.names);
        let key = key.ok_or_else(|| missing(&at.folder))?;
        let stamp = inner.stamp(&at.folder, &key).filter(|_| options.names);
        let key = (options.tells_keys || options.names).then_some(key);
        Ok(Appended { source: append.source.clone(), key, stamp })
    }

    pub(super) fn flag(&self, at: &At, groups: &[FlagGroup]) -> Result<Vec<Key>> {
        self.touch()?;
        let options = self.options();
        let mut done = Vec::new();
        for group in groups {
            for key in &group.keys {
                let mut inner = lock(&self.inner);
                inner.at(at)?;
                let now = inner.tick();
                let Some(held) = inner.folders.get_mut(&at.folder) else { continue };
                let Some(message) = held.messages.get_mut(key) else { continue };
                options.fuse.effect()?;
                message.flags = group.change.of(&message.flags);
                message.changed = now;
                held.changed = now;
                done.push(key.clone());
            }
        }
        Ok(done)
    }

    pub(super) fn remove(&self, at: &At, keys: &[Key]) -> Result<Vec<Key>> {
        self.touch()?;
        let options = self.options();
        for key in keys {
            let mut inner = lock(&self.inner);
            if inner.at(at)?.messages.contains_key(key) {
                options.fuse.effect()?;
                inner.drop_message(&at.folder, key);
            }
        }
        Ok(keys.to_vec())
    }

    pub(super) fn relocate(
        &self,
        from: &At,
        keys: &[Key],
        to: &FolderName,
    ) -> Result<Vec<Appended>> {
        self.touch()?;
        let options = self.options();
        let mut moved = Vec::new();
        for source in keys {
            let mut inner = lock(&self.inner);
            if !inner.folders.contains_key(to) {
                return Err(missing(to));
            }
            if !inner.at(from)?.messages.contains_key(source) {
                continue;
            }
            options.fuse.effect()?;
            let Some(message) = inner.drop_message(&from.folder, source) else { continue };
            let key = inner.put_message(to, message, None, options.names);
            let stamp = key.as_ref().and_then(|key| inner.stamp(to, key));
            let stamp = stamp.filter(|_| options.names);
            let key = key.filter(|_| options.tells_keys || options.names);
            moved.push(Appended { source: source.clone(), key, stamp });
        }
        Ok(moved)
    }

    pub(super) fn make_folder(&self, folder: &FolderName) -> Result<()> {
        self.touch()?;
        if !lock(&self.inner).folders.contains_key(folder) {
            self.options().fuse.effect()?;
            self.add_folder(folder);
        }
        Ok(())
    }

    pub(super) fn drop_folder(&self, folder: &FolderName) -> Result<()> {
        self.touch()?;
        let mut inner = lock(&self.inner);
        let held = inner.folders.get(folder).ok_or_else(|| missing(folder))?;
        if !held.messages.is_empty() {
            return Err(Error::LockConflict(format!("the folder {folder} is not empty")));
        }
        self.options().fuse.effect()?;
        inner.folders.remove(folder);
        Ok(())
    }

    pub(super) fn rename_folder(&self, from: &FolderName, to: &FolderName) -> Result<()> {
        self.touch()?;
        self.options().fuse.effect()?;
        lock(&self.inner).rename(from, to);
        Ok(())
    }
}
