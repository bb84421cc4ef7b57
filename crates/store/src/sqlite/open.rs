//! Opening a database: its lock, its settings, and the indexes that live in memory.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use model::{Error, Result};
use rusqlite::{Connection, OpenFlags};

use super::SqliteOptions;
use super::disk::each;
use super::failure::explained;
use crate::Kept;
use crate::entries::Entries;
use crate::index::Indexes;
use crate::layout::Layout;

/// Older libraries can damage a database while a write-ahead log is reset.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
const PAGE_BYTES: u32 = 8 << 10;
/// Milliseconds to wait for another program that writes, such as a SQL shell.
const BUSY_MS_MAX: u32 = 5_000;

/// Refuses a SQLite library that is not safe.
pub(crate) fn check_library() -> Result<()> {
    if rusqlite::version_number() >= SQLITE_VERSION_MIN {
        return Ok(());
    }
    Err(Error::Internal(format!(
        "SQLite {} can lose data (fixed in 3.51.3); build with the bundled library",
        rusqlite::version()
    )))
}

/// Keeps other processes from opening the same store, until the file is dropped.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let cannot = |error| {
        Error::Unavailable(format!(
            "cannot lock {}: {error}; check that its folder exists and can be written",
            name.display()
        ))
    };
    let file = File::options().create(true).append(true).open(&name).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Unavailable(format!(
            "{} is open in another process; stop that one first, or give another path",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Connects to write.
pub(crate) fn writing(path: &Path, options: &SqliteOptions) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    connect(path, flags, options.cache_kib)
        .and_then(|connection| {
            // The page size holds for a database that is made now; WAL stays with it.
            connection.pragma_update(None, "page_size", PAGE_BYTES)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            if let Some(size) = options.size_mib_max {
                let pages = (u64::from(size) << 20) / u64::from(PAGE_BYTES);
                connection.pragma_update(None, "max_page_count", pages.to_string())?;
            }
            // Every commit reaches the disk before it is acknowledged.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "fullfsync", true)?;
            connection.pragma_update(None, "checkpoint_fullfsync", true)?;
            Ok(connection)
        })
        .map_err(|error| cannot_open(path, error))
}

/// Connects to read.
pub(crate) fn reading(path: &Path, cache_kib: u32) -> Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, cache_kib)
        .map_err(|error| cannot_open(path, error))
}

fn connect(path: &Path, flags: OpenFlags, cache_kib: u32) -> rusqlite::Result<Connection> {
    // A connection stays with one thread, so SQLite needs no mutex of its own.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS_MAX.into()))?;
    // Negative means KiB.
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Tells why a database cannot be opened.
pub(crate) fn cannot_open(path: &Path, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => Error::BadInput(format!(
            "{} is not a database; give the path of a Lockstep store or of a new file",
            path.display()
        )),
        Some(rusqlite::ErrorCode::CannotOpen) => Error::BadInput(format!(
            "cannot open {}; check that its folder exists and that both can be written",
            path.display()
        )),
        _ => explained(error),
    }
}

/// Builds the indexes of a table that are kept in memory, in one pass over it.
pub(crate) fn indexes(connection: &Connection, layout: &Layout) -> Result<Indexes> {
    let mut entries: Vec<_> = (layout.table.indexes.iter())
        .map(|index| (index.kept == Kept::InMemory).then(Vec::new))
        .collect();
    if entries.iter().all(Option::is_none) {
        return Ok(Indexes::new(entries.into_iter().map(|_| None).collect()));
    }
    each(connection, layout, |key, row| {
        let fields = layout.fields(key, row)?;
        for (order, entries) in layout.orders().iter().zip(&mut entries) {
            if let (Some(entries), Some(entry)) = (entries, order.entry(&fields)) {
                entries.push(entry.into_boxed_slice());
            }
        }
        Ok(())
    })?;
    Ok(Indexes::new(entries.into_iter().map(|entries| entries.map(Entries::from_all)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_is_synced() {
        let folder = tempfile::TempDir::new().unwrap();
        let connection = writing(&folder.path().join("a.db"), &SqliteOptions::default()).unwrap();
        let setting = |name: &str| -> String {
            let text = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
            connection.query_row(&text, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(setting("journal_mode"), "wal");
        assert_eq!(setting("synchronous"), "2", "FULL");
        assert_eq!(setting("fullfsync"), "1");
        assert_eq!(setting("page_size"), "8192");
        // SQLite's own checkpoints would hide that an fsync failed.
        let pages: i64 =
            connection.pragma_query_value(None, "wal_autocheckpoint", |row| row.get(0)).unwrap();
        assert_eq!(pages, 0);
    }
}
