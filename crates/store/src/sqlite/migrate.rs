//! Numbered migrations, each applied once and in its own transaction.

use std::path::Path;

use model::{Error, Result};
use rusqlite::{Connection, TransactionBehavior};

use super::failure::explained;
use crate::checksum::checksum;

/// Marks a database as ours: "LkSt".
const APPLICATION_ID: i32 = 0x4c6b_5374;

/// The migrations; each has its position, counted from 1, as its number. None may ever change.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_tables.sql"),
    include_str!("../../migrations/sqlite/0002_locks.sql"),
    include_str!("../../migrations/sqlite/0003_workflows.sql"),
    include_str!("../../migrations/sqlite/0004_mail.sql"),
    include_str!("../../migrations/sqlite/0005_audit.sql"),
    include_str!("../../migrations/sqlite/0006_blob.sql"),
    include_str!("../../migrations/sqlite/0007_user.sql"),
    include_str!("../../migrations/sqlite/0008_secret.sql"),
];

/// Brings the tables of a database to what this program expects, or says why that cannot be.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let count = check(connection, path)?;
    for (number, text) in (1_i64..).zip(MIGRATIONS).skip(count) {
        apply(connection, number, text).map_err(explained)?;
    }
    Ok(())
}

/// Refuses a database whose tables are not all that this program expects.
pub(crate) fn check_whole(connection: &Connection, path: &Path) -> Result<()> {
    if check(connection, path)? == MIGRATIONS.len() {
        return Ok(());
    }
    Err(Error::BadInput(format!(
        "{} was written by an older Lockstep, or holds no store; start `lockstep serve` on it \
         once, which brings its tables up to date",
        path.display(),
    )))
}

/// Gives the number of migrations that were applied, all of which this program knows.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<usize> {
    check_owner(connection, path)?;
    let applied = applied(connection).map_err(explained)?;
    if applied.len() > MIGRATIONS.len() {
        return Err(Error::BadInput(format!(
            "{} was written by a newer Lockstep (its tables are at number {}, this program knows \
             {}); start that version, or restore a backup from before the upgrade",
            path.display(),
            applied.len(),
            MIGRATIONS.len(),
        )));
    }
    for ((number, text), found) in (1_i64..).zip(MIGRATIONS).zip(&applied) {
        if *found != (number, checksum(text)) {
            return Err(Error::BadInput(format!(
                "migration {} of {} is not the one that this program knows as {number}; \
                 start the program that wrote this database",
                found.0,
                path.display(),
            )));
        }
    }
    Ok(applied.len())
}

/// Refuses a database that belongs to another program.
fn check_owner(connection: &Connection, path: &Path) -> Result<()> {
    let owner: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(explained)?;
    let is_empty: bool = connection
        .query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
        .map_err(explained)?;
    if owner == APPLICATION_ID || (is_empty && owner == 0) {
        return Ok(());
    }
    Err(Error::BadInput(format!(
        "{} is a database of another program; give the path of a Lockstep store or of a new file",
        path.display(),
    )))
}

/// Gives the number and checksum of each migration that was applied, in order.
fn applied(connection: &Connection) -> rusqlite::Result<Vec<(i64, i64)>> {
    if !connection.table_exists(None, "migration")? {
        return Ok(Vec::new());
    }
    connection
        .prepare("SELECT number, checksum FROM migration ORDER BY number")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn apply(connection: &mut Connection, number: i64, text: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (
            number INTEGER PRIMARY KEY,
            checksum INTEGER NOT NULL,
            applied TEXT NOT NULL
        ) STRICT",
    )?;
    transaction.execute_batch(text)?;
    transaction.execute(
        "INSERT INTO migration VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%SZ'))",
        (number, checksum(text)),
    )?;
    transaction.commit()
}
