//! Flags, removal and moves: each is one rename.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, ErrorKind},
    path::Path,
};

use model::Result;

use super::{
    deliver::make_directories,
    disk::{failed, is_missing, rename_new, sync_directory},
    name::FileName,
    scan::Entry,
    store::Core,
};
use crate::{
    FlagChange, Flags, FolderName, Key,
    driver::{Append, Appended, At, FlagGroup},
};

/// What became of one file.
enum Moved {
    /// It is where it was to go.
    Done(Entry),
    /// It is not where it was.
    Missing,
    /// Another file has that name.
    Taken,
}

impl Core {
    /// Changes flags.
    pub(super) fn flag(&mut self, at: &At, groups: &[FlagGroup]) -> Result<Vec<Key>> {
        let directory = self.open(at)?;
        make_directories(&directory)?;
        let mut done = Vec::new();
        for group in groups {
            self.scan(&at.folder)?.keywords.learn(&directory, &group.change.add)?;
            for key in &group.keys {
                let change = |core: &mut Self, entry: &Entry| {
                    let name = changed(core, entry, &group.change)?;
                    let Some(name) = name else { return Ok(Moved::Taken) };
                    rename(&directory, entry, &directory, OsStr::new(&name))
                };
                if self.on_file(&at.folder, key, change)? {
                    done.push(key.clone());
                }
            }
        }
        self.sync(&directory)?;
        Ok(done)
    }

    /// Gives the files of messages names in another directory as well.
    pub(super) fn link(
        &mut self,
        at: &At,
        messages: &[Append],
        into: &Path,
    ) -> Result<Option<Vec<Appended>>> {
        let directory = self.open(at)?;
        let mut linked = Vec::with_capacity(messages.len());
        for message in messages {
            let mut is_possible = true;
            let base = FileName { base: &message.name, letters: "" };
            let name = base.with(&Flags::new(message.flags.system(), []), &[]);
            let name = name.unwrap_or_else(|| message.name.to_string());
            let there = into.join("cur").join(name);
            let done = self.on_file(&at.folder, &message.source, |_, entry| {
                let path = entry.path(&directory);
                match sync_file(&path).and_then(|()| fs::hard_link(&path, &there)) {
                    Ok(()) => Ok(Moved::Done(entry.clone())),
                    // An earlier attempt came as far as this.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                        Ok(Moved::Done(entry.clone()))
                    }
                    Err(error) if is_missing(&error) => Ok(Moved::Missing),
                    // It is another disk, or one that knows no second names.
                    Err(_) => {
                        is_possible = false;
                        Ok(Moved::Taken)
                    }
                }
            })?;
            if !is_possible {
                return Ok(None);
            }
            if done {
                let (source, key) = (message.source.clone(), Key::name(&message.name)?);
                linked.push(Appended { source, key: Some(key), stamp: None });
            }
        }
        sync_directory(&into.join("cur"))?;
        Ok(Some(linked))
    }

    /// Removes messages.
    pub(super) fn remove(&mut self, at: &At, keys: &[Key]) -> Result<Vec<Key>> {
        let directory = self.open(at)?;
        let mut gone = Vec::new();
        for key in keys {
            let is_gone = self.on_file(&at.folder, key, |_, entry| {
                let path = entry.path(&directory);
                match fs::remove_file(&path) {
                    Ok(()) => Ok(Moved::Done(entry.clone())),
                    Err(error) if is_missing(&error) => Ok(Moved::Missing),
                    Err(error) => Err(failed(&path, &error)),
                }
            })?;
            // What was gone before is gone now.
            let scan = self.scan(&at.folder)?;
            if is_gone {
                scan.entries.remove(key);
            }
            if !scan.entries.contains_key(key) {
                gone.push(key.clone());
            }
        }
        self.sync(&directory)?;
        Ok(gone)
    }

    /// Moves messages to another folder.
    pub(super) fn relocate(
        &mut self,
        from: &At,
        keys: &[Key],
        to: &FolderName,
    ) -> Result<Vec<Appended>> {
        let directory = self.open(from)?;
        let there = self.directory(to)?;
        make_directories(&there)?;
        let mut target = super::scan::Scan::of(&there)?;
        let mut moved = Vec::new();
        for key in keys {
            let mut key_there = None;
            self.on_file(&from.folder, key, |core, entry| {
                let flags = entry.flags(&core.scanned()?.keywords);
                target.keywords.learn(&there, &flags)?;
                let storable = target.keywords.storable().mask(&flags);
                let name = entry.file.to_string_lossy();
                let base = free_base(FileName::parse(&name).base, &target);
                let parsed = FileName { base: &base, letters: "" };
                let Some(name) = parsed.with(&storable, &target.keywords.0) else {
                    return Ok(Moved::Taken);
                };
                let moved = rename(&directory, entry, &there, OsStr::new(&name))?;
                if let Moved::Done(entry) = &moved {
                    let key = Key::name(&base)?;
                    target.entries.insert(key.clone(), entry.clone());
                    key_there = Some((key, entry.stamp(&there)?));
                }
                Ok(moved)
            })?;
            if let Some((new, stamp)) = key_there {
                self.scanned()?.entries.remove(key);
                let source = key.clone();
                moved.push(Appended { source, key: Some(new), stamp });
            }
        }
        self.sync(&there)?;
        self.sync(&directory)?;
        Ok(moved)
    }

    /// Does something to the file of a message; if it is not where it was, looks again, once.
    fn on_file(
        &mut self,
        folder: &FolderName,
        key: &Key,
        mut act: impl FnMut(&mut Self, &Entry) -> Result<Moved>,
    ) -> Result<bool> {
        for _ in 0..2 {
            let Some(entry) = self.scan(folder)?.entries.get(key).cloned() else {
                return Ok(false);
            };
            match act(self, &entry)? {
                Moved::Done(entry) => {
                    self.scanned()?.entries.insert(key.clone(), entry);
                    return Ok(true);
                }
                Moved::Taken => return Ok(false),
                Moved::Missing => self.look_again(folder)?,
            }
        }
        Ok(false)
    }

    fn sync(&self, directory: &Path) -> Result<()> {
        for name in ["cur", "new"] {
            let path = directory.join(name);
            if path.is_dir() {
                sync_directory(&path)?;
            }
        }
        Ok(())
    }
}

