//! Directories and files, with errors that say which one.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use model::{Error, Result, Time};
use rustix::fs::{CWD, RenameFlags, Timespec, Timestamps, renameat_with, utimensat};
use sha2::{Digest, Sha256};

/// Makes an error of what a file system said.
pub(super) fn failed(path: &Path, error: &io::Error) -> Error {
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::StorageFull(text),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::Denied(text),
        _ => Error::Unavailable(text),
    }
}

/// Gives nothing for what is not there.
pub(super) fn if_there<T>(path: &Path, found: io::Result<T>) -> Result<Option<T>> {
    match found {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(failed(path, &error)),
    }
}

/// Tells whether an error says that something is not there.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Moves a file to a name that nothing has yet; `false` says that something has it.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<bool> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::EXIST) => Ok(false),
        // Some network file systems cannot promise this in one step, but can with a second name.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => match fs::hard_link(from, to) {
            Ok(()) => fs::remove_file(from).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        },
        Err(error) => Err(error.into()),
    }
}

/// Puts a directory's entries on the disk.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|error| failed(path, &error))
}

/// Gives a file the time at which its message was received.
pub(super) fn set_received(path: &Path, time: Time) -> io::Result<()> {
    let time = Timespec { tv_sec: time.unix_seconds(), tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, rustix::fs::AtFlags::empty())?)
}

/// Gives the time of a file's last change, in whole seconds: when its message was received.
pub(super) fn received(metadata: &Metadata) -> Time {
    Time(metadata.mtime().saturating_mul(1_000_000_000))
}

/// Gives the time of a directory's last change in nanoseconds, or none while a change of the same
/// moment could still follow unseen.
pub(super) fn settled(metadata: &Metadata) -> Option<i64> {
    let changed = metadata.modified().ok()?;
    let age = SystemTime::now().duration_since(changed).unwrap_or(Duration::ZERO);
    (age >= Duration::from_secs(2)).then(|| nanoseconds(metadata))
}

/// Gives what stays when a file is renamed, and no other file has. The number of a file alone is
/// not enough, since it is given again as soon as the file is gone.
pub(super) fn stamp(metadata: &Metadata) -> u64 {
    let born = metadata.created().ok();
    let born = born.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let mut hasher = Sha256::new();
    for part in [metadata.dev(), metadata.ino(), metadata.len(), born.as_secs()] {
        hasher.update(part.to_be_bytes());
    }
    hasher.update(born.subsec_nanos().to_be_bytes());
    hasher.update(nanoseconds(metadata).to_be_bytes());
    let first = hasher.finalize().first_chunk().copied().unwrap_or_default();
    // Positive, so that every database keeps it as it is.
    u64::from_be_bytes(first) >> 1
}

/// Gives the time of the last change in nanoseconds since 1970.
pub(super) fn nanoseconds(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}
