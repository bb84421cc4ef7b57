//! What files a folder has, in one pass over its directories.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use model::{Error, Result};

use super::{
    disk::{failed, if_there, is_missing, nanoseconds, stamp},
    keywords::Table,
    name::FileName,
};
use crate::{Flags, Key, limits::KEY_BYTES_MAX, limits::MESSAGES_MAX};

/// How often a folder is looked at again because it changed meanwhile.
const LOOKS_MAX: usize = 5;

/// The files of a folder.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) entries: HashMap<Key, Entry>,
    pub(super) keywords: Table,
}

/// A message file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whether it is in `new`, where no reader has touched it yet.
    pub(super) is_new: bool,
    /// Its whole name.
    pub(super) file: Box<OsStr>,
}

impl Entry {
    /// Gives the path of the file.
    pub(super) fn path(&self, directory: &Path) -> PathBuf {
        directory.join(if self.is_new { "new" } else { "cur" }).join(&*self.file)
    }

    /// Gives what stays when it is renamed; none if it is not there any more.
    pub(super) fn stamp(&self, directory: &Path) -> Result<Option<u64>> {
        let path = self.path(directory);
        Ok(if_there(&path, fs::metadata(&path))?.map(|metadata| stamp(&metadata)))
    }

    /// Gives the flags that the name says.
    pub(super) fn flags(&self, keywords: &Table) -> Flags {
        FileName::parse(&self.file.to_string_lossy()).flags(&keywords.0)
    }
}

impl Scan {
    /// Looks at a folder until it stayed the same while it was looked at, a few times at most.
    pub(super) fn of(directory: &Path) -> Result<Self> {
        let mut scan = Self::once(directory)?;
        for _ in 1..LOOKS_MAX {
            if scan.1 == times(directory)? {
                break;
            }
            scan = Self::once(directory)?;
        }
        Ok(scan.0)
    }

    fn once(directory: &Path) -> Result<(Self, Times)> {
        let times = times(directory)?;
        let mut scan = Self { keywords: Table::read(directory)?, ..Self::default() };
        // What a reader moves meanwhile goes from "new" to "cur", so that is the way to look.
        scan.take(directory, true)?;
        scan.take(directory, false)?;
        Ok((scan, times))
    }

    fn take(&mut self, directory: &Path, is_new: bool) -> Result<()> {
        let path = directory.join(if is_new { "new" } else { "cur" });
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            // Readers make "new" when they need it.
            Err(error) if is_new && is_missing(&error) => return Ok(()),
            Err(error) => return Err(failed(&path, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed(&path, &error))?;
            let name = entry.file_name();
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if !is_file || name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if self.entries.len() >= MESSAGES_MAX {
                return Err(Error::too_large("a folder", self.entries.len() + 1, MESSAGES_MAX));
            }
            self.insert(directory, name, is_new)?;
        }
        Ok(())
    }

    fn insert(&mut self, directory: &Path, name: OsString, is_new: bool) -> Result<()> {
        let key = name.to_str().and_then(|name| Key::name(FileName::parse(name).base).ok());
        let entry = Entry { is_new, file: name.into_boxed_os_str() };
        if let Some(key) = key {
            let is_same = match self.entries.get(&key) {
                None => true,
                // The same file, which was renamed between the two looks.
                Some(known) => {
                    let known = known.stamp(directory)?;
                    known.is_none() || known == entry.stamp(directory)?
                }
            };
            if is_same {
                self.entries.insert(key, entry);
                return Ok(());
            }
        }
        // Names that are no text, and second files of one base, are known by all of the name.
        if let Ok(key) = Key::name(&escaped(&entry.file)) {
            self.entries.insert(key, entry);
        }
        Ok(())
    }
}

/// Writes a whole name as a text that no base can be: bases end before a colon and a two.
fn escaped(name: &OsStr) -> String {
    let mut text = String::from(":2,");
    for byte in name.as_encoded_bytes() {
        if byte.is_ascii_graphic() && *byte != b'%' && *byte != b'/' {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02x}"));
        }
    }
    text.truncate(KEY_BYTES_MAX);
    text
}

/// When the directories of a folder changed last.
pub(super) type Times = (Option<i64>, Option<i64>);

fn times(directory: &Path) -> Result<Times> {
    let time = |name: &str| {
        let path = directory.join(name);
        let metadata = if_there(&path, fs::metadata(&path))?;
        Ok(metadata.map(|metadata| nanoseconds(&metadata)))
    };
    Ok((time("cur")?, time("new")?))
}
