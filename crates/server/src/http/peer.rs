//! `/v1/peer`: what nodes of one store ask of each other.

use model::{Backend, Error, PassedOn, Result, Write, limits};

use crate::{call::Call, http::door::only_claims, outcome::Outcome};

/// Says that there is a node that takes writes.
pub(crate) async fn greet(_call: Call) -> Result<Outcome> {
    Outcome::json(&PassedOn::Greeting)
}

/// Makes a write that another node has passed on: here, whoever else should, so that it is passed
/// on once. Who is behind it, and that they may, is what that node has found.
pub(crate) async fn write(call: Call) -> Result<Outcome> {
    let mut write: Write = call.json()?;
    write.wait = write.wait.min(limits::WAIT_MAX);
    let Some(door) = call.app.peers.get() else {
        return Err(Error::Internal("a node that has no peers was called by one".to_owned()));
    };
    // What only waits is cut short, and what claims found meanwhile goes back.
    let can_leave = !write.wait.is_zero() && only_claims(&write);
    let made = tokio::select! {
        biased;
        made = door.backend.write(write) => made,
        () = call.app.drained(), if can_leave => return Outcome::json(&PassedOn::Leaving),
    };
    Outcome::json(&match made {
        Ok(committed) => PassedOn::Committed { committed, next_due: (door.next_due)() },
        Err(error) => PassedOn::Failed(error),
    })
}
