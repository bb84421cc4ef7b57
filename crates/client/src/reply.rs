//! Takes what a command or query is promised; anything else is a defect of the backend.

use std::fmt::Debug;

use model::{Committed, Error, Reply, Result};

/// Takes one shape out of a reply or an answer.
macro_rules! take {
    ($value:expr, $shape:pat => $out:expr) => {
        match $value {
            $shape => Ok($out),
            other => Err($crate::reply::unexpected(&other)),
        }
    };
}
pub(crate) use take;

/// Says that a backend answered something that was not asked.
pub(crate) fn unexpected(answer: &impl Debug) -> Error {
    Error::Internal(format!("the backend answered another question: {answer:?}"))
}

/// Takes the reply to a write's only command.
pub(crate) fn only(mut committed: Committed) -> Result<Reply> {
    match (committed.replies.pop(), committed.replies.is_empty()) {
        (Some(reply), true) => Ok(reply),
        (reply, _) => Err(unexpected(&(committed.replies, reply))),
    }
}
