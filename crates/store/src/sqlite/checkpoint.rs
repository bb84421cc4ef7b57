//! Moving the write-ahead log into the database beside the commits instead of in their way.
//!
//! A thread does the bulk of it while commits go on. Under steady load it never reaches the end of
//! the log, so when the log has grown long the writer moves the small rest between two groups, and
//! then the log starts over. SQLite's own way would do all of it inside of a commit, and would hide
//! a failed fsync of the database.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};

use model::{Error, Result};
use rusqlite::Connection;

use super::failure::{explained, is_fatal};

/// Pages that wait in the log before the thread is woken: 8 MiB.
const WAITING_PAGES_MAX: usize = 1_024;
/// Pages in the log after which the writer moves the rest: 64 MiB.
const LOG_PAGES_MAX: usize = 8_192;

/// The writer's side.
pub(crate) struct Checkpointer {
    wake: SyncSender<()>,
    /// Why the database must not be written any more.
    failure: Arc<OnceLock<Error>>,
    thread: JoinHandle<()>,
}

/// The pages of the log, and how many of them are in the database already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Log {
    pages: usize,
    moved: usize,
}

impl Log {
    /// Tells whether it is time for the writer to move the rest.
    pub(crate) fn is_long(self) -> bool {
        self.pages > LOG_PAGES_MAX && self.pages > self.moved
    }
}

impl Checkpointer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection) -> Result<Self> {
        let (wake, woken) = sync_channel(1);
        let failure = Arc::default();
        let theirs = Arc::clone(&failure);
        let thread = Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&connection, &woken, &theirs))
            .map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self { wake, failure, thread })
    }

    /// Looks at the log after a commit, and wakes the thread when it is worth it.
    pub(crate) fn committed(&self, log: Log) {
        if log.pages > log.moved + WAITING_PAGES_MAX {
            // If the thread has not yet begun its last turn, that turn will do for this one.
            let _ = self.wake.try_send(());
        }
    }

    /// Tells whether the thread failed in a way that makes further writes unsafe.
    pub(crate) fn check(&self) -> Result<()> {
        self.failure.get().cloned().map_or(Ok(()), Err)
    }

    /// Ends the thread and closes its connection.
    pub(crate) fn end(self) {
        drop(self.wake);
        // A panic of the thread was reported by the panic hook.
        let _ = self.thread.join();
    }
}

fn run(connection: &Connection, woken: &Receiver<()>, failure: &OnceLock<Error>) {
    while woken.recv().is_ok() {
        match checkpoint(connection) {
            Err(error) if is_fatal(&error) => {
                // Nobody else sets it.
                let _ = failure.set(explained(error));
                return;
            }
            // After a full disk or a busy database the log still has everything for the next turn.
            Ok(_) | Err(_) => {}
        }
    }
}

/// Moves what can be moved without waiting.
pub(crate) fn checkpoint(connection: &Connection) -> rusqlite::Result<Log> {
    log_after(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Looks at the log.
pub(crate) fn log(connection: &Connection) -> rusqlite::Result<Log> {
    log_after(connection, "PRAGMA wal_checkpoint(NOOP)")
}

fn log_after(connection: &Connection, text: &str) -> rusqlite::Result<Log> {
    let pages = |pages: i64| usize::try_from(pages).unwrap_or_default();
    connection
        .prepare_cached(text)?
        .query_row([], |row| Ok(Log { pages: pages(row.get(1)?), moved: pages(row.get(2)?) }))
}
