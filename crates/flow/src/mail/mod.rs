//! Mail accounts that are kept in step as work: their agreed states in rows, and the events that
//! are told in the transaction that changes them.
//!
//! What the parts of a state say is for whoever makes the rounds; a rule only sees to it that one
//! alone can write, and that its events are kept with what it has written, or not at all.

mod answer;
mod change;
mod rows;

use model::{MailCommand, Reply, Result};
use queue::Work;

pub use answer::answer;
pub(crate) use change::check;

/// Applies a command on mail accounts.
pub fn apply(work: &mut Work<'_>, command: &MailCommand) -> Result<Reply> {
    match command {
        MailCommand::Open { account, interval } => change::open(work, account, *interval)?,
        MailCommand::Record(round) => change::record(work, round)?,
        MailCommand::Approve { account, token } => change::approve(work, account, token)?,
        MailCommand::Forget { account } => change::forget(work, account)?,
    }
    Ok(Reply::Done)
}
