//! `/v1/peer`: what nodes of one store ask of each other.

use futures_util::future::join_all;
use model::{Backend, Error, PassedOn, Result, Write, limits};

use crate::{body, call::Call, http::door::only_claims, outcome::Outcome, peers::PeerDoor};

/// Says that there is a node that takes writes.
pub(crate) async fn greet(_call: Call) -> Result<Outcome> {
    Outcome::json(&PassedOn::Greeting)
}

/// Makes writes that another node has passed on: here, whoever else should, so that they are passed
/// on once. Who is behind them, and that they may, is what that node has found.
pub(crate) async fn write(call: Call) -> Result<Outcome> {
    let writes: Vec<Write> = body::parse_checked(&call.body)?;
    if writes.len() > limits::PASSED_ON_MAX {
        return Err(Error::too_large("the list of writes", writes.len(), limits::PASSED_ON_MAX));
    }
    let Some(door) = call.app.peers.get() else {
        return Err(Error::Internal("a node that has no peers was called by one".to_owned()));
    };
    let made = writes.into_iter().map(|write| make(&call, door, write));
    Outcome::json(&join_all(made).await)
}

/// Makes one of them.
async fn make(call: &Call, door: &PeerDoor, mut write: Write) -> PassedOn {
    write.wait = write.wait.min(limits::WAIT_MAX);
    // What only waits is cut short, and what claims found meanwhile goes back.
    let can_leave = !write.wait.is_zero() && only_claims(&write);
    let made = tokio::select! {
        biased;
        made = door.backend.write(write) => made,
        () = call.app.drained(), if can_leave => return PassedOn::Leaving,
    };
    match made {
        Ok(committed) => PassedOn::Committed { committed, next_due: (door.next_due)() },
        Err(error) => PassedOn::Failed(error),
    }
}
