//! The database of one account.

use std::path::Path;

use model::{Result, Time};
use rusqlite::{Connection, MAIN_DB, TransactionBehavior};
use serde_json::Value;
use smol_str::SmolStr;

use super::{
    Change, Event, HeldRow, Overview, RunRow, Undo, make, read,
    schema::{self, failed},
    standing,
};
use crate::{FolderName, Snapshot, plan::Conflict};

/// The agreed state of one account, in a file of its own.
pub struct Database {
    connection: Connection,
}

impl Database {
    /// Opens the database at a path, or makes it.
    ///
    /// # Errors
    /// If it cannot be read and written, or a newer program made it.
    pub fn open(path: &Path) -> Result<Self> {
        schema::open(Some(path)).map(|connection| Self { connection })
    }

    /// Makes a database that is gone with the process.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn in_memory() -> Result<Self> {
        schema::open(None).map(|connection| Self { connection })
    }

    /// Makes a database in memory that is what an image says.
    ///
    /// # Errors
    /// If it is no image of such a database.
    pub(super) fn of_image(image: &[u8]) -> Result<Self> {
        let mut connection = schema::open(None)?;
        connection.deserialize_read_exact(MAIN_DB, image, image.len(), false).map_err(failed)?;
        schema::prepare(&connection)?;
        Ok(Self { connection })
    }

    /// Gives an image of a database in memory.
    pub(super) fn image(&mut self) -> Result<Vec<u8>> {
        // Pages that nothing is on any more would be kept and sent again and again.
        self.connection.execute_batch("VACUUM").map_err(failed)?;
        Ok(self.connection.serialize(MAIN_DB).map_err(failed)?.to_vec())
    }

    /// Makes changes, all or none, and durable once this returns.
    ///
    /// # Errors
    /// If they contradict what is there, or the disk fails.
    pub fn record<'a>(&mut self, changes: impl IntoIterator<Item = &'a Change>) -> Result<()> {
        let changes: Vec<&Change> = changes.into_iter().collect();
        self.record_and(&changes, |_| Ok(()))
    }

    /// Makes changes, and commits them if something else can be done before.
    pub(super) fn record_and(
        &mut self,
        changes: &[&Change],
        before: impl FnOnce(&[&Change]) -> Result<()>,
    ) -> Result<()> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior).map_err(failed)?;
        for change in changes {
            make::make(&transaction, change)?;
        }
        before(changes)?;
        transaction.commit().map_err(failed)
    }

    /// Gives the number of the next run.
    pub(super) fn next_run(&self) -> Result<i64> {
        read::last_run(&self.connection).map(|last| last + 1)
    }

    /// Says how the account stands, for people.
    pub(super) fn standing(&self, now: Time) -> Result<Value> {
        standing::standing(self, now)
    }

    /// Reads what a round has to know before it looks at folders.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn overview(&self, now: Time) -> Result<Overview> {
        read::overview(&self.connection, now)
    }

    /// Reads the pairs of a folder; none if it is not known.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn snapshot(&self, folder: &FolderName) -> Result<Snapshot> {
        read::snapshot(&self.connection, folder)
    }

    /// Reads what waits for approval.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn holds(&self) -> Result<Vec<HeldRow>> {
        read::holds(&self.connection)
    }

    /// Lets held removals through at the next run; tells whether there are such.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn approve(&mut self, token: &str) -> Result<bool> {
        let known = self.holds()?.iter().any(|hold| hold.token == token);
        if known {
            self.record([&Change::Approve(SmolStr::from(token))])?;
        }
        Ok(known)
    }

    /// Reads the last conflicts, newest first, each with its time in seconds since 1970.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn conflicts(&self, limit: u32) -> Result<Vec<(i64, Conflict)>> {
        read::conflicts(&self.connection, limit)
    }

    /// Reads the last runs, newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn runs(&self, limit: u32) -> Result<Vec<RunRow>> {
        read::runs(&self.connection, limit)
    }

    /// Reads the runs that began before a time and whose removals are still kept.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn unpurged(&self, before: Time) -> Result<Vec<i64>> {
        read::unpurged(&self.connection, before)
    }

    /// Reads what can be undone of the last run that did something, last things first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn undoable(&self) -> Result<Vec<(i64, Undo)>> {
        read::undoable(&self.connection)
    }

    /// Reads events after one, in order.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>> {
        read::events(&self.connection, after, limit)
    }

    /// Gives the number of the last event.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_event(&self) -> Result<i64> {
        read::last_event(&self.connection)
    }
}
