//! What an error of PostgreSQL means for a group of jobs and for their callers.

use model::Error;
use tokio_postgres::error::SqlState;

/// Why a group could not be brought to an end.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Another node was in the way; the same again may do.
    Conflict(Error),
    /// Another node has written where it was assumed that none does.
    Stale,
    /// The connection is gone.
    Lost(Error),
    /// The same again would fail again.
    Error(Error),
}

/// What statements give.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// Gives what to answer.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Conflict(error) | Self::Lost(error) | Self::Error(error) => error,
            Self::Stale => Error::Unavailable("other nodes were in the way".to_owned()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(state) = error.code() else {
            return Self::Lost(Error::Unavailable(format!(
                "the connection to PostgreSQL is lost ({}); it is made again by itself",
                causes(&error)
            )));
        };
        let message = causes(&error);
        match state {
            // Only the check of what is assumed asks for a number that may be none.
            &SqlState::INVALID_TEXT_REPRESENTATION => Self::Stale,
            &SqlState::T_R_SERIALIZATION_FAILURE
            | &SqlState::T_R_DEADLOCK_DETECTED
            | &SqlState::UNIQUE_VIOLATION => Self::Conflict(Error::Unavailable(format!(
                "other nodes were in the way too often ({message}); try again"
            ))),
            &SqlState::DISK_FULL => Self::Error(Error::StorageFull(message)),
            &SqlState::INSUFFICIENT_PRIVILEGE => Self::Error(Error::BadInput(format!(
                "PostgreSQL does not allow it ({message}); give the user the right, for instance \
                 with GRANT CREATE ON DATABASE"
            ))),
            &SqlState::READ_ONLY_SQL_TRANSACTION => Self::Lost(Error::Unavailable(format!(
                "PostgreSQL only lets us read, as a standby does ({message}); point the store at \
                 the primary"
            ))),
            &SqlState::LOCK_NOT_AVAILABLE | &SqlState::QUERY_CANCELED => {
                Self::Error(Error::Unavailable(format!(
                    "PostgreSQL gave up waiting ({message}); look for a transaction that somebody \
                     left open"
                )))
            }
            // Class 08 is the connection, 53 a lack of resources, 57 an operator; 25P03 is a
            // transaction that stood still for too long.
            state
                if ["08", "53", "57"].iter().any(|class| state.code().starts_with(class))
                    || state.code() == "25P03" =>
            {
                Self::Lost(Error::Unavailable(format!("PostgreSQL is away: {message}")))
            }
            _ => Self::Error(Error::Internal(format!("PostgreSQL: {message}"))),
        }
    }
}

/// Gives what PostgreSQL or the operating system said.
pub(crate) fn causes(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => {
            let mut text = format!("{} (SQLSTATE {})", error.message(), error.code().code());
            for more in [error.detail(), error.hint()].into_iter().flatten() {
                text += &format!("; {more}");
            }
            text
        }
        None => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                text += &format!(": {cause}");
                source = cause.source();
            }
            text
        }
    }
}
