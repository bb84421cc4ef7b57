//! The loop that does what falls due, and sweeps up after what was destroyed.

use std::{sync::Arc, time::Duration};

use model::{Result, Time};
use queue::Due;
use store::{Job, Tx};
use tokio::sync::oneshot;

use crate::engine::{Look, Shared, after_due, stopped};

/// Rows of each kind that one round of due work takes.
const ROUND: u32 = 500;
/// Rows that one round of sweeping removes.
const SWEEP: u32 = 500;
/// Time between two looks for something to sweep.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Longest sleep, so that a clock that was set back or forward is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(5);
/// Pause after an error of the store.
const ERROR_PAUSE: Duration = Duration::from_millis(500);

/// Does what falls due, for ever.
pub(crate) async fn run(shared: &Arc<Shared>) {
    let mut next_sweep = shared.clock.now();
    loop {
        let outcome = turn(shared, &mut next_sweep).await;
        let now = shared.clock.now();
        let until = match outcome {
            Ok(()) => shared
                .next_due()
                .min(shared.waiters.next().unwrap_or(Time::MAX))
                .min(next_sweep)
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

async fn turn(shared: &Arc<Shared>, next_sweep: &mut Time) -> Result<()> {
    while shared.next_due() <= shared.clock.now() {
        once(shared).await?;
    }
    shared.waiters.wake_due(shared.clock.now(), &shared.bell);
    if *next_sweep <= shared.clock.now() {
        let more = submit(shared, Kind::Sweep).await?;
        let pause = if more { Duration::ZERO } else { SWEEP_EVERY };
        *next_sweep = shared.clock.now().plus(pause);
    }
    Ok(())
}

/// Does one round of due work.
pub(crate) async fn once(shared: &Arc<Shared>) -> Result<()> {
    submit(shared, Kind::Due(Due::default())).await.map(drop)
}

async fn submit(shared: &Arc<Shared>, kind: Kind) -> Result<bool> {
    let (reply, answer) = oneshot::channel();
    let shared = Arc::clone(shared);
    let store = Arc::clone(&shared.store);
    store.write(Box::new(DueJob { shared, kind, look: None, more: false, reply }));
    answer.await.unwrap_or_else(|_| Err(stopped()))
}

enum Kind {
    Due(Due),
    Sweep,
}

struct DueJob {
    shared: Arc<Shared>,
    kind: Kind,
    look: Option<Look>,
    more: bool,
    reply: oneshot::Sender<Result<bool>>,
}

impl Job for DueJob {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        let now = self.shared.clock.now();
        match &mut self.kind {
            Kind::Due(due) => *due = queue::run_due(tx, now, ROUND)?,
            Kind::Sweep => self.more = queue::sweep(tx, now, SWEEP)?,
        }
        self.look = Some(self.shared.look(tx)?);
        Ok(())
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        if outcome.is_ok() {
            self.look.into_iter().for_each(|look| self.shared.note(look));
            if let Kind::Due(due) = &self.kind {
                after_due(&self.shared, due);
            }
        }
        // A caller that has gone needs no answer.
        let _gone = self.reply.send(outcome.map(|()| self.more));
    }
}
