//! Copies of a database: made while a server goes on writing, and put back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Error, Result};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::Sqlite;
use super::copy::existing;
use super::failure::explained;
use super::migrate;
use super::open;

/// Pages that are copied between two looks at how far it got.
const PAGES: i32 = 1_024;
/// The pause before another try, when the copy is locked by somebody who looks at it.
const PAUSE: Duration = Duration::from_millis(20);

/// Told how many pages of how many are copied.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// What becomes of a store in whose place a backup comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// It stays, and nothing is restored.
    Refuse,
    /// It is moved aside.
    MoveAside,
}

impl Sqlite {
    /// Copies the database at `path` into the new file `out`, as it is at one moment; a server may
    /// go on writing to it.
    ///
    /// # Errors
    /// If `out` is there already, or if one of the two cannot be read or written.
    pub fn backup(path: &Path, out: &Path, progress: Progress<'_>) -> Result<()> {
        if out.exists() {
            return Err(Error::BadInput(format!(
                "{} exists already; name a new file",
                out.display()
            )));
        }
        let source = existing(path)?;
        copy(&source, path, out, progress)
    }

    /// Puts the database in the file `backup` in the place of the one at `path`. Gives the path of
    /// the store that was there before, if there was one.
    ///
    /// # Errors
    /// If another process has the store open, if there is one and it is not to be moved aside, or
    /// if the backup is damaged, of a newer program, or no store at all.
    pub fn restore(
        backup: &Path,
        path: &Path,
        present: Present,
        progress: Progress<'_>,
    ) -> Result<Option<PathBuf>> {
        let source = existing(backup)?;
        let damage: String = source
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(explained)?;
        if damage != "ok" {
            return Err(Error::BadInput(format!(
                "{} is damaged ({damage}); take another backup",
                backup.display()
            )));
        }
        let _lock = open::lock(path)?;
        let aside = with(path, ".replaced");
        if path.exists() {
            if present == Present::Refuse {
                return Err(Error::BadInput(format!(
                    "{} exists already; name another path, or move it aside with --force",
                    path.display()
                )));
            }
            if aside.exists() {
                return Err(Error::BadInput(format!(
                    "{} is still there from an earlier restore; move it away first",
                    aside.display()
                )));
            }
        }
        let new = with(path, ".restored");
        copy(&source, backup, &new, progress)?;
        let moved = move_aside(path, &aside)?;
        fs::rename(&new, path).map_err(|error| cannot("put in place", path, &error))?;
        sync_folder(path)?;
        Ok(moved.then_some(aside))
    }
}

/// Copies what a connection sees at this moment into a new file, which has its name only once all
/// of it is on disk.
fn copy(source: &Connection, from: &Path, out: &Path, progress: Progress<'_>) -> Result<()> {
    // As long as this transaction is open, the pages stay as they are for this connection.
    source.execute_batch("BEGIN").map_err(explained)?;
    if migrate::check(source, from)? == 0 {
        return Err(Error::BadInput(format!("{} holds no store", from.display())));
    }
    let partial = with(out, ".partial");
    let _ = fs::remove_file(&partial);
    let copied = copy_pages(source, &partial, progress).and_then(|()| {
        fs::rename(&partial, out).map_err(|error| cannot("name", out, &error))?;
        sync_folder(out)
    });
    if copied.is_err() {
        // What is left of it is of no use, and the error says more.
        let _ = fs::remove_file(&partial);
    }
    copied
}

fn copy_pages(source: &Connection, partial: &Path, progress: Progress<'_>) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(partial, flags).map_err(|error| {
        Error::BadInput(format!(
            "cannot write {}: {error}; check that its folder exists and can be written",
            partial.display()
        ))
    })?;
    target.pragma_update(None, "synchronous", "FULL").map_err(explained)?;
    {
        let backup = Backup::new(source, &mut target).map_err(explained)?;
        loop {
            let step = backup.step(PAGES).map_err(explained)?;
            let done = backup.progress();
            let (total, left) = (done.pagecount.max(0), done.remaining.max(0));
            progress((total - left).unsigned_abs().into(), total.unsigned_abs().into());
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(PAUSE),
            }
        }
    }
    // So a backup is one file, and can be read where nothing can be written.
    target.pragma_update(None, "journal_mode", "DELETE").map_err(explained)?;
    target.close().map_err(|(_, error)| explained(error))?;
    let file = File::open(partial).and_then(|file| file.sync_all());
    file.map_err(|error| cannot("sync", partial, &error))
}

/// Moves a database and its companions to another name; tells whether it was there. The log goes
/// last: without its database it is never used.
fn move_aside(path: &Path, aside: &Path) -> Result<bool> {
    let mut is_there = false;
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (with(path, suffix), with(aside, suffix));
        match fs::rename(&from, &to) {
            Ok(()) => is_there = true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(cannot("move", &from, &error)),
        }
    }
    Ok(is_there)
}

fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| cannot("sync", folder, &error))
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::Unavailable(format!("cannot {what} {}: {error}; check the disk", path.display()))
}
