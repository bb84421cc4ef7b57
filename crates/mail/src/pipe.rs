//! The bounded pipe through which bodies go from one driver to another.

use bytes::Bytes;
use model::{Error, Result, Time};
use tokio::sync::mpsc;

use crate::{Key, limits::PIPE_PIECES_MAX};

/// The start of a message in a pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// What the store that it comes from calls it.
    pub key: Key,
    /// Exactly as many bytes as follow, with line ends as CRLF.
    pub size: u64,
    /// When that store got it.
    pub date: Option<Time>,
}

/// What goes through a pipe: for each message its start, then pieces of at most
/// [`crate::limits::PIECE_BYTES_MAX`] bytes, then its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A message begins.
    Begin(Body),
    /// The next bytes of the message.
    Bytes(Bytes),
    /// The message is complete.
    End,
    /// The message is gone, or cannot be read. It comes in the place of a message, never within.
    Lost(Key),
}

/// The end of a pipe into which a driver pours messages.
#[derive(Clone, Debug)]
pub struct Pouring(mpsc::Sender<Part>);

impl Pouring {
    /// Puts the next part into the pipe, once there is room.
    ///
    /// # Errors
    /// If nobody takes parts any more.
    pub async fn send(&self, part: Part) -> Result<()> {
        let gone = |_| Error::Unavailable("the other side stopped taking messages".to_owned());
        self.0.send(part).await.map_err(gone)
    }

    /// Puts the next part into the pipe, on a thread that may wait.
    ///
    /// # Errors
    /// If nobody takes parts any more.
    pub fn send_blocking(&self, part: Part) -> Result<()> {
        let gone = |_| Error::Unavailable("the other side stopped taking messages".to_owned());
        self.0.blocking_send(part).map_err(gone)
    }
}

/// Makes a pipe. A receiver that gets no more parts before an `End` must take the message for
/// incomplete.
pub fn pipe() -> (Pouring, mpsc::Receiver<Part>) {
    let (sender, receiver) = mpsc::channel(PIPE_PIECES_MAX);
    (Pouring(sender), receiver)
}
