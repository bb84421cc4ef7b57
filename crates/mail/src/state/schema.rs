//! The tables of an account, and how its database is opened.

use std::path::Path;

use model::{Error, Result};
use rusqlite::{Connection, OptionalExtension, types::Type};

use crate::Key;

/// The tables that this program makes and understands.
const VERSION: i64 = 2;
/// What makes version 2 of version 1.
const SECOND: &str = "BEGIN IMMEDIATE; ALTER TABLE folder ADD known INTEGER NOT NULL DEFAULT 0;
     UPDATE folder SET known = 1; PRAGMA user_version = 2; COMMIT;";

/// Tells that the database failed.
pub(super) fn failed(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Error::StorageFull(error.to_string()),
        Some(_) | None => Error::Unavailable(format!("the state of the account: {error}")),
    }
}

/// Opens the database at a path, or in memory, and makes its tables.
pub(super) fn open(path: Option<&Path>) -> Result<Connection> {
    let connection = match path {
        Some(path) => Connection::open(path),
        None => Connection::open_in_memory(),
    }
    .map_err(failed)?;
    prepare(&connection)?;
    Ok(connection)
}

/// Sets a connection up, and makes the tables where there are none.
pub(super) fn prepare(connection: &Connection) -> Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(failed)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY;",
        )
        .map_err(failed)?;
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    match version {
        0 => {
            let tables = include_str!("schema.sql");
            let script = format!("BEGIN IMMEDIATE; {tables} PRAGMA user_version = 2; COMMIT;");
            connection.execute_batch(&script).map_err(failed)?;
        }
        1 => connection.execute_batch(SECOND).map_err(failed)?,
        VERSION => {}
        newer => {
            return Err(Error::bad_input(format!(
                "the state of the account has version {newer}, and this program knows {VERSION}; \
                 use the newer program"
            )));
        }
    }
    Ok(())
}

/// Reads a value of the table of single values.
pub(super) fn meta(connection: &Connection, name: &str) -> Result<Option<String>> {
    connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
        .optional()
        .map_err(failed)
}

/// Reads a key from a column.
pub(super) fn key(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Key> {
    let wrong = |kind| {
        let why = "not a message's key".into();
        rusqlite::Error::FromSqlConversionFailure(column, kind, why)
    };
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Integer(uid) => {
            u32::try_from(uid).map(Key::Uid).map_err(|_| wrong(Type::Integer))
        }
        rusqlite::types::ValueRef::Text(name) => {
            let name = std::str::from_utf8(name).map_err(|_| wrong(Type::Text))?;
            Ok(Key::Name(name.into()))
        }
        other => Err(wrong(other.data_type())),
    }
}

impl rusqlite::ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Uid(uid) => uid.to_sql(),
            Self::Name(name) => Ok(name.as_ref().into()),
        }
    }
}
