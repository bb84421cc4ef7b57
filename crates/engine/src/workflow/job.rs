//! Rules as jobs of the store, for what takes more than the one transaction of a write.

use std::sync::Arc;

use model::{EventBody, Namespace, Result, Revision, Span, Time, TraceContext};
use queue::{Closed, Work};
use store::{Job, Tx};
use tokio::sync::oneshot;

use crate::engine::stopped;
use crate::shared::{Look, Shared};

/// What a rule gave, and what its commit was.
pub(crate) struct Changed<T> {
    pub(crate) value: T,
    pub(crate) revision: Revision,
    pub(crate) events: Vec<EventBody>,
}

/// What is done after a piece of work is closed, in the same transaction.
pub(crate) type After<T> = fn(&mut dyn Tx, &mut T, &Closed, Time) -> Result<()>;

/// Runs a rule in one transaction of a namespace. It may run more than once before it counts.
pub(crate) async fn change<T: Send + 'static>(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    rule: impl FnMut(&mut Work<'_>) -> Result<T> + Send + 'static,
) -> Result<Changed<T>> {
    change_then(shared, namespace, rule, |_, _, _, _| Ok(())).await
}

/// The same, with something to do once the revision is known.
pub(crate) async fn change_then<T: Send + 'static>(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    rule: impl FnMut(&mut Work<'_>) -> Result<T> + Send + 'static,
    after: After<T>,
) -> Result<Changed<T>> {
    let (reply, answer) = oneshot::channel();
    let shared = Arc::clone(shared);
    let store = Arc::clone(&shared.store);
    let (namespace, seed) = (namespace.clone(), shared.next_seed());
    let (trace, ran) = (shared.begin_trace(), None);
    let job = ChangeJob { shared, namespace, seed, rule, after, now: None, trace, ran, reply };
    store.write(Box::new(job));
    answer.await.unwrap_or_else(|_| Err(stopped()))
}

struct ChangeJob<T, F> {
    shared: Arc<Shared>,
    namespace: Namespace,
    seed: u64,
    rule: F,
    after: After<T>,
    /// The time of the first run, so that further ones ask for the same.
    now: Option<Time>,
    /// The trace of what this begins.
    trace: Option<TraceContext>,
    ran: Option<(T, Closed, Look, Vec<Span>)>,
    reply: oneshot::Sender<Result<Changed<T>>>,
}

impl<T: Send, F: FnMut(&mut Work<'_>) -> Result<T> + Send> Job for ChangeJob<T, F> {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        let now = *self.now.get_or_insert_with(|| self.shared.clock.now());
        let mut work = Work::open(tx, &self.namespace, now, self.seed)?;
        work.trace = self.trace;
        let mut value = (self.rule)(&mut work)?;
        let closed = work.close()?;
        (self.after)(tx, &mut value, &closed, now)?;
        let began = (self.trace, now);
        let spans = self.shared.spans(tx, &self.namespace, &closed.events, began)?;
        let look = self.shared.look(tx)?;
        self.ran = Some((value, closed, look, spans));
        Ok(())
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        let Self { shared, namespace, ran, reply, .. } = *self;
        let outcome = outcome.and_then(|()| ran.ok_or_else(stopped));
        let changed = outcome.map(|(value, closed, look, spans)| {
            shared.record(spans);
            shared.committed(&namespace, (closed.revision, &closed.events), &closed.ready, look);
            Changed { value, revision: closed.revision, events: closed.events }
        });
        // A caller that has gone needs no answer.
        let _gone = reply.send(changed);
    }
}

/// Looks at a snapshot.
pub(crate) async fn look<T: Send + 'static>(
    shared: &Shared,
    rule: impl FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    shared.store.read(Box::new(LookJob { rule, seen: None, reply }));
    answer.await.unwrap_or_else(|_| Err(stopped()))
}

struct LookJob<T, F> {
    rule: F,
    seen: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnMut(&mut dyn Tx) -> Result<T> + Send> Job for LookJob<T, F> {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.seen = Some((self.rule)(tx)?);
        Ok(())
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        let Self { seen, reply, .. } = *self;
        // A caller that has gone needs no answer.
        let _gone = reply.send(outcome.and_then(|()| seen.ok_or_else(stopped)));
    }
}
