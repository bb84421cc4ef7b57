//! What falls due in time: renewals, cancellations, heartbeats, the steps of a shutdown.

use std::time::Duration;

use model::{AttemptChange, Change, Id, Result, limits};
use tokio::time::Instant;

use super::{Done, Run};
use crate::worker::{
    Cancelled, calls,
    running::{Due, Running},
    tally::change_to,
    task::traceback,
};

/// How long one renewal may take.
const RENEWAL_MAX: Duration = Duration::from_secs(10);

impl Run {
    /// Does what is due by now.
    pub(super) fn fall_due(&mut self) {
        let now = Instant::now();
        let grace_end = self.stop.as_mut().and_then(|s| s.grace_end.take_if(|at| *at <= now));
        for task in self.running.values_mut() {
            if grace_end.is_some() {
                task.cancel(Cancelled::Shutdown);
            }
            match task.next() {
                Some((at, Due::Cancel(reason))) if at <= now => task.cancel(reason),
                Some((at, Due::Drop(reason))) if at <= now => {
                    self.outbox.extend(last_change(task, reason));
                    task.abort();
                }
                _ => {}
            }
        }
        if self.renew_due().is_some_and(|at| at <= now) {
            self.renew(now);
        }
        if self.beat_at <= now && !self.beating {
            (self.beating, self.beat_at) = (true, now + self.options.heartbeat);
            let beat = self.beat();
            self.calls.spawn(async move { Done::Beat(beat.await) });
        }
    }

    /// Says when something falls due; what waits for a call falls due when the call comes back.
    pub(super) fn next_due(&self) -> Instant {
        let tasks = self.running.values().filter_map(|task| Some(task.next()?.0)).min();
        let beat = (!self.beating).then_some(self.beat_at);
        let claim = self.wants_work();
        let stop = self.stop.as_ref().map(|stop| stop.grace_end.unwrap_or(stop.end));
        let all = [tasks, self.renew_due(), beat, claim, stop];
        let soonest = all.into_iter().flatten().min();
        soonest.unwrap_or_else(|| Instant::now() + self.options.heartbeat)
    }

    fn renew_due(&self) -> Option<Instant> {
        if self.renewing {
            return None;
        }
        let held = self.running.values().filter(|task| task.holds_lease());
        held.map(|task| task.lease.renew_at()).min().map(|at| at.max(self.renew_at))
    }

    /// Renews the leases that are due, and those that soon will be.
    fn renew(&mut self, now: Instant) {
        let lifetime = self.options.lifetime;
        let soon = now + lifetime / 10;
        let held = self.running.values().filter(|task| task.holds_lease());
        let due: Vec<_> = held.filter(|task| task.lease.renew_at() <= soon).collect();
        let ids = due.iter().map(|task| task.attempt.id).take(limits::BATCH_MAX).collect();
        let change = |task: &&Running| change_to(task, Change::Renew(lifetime), None);
        let changes = due.iter().map(change).take(limits::BATCH_MAX).collect();
        let renewal = calls::renew(self.lockstep.clone(), changes, (lifetime / 6).min(RENEWAL_MAX));
        self.renewing = true;
        self.calls.spawn(async move {
            let sent = Instant::now();
            Done::Renewed { sent, ids, outcome: renewal.await }
        });
    }

    pub(super) fn renewed(&mut self, sent: Instant, ids: &[Id], outcome: Result<Vec<Result<()>>>) {
        self.renewing = false;
        let results = match outcome {
            Ok(results) => results,
            Err(error) => {
                tracing::warn!(%error, "leases were not renewed; trying again");
                self.renew_at = Instant::now() + self.renew_backoff.delay();
                return;
            }
        };
        self.renew_backoff = calls::BACKOFF;
        for (id, result) in ids.iter().zip(results) {
            let Some(task) = self.running.get_mut(id) else { continue };
            match result {
                Ok(()) => task.lease.renewed(sent),
                Err(error) if task.holds_lease() => {
                    let (spec, unit) = (&task.attempt.spec, &task.attempt.unit);
                    tracing::warn!(%spec, %unit, %error, "a lease was lost");
                    self.tally.lost += 1;
                    task.cancel(Cancelled::LeaseLost);
                }
                Err(_) => {}
            }
        }
    }
}

/// Decides the fate of a unit whose task did not end when it was asked to.
fn last_change(task: &Running, reason: Cancelled) -> Option<AttemptChange> {
    match reason {
        Cancelled::LeaseLost => None,
        Cancelled::Shutdown => Some(change_to(task, Change::Expire, None)),
        Cancelled::LeaseEnding | Cancelled::TimedOut => {
            Some(change_to(task, Change::Fail, Some(traceback("timed out"))))
        }
    }
}