/// Puts a file onto the disk, which costs nothing if it has been there for long.
fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Gives the name of a file after a change of its flags.
fn changed(core: &mut Core, entry: &Entry, change: &FlagChange) -> Result<Option<String>> {
    let keywords = &core.scanned()?.keywords;
    let Some(name) = entry.file.to_str() else { return Ok(None) };
    let name = FileName::parse(name);
    Ok(name.with(&change.of(&name.flags(&keywords.0)), &keywords.0))
}

/// Renames a file into `cur` of a folder.
fn rename(from: &Path, entry: &Entry, to: &Path, name: &OsStr) -> Result<Moved> {
    let old = entry.path(from);
    let moved = Entry { is_new: false, file: name.into() };
    let new = moved.path(to);
    if old == new {
        return Ok(if old.exists() { Moved::Done(moved) } else { Moved::Missing });
    }
    match rename_new(&old, &new) {
        Ok(true) => Ok(Moved::Done(moved)),
        Ok(false) => Ok(Moved::Taken),
        Err(error) if is_missing(&error) => Ok(Moved::Missing),
        Err(error) => Err(failed(&new, &error)),
    }
}

/// Finds a base that no message of a folder has.
fn free_base(base: &str, target: &super::scan::Scan) -> String {
    let is_free = |base: &str| Key::name(base).is_ok_and(|key| !target.entries.contains_key(&key));
    if is_free(base) {
        return base.to_owned();
    }
    let short: String = base.chars().take(100).collect();
    let mut count = 1_u64;
    loop {
        let other = format!("{short}.{count}");
        if is_free(&other) {
            return other;
        }
        count += 1;
    }
}
