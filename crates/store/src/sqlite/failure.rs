//! What an error of SQLite means to callers.

use model::Error;
use rusqlite::{ErrorCode, ffi};

/// Tells what to answer.
pub(crate) fn explained(error: rusqlite::Error) -> Error {
    match code(&error) {
        Some(ErrorCode::DiskFull) => Error::StorageFull(error.to_string()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::Unavailable(format!("another program is using the database: {error}"))
        }
        _ if is_fatal(&error) => Error::Unavailable(format!(
            "the database could not be read or written ({error}), so nothing is stored any more; \
             check the disk, then restart"
        )),
        _ => Error::Internal(format!("SQLite: {error}")),
    }
}

/// Tells whether what is on disk is uncertain from now on, so that only a restart can help: after
/// a failed fsync the kernel may drop what it could not write and report success the next time.
pub(crate) fn is_fatal(error: &rusqlite::Error) -> bool {
    matches!(code(error), Some(ErrorCode::SystemIoFailure))
}

fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    match error {
        // The shared memory of the write-ahead log could not grow: there is no other reason.
        rusqlite::Error::SqliteFailure(failure, _)
            if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE =>
        {
            Some(ErrorCode::DiskFull)
        }
        error => error.sqlite_error_code(),
    }
}
