//! What a node looks at, once a second, in a store that others write to as well: when the first
//! lease or delay ends, and whether there is work for the claims that wait here.

use std::sync::Arc;

use model::{Namespace, Result, Revision};
use queue::Ready;
use store::{Job, Tx};
use tokio::sync::oneshot;

use crate::engine::stopped;
use crate::shared::Shared;

/// Looks once.
pub(crate) async fn look(shared: &Arc<Shared>) -> Result<()> {
    let (reply, answer) = oneshot::channel();
    let waiting = shared.waiters.namespaces();
    let job = PulseJob {
        shared: Arc::clone(shared),
        waiting,
        next_due: i64::MAX,
        found: Vec::new(),
        reply,
    };
    shared.store.read(Box::new(job));
    answer.await.unwrap_or_else(|_| Err(stopped()))
}

struct PulseJob {
    shared: Arc<Shared>,
    /// Namespaces in which claims wait, each with the revision that was seen last.
    waiting: Vec<(Namespace, Revision)>,
    next_due: i64,
    found: Vec<(Namespace, Revision, Vec<Ready>)>,
    reply: oneshot::Sender<Result<()>>,
}

impl Job for PulseJob {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        let now = self.shared.clock.now();
        self.next_due = queue::next_due(tx)?.map_or(i64::MAX, |time| time.0);
        self.found = queue::ready_since(tx, &self.waiting, now)?;
        Ok(())
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        if outcome.is_ok() {
            self.shared.note_others(self.next_due);
            for (namespace, revision, ready) in &self.found {
                self.shared.waiters.saw(namespace, *revision);
                self.shared.waiters.wake(namespace, ready, &self.shared.bell);
            }
        }
        // A caller that has gone needs no answer.
        let _gone = self.reply.send(outcome);
    }
}
