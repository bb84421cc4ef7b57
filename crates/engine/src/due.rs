//! The loop that does what falls due, and sweeps up after what was destroyed.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use flow::instance::FlowDue;
use model::{Namespace, Result, Span, Time, TraceContext};
use queue::{Closed, Due};
use store::{Job, Tx};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    blob,
    engine::stopped,
    node, pulse,
    shared::{Look, Shared, after_due, after_flow_due},
};

/// Rows of each kind that one round of due work takes.
const ROUND: u32 = 500;
/// Rows that one round of sweeping removes.
const SWEEP: u32 = 500;
/// Time between two looks for something to sweep.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// The same where nothing tells that there is something: a node that has destroyed something may
/// have gone before it was swept away.
const SWEEP_ANYWAY_EVERY: Duration = Duration::from_secs(600);
/// Time between two looks at what other nodes have written, each of which renews the lease.
const PULSE_EVERY: Duration = Duration::from_secs(1);
/// Longest sleep, so that a clock that was set back or forward is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(5);
/// Pause after an error of the store.
const ERROR_PAUSE: Duration = Duration::from_millis(500);

/// Does what falls due, for ever.
pub(crate) async fn run(shared: &Arc<Shared>) {
    let sweep = shared.clock.now();
    let pulse = if shared.store.is_shared() { sweep } else { Time::MAX };
    let mut next = Next { sweep, sweep_anyway: sweep, pulse, told: None };
    loop {
        let outcome = turn(shared, &mut next).await;
        let now = shared.clock.now();
        let until = match outcome {
            Ok(()) => shared
                .next_due()
                .min(shared.waiters.next().unwrap_or(Time::MAX))
                .min(if shared.has_rubble(now) { next.sweep } else { next.sweep_anyway })
                .min(next.pulse)
                .min(now.plus(SLEEP_MAX)),
            Err(error) => {
                tracing::warn!(%error, "work that is due could not be done");
                now.plus(ERROR_PAUSE)
            }
        };
        tokio::select! {
            () = shared.clock.sleep_until(until) => {}
            () = shared.bell.notified() => {}
        }
    }
}

/// When to look for what nobody tells of.
struct Next {
    sweep: Time,
    sweep_anyway: Time,
    pulse: Time,
    /// The epoch of the catalog that the others were told.
    told: Option<u64>,
}

async fn turn(shared: &Arc<Shared>, next: &mut Next) -> Result<()> {
    let applied = shared.applied_epoch();
    let joined = shared.myself.get().is_some();
    if joined && applied > next.told {
        // Whoever publishes waits for this, so the others hear of it at once.
        renew(shared).await?;
        next.told = applied;
    }
    let is_hinted = shared.is_hinted.swap(false, Ordering::AcqRel) && shared.waiters.any();
    let is_time = next.pulse <= shared.clock.now();
    if is_hinted || is_time {
        pulse::look(shared, is_time).await?;
    }
    if is_time {
        next.pulse = shared.clock.now().plus(PULSE_EVERY);
    }
    while shared.next_due() <= shared.clock.now() {
        once(shared).await?;
    }
    shared.waiters.wake_due(shared.clock.now(), &shared.bell);
    let now = shared.clock.now();
    if next.sweep_anyway <= now || (next.sweep <= now && shared.has_rubble(now)) {
        shared.is_destroyed.store(false, Ordering::Release);
        let more = submit(shared, Kind::Sweep(Vec::new())).await?;
        shared.is_destroyed.fetch_or(more, Ordering::AcqRel);
        let now = shared.clock.now();
        next.sweep = now.plus(if more { Duration::ZERO } else { SWEEP_EVERY });
        next.sweep_anyway = now.plus(SWEEP_ANYWAY_EVERY);
    }
    Ok(())
}

/// Tells the other nodes that this one ends.
pub(crate) async fn leave(shared: &Arc<Shared>) -> Result<()> {
    submit(shared, Kind::Leave).await.map(drop)
}

/// Tells the other nodes how this one stands.
pub(crate) async fn renew(shared: &Arc<Shared>) -> Result<()> {
    let asked = Instant::now();
    submit(shared, Kind::Renew).await?;
    shared.renewed(asked);
    Ok(())
}

/// Does one round of due work.
pub(crate) async fn once(shared: &Arc<Shared>) -> Result<()> {
    submit(shared, Kind::Due(Due::default(), FlowDue::default())).await.map(drop)
}

async fn submit(shared: &Arc<Shared>, kind: Kind) -> Result<bool> {
    let (reply, answer) = oneshot::channel();
    let shared = Arc::clone(shared);
    let store = Arc::clone(&shared.store);
    let trace = shared.begin_trace();
    let (now, began, look) = (None, shared.others.look(), None);
    let (more, spans) = (false, Vec::new());
    store.write(Box::new(DueJob { shared, kind, now, trace, began, look, more, spans, reply }));
    answer.await.unwrap_or_else(|_| Err(stopped()))
}

enum Kind {
    Due(Due, FlowDue),
    /// With what became of blobs in which namespace.
    Sweep(Vec<(Namespace, Closed)>),
    Renew,
    Leave,
}

struct DueJob {
    shared: Arc<Shared>,
    kind: Kind,
    /// The time of the first run, so that further ones ask for the same.
    now: Option<Time>,
    /// The trace of what falls due now and begins something.
    trace: Option<TraceContext>,
    /// What was heard of other nodes before it ran.
    began: u64,
    look: Option<Look>,
    more: bool,
    spans: Vec<Span>,
    reply: oneshot::Sender<Result<bool>>,
}

impl Job for DueJob {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        let now = *self.now.get_or_insert_with(|| self.shared.clock.now());
        match &mut self.kind {
            Kind::Due(due, flow) => {
                *due = queue::run_due(tx, now, ROUND)?;
                *flow = flow::instance::run_due(tx, now, ROUND, self.trace)?;
                self.spans.clear();
                for (namespace, closed) in due.closed.iter().chain(&flow.closed) {
                    let began = (self.trace, now);
                    let spans = self.shared.spans(tx, namespace, &closed.events, began)?;
                    self.spans.extend(spans);
                }
            }
            Kind::Sweep(closed) => {
                let swept = queue::sweep(tx, now, SWEEP)?;
                let (collected, more) = blob::collect(tx, now)?;
                (*closed, self.more) = (collected, swept || more);
            }
            Kind::Renew => return node::renew(tx, &self.shared, now),
            Kind::Leave => return node::leave(tx, &self.shared, now),
        }
        self.look = Some(self.shared.look(tx)?);
        Ok(())
    }

    fn done(mut self: Box<Self>, outcome: Result<()>) {
        if outcome.is_ok() {
            self.shared.record(std::mem::take(&mut self.spans));
            // Whoever sees that nothing is due any more must see what was done, too.
            if let Kind::Due(due, flow) = &self.kind {
                after_due(&self.shared, due);
                after_flow_due(&self.shared, flow);
                // What other nodes wrote and was due is done, or this look tells of it.
                self.shared.others.note(self.began, i64::MAX);
            }
            if let Kind::Sweep(closed) = &self.kind {
                for (namespace, closed) in closed {
                    self.shared.tell(namespace, closed.revision, &closed.events);
                }
            }
            self.look.into_iter().for_each(|look| self.shared.note(look));
        }
        // A caller that has gone needs no answer.
        let _gone = self.reply.send(outcome.map(|()| self.more));
    }
}
