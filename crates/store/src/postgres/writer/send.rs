//! From jobs to what is sent: they run on what is known, and what they miss is fetched.

use std::collections::VecDeque;
use std::pin::pin;

use futures_util::future::{Either, select, try_join};
use model::{Error, Result};

use super::{CHANGES_MAX, JOBS_MAX, Writer};
use crate::Job;
use crate::layout::Layout;
use crate::postgres::failure::{Failure, Outcome};
use crate::postgres::fetch::fetch;
use crate::postgres::flight::Flight;
use crate::postgres::flush::{check, commit, happened};
use crate::postgres::group::{Group, answer_all};
use crate::postgres::known::Known;
use crate::postgres::link::{DatabaseTime, Link};
use crate::postgres::missing::Missing;
use crate::postgres::part::Bytes;
use crate::postgres::shipment::pack;
use crate::postgres::tx::attempt;

/// How often a group fetches what is missing; each time its jobs come further.
const ROUNDS_MAX: u32 = 10_000;

impl Writer {
    /// Runs jobs until they are on their way, or are answered.
    pub(super) async fn try_group(
        &mut self,
        group: &mut Group,
        jobs: &mut VecDeque<Box<dyn Job>>,
    ) -> Outcome<()> {
        if self.link.as_ref().is_none_or(|link| link.is_closed()) {
            self.land(group).await?;
            self.connect().await?;
        }
        if self.known.is_full() {
            // Nothing may be read again from before a change that has not arrived.
            self.land(group).await?;
            self.known.clear();
        }
        for _ in 0..ROUNDS_MAX {
            let missing = self.run_waiting(group, jobs)?;
            if !group.waiting.is_empty() {
                if !self.known.guards(&missing)? {
                    return self.locked(group, jobs, missing).await;
                }
                self.fetch_beside(group, missing).await?;
            } else if !self.is_joined(group).await? {
                if !self.known.take_back_guesses(false)? {
                    return self.launch(group).await;
                }
                group.again();
            }
        }
        Err(endless())
    }

    /// Runs all jobs that still wait, and gives what those that cannot go on are missing.
    fn run_waiting(
        &mut self,
        group: &mut Group,
        jobs: &mut VecDeque<Box<dyn Job>>,
    ) -> Result<Missing> {
        let mut missing = Missing::default();
        let mut later = VecDeque::new();
        while let Some(mut job) = group.waiting.pop_front() {
            let before = self.known.changes();
            if before >= CHANGES_MAX {
                // The group is full: what has not run yet is for the next.
                group.waiting.push_front(job);
                group.waiting.append(jobs);
                *jobs = std::mem::take(&mut group.waiting);
                break;
            }
            let (outcome, is_short) = attempt(&mut *job, &mut self.known, &mut missing, true);
            if is_short || outcome.is_err() {
                self.known.undo_to(before)?;
            }
            if is_short {
                later.push_back(job);
            } else {
                group.ran.push((job, outcome));
            }
        }
        group.waiting = later;
        Ok(missing)
    }

    /// Fetches what is missing of namespaces that are assumed to be as they were: if they are, it
    /// does not matter when it is read. What the group before has changed is known already.
    async fn fetch_beside(&mut self, group: &mut Group, missing: Missing) -> Outcome<()> {
        // Of some tables nothing is kept, not even the changes of the group before.
        if missing.wants_any(Known::is_never_kept) {
            self.land(group).await?;
        }
        if self.flight.is_some() && self.scout.as_ref().is_none_or(Link::is_closed) {
            self.scout = Some(Link::connect(&self.address, "scout").await?);
        }
        let (Some(scout), Some(flight)) = (&self.scout, &mut self.flight) else {
            let Some(link) = &self.link else { return Ok(()) };
            return fetch(link, &mut self.known, missing, true).await;
        };
        let fetched = fetch(scout, &mut self.known, missing, true);
        let (fetched, landed) = match select(pin!(fetched), pin!(flight.land())).await {
            Either::Left((fetched, _)) => (fetched, None),
            Either::Right((mut landed, fetching)) => {
                if landed.written.outcome.is_ok() {
                    answer_all(std::mem::take(&mut landed.ran));
                }
                (fetching.await, Some(landed))
            }
        };
        if let Some(landed) = landed {
            self.flight = None;
            self.landed(landed, group).await?;
        }
        fetched
    }

    /// Waits until the group before has arrived; tells whether others have come to join this one.
    async fn is_joined(&mut self, group: &mut Group) -> Outcome<bool> {
        let room = JOBS_MAX.saturating_sub(group.len());
        if room == 0 || self.known.changes() >= CHANGES_MAX {
            self.land(group).await?;
        }
        if self.flight.is_none() {
            return Ok(false);
        }
        if let Some(landed) = self.arrival((self.crowd / 4).max(1)).await {
            self.landed(landed, group).await?;
            return Ok(false);
        }
        group.waiting = self.inbox.more(room);
        Ok(true)
    }

    /// Sends what the group has changed.
    async fn launch(&mut self, group: &mut Group) -> Outcome<()> {
        let differences = self.known.differences()?;
        let assumed = self.known.assumed();
        let Some(link) = &self.link else { return Ok(()) };
        if differences.is_empty() {
            if !assumed.is_empty() {
                let checked = check(link, self.known.layouts, &assumed, false).await;
                self.note_stale(&checked, assumed);
                checked?;
            }
            self.known.commit()?;
            group.answer();
            return Ok(());
        }
        self.known.commit()?;
        let (layouts, ran) = (self.known.layouts, std::mem::take(&mut group.ran));
        let sent = (differences, assumed);
        self.flight = Some(Flight::launch(link, layouts, &self.time, sent, ran).await);
        Ok(())
    }

    /// Runs a group in a transaction that locks what it needs before it reads.
    async fn locked(
        &mut self,
        group: &mut Group,
        jobs: &mut VecDeque<Box<dyn Job>>,
        mut missing: Missing,
    ) -> Outcome<()> {
        self.land(group).await?;
        if self.known.take_back_guesses(true)? {
            group.again();
            missing = Missing::default();
        }
        let assumed = self.known.assumed();
        let Some(link) = self.link.clone() else { return Ok(()) };
        let opened = open(&link, self.known.layouts, &self.time, &assumed);
        let opened = try_join(opened, fetch(&link, &mut self.known, missing, true)).await;
        let opened = opened.map(drop);
        self.note_stale(&opened, assumed);
        opened?;
        // Whoever came while this waited for locks comes along.
        let room = JOBS_MAX.saturating_sub(group.len());
        group.waiting.append(&mut self.inbox.more(room));
        for _ in 0..ROUNDS_MAX {
            missing = self.run_waiting(group, jobs)?;
            if group.waiting.is_empty() {
                self.commit(&link).await?;
                group.answer();
                return Ok(());
            }
            fetch(&link, &mut self.known, missing, true).await?;
        }
        Err(endless())
    }

    /// Writes what was changed, and commits.
    async fn commit(&mut self, link: &Link) -> Outcome<()> {
        let (differences, layouts) = (self.known.differences()?, self.known.layouts);
        let parcels = pack(&self.known, &differences)?;
        match commit(link, layouts, &differences, &parcels).await {
            // The connection was lost with the commit under way: it may have happened.
            Err(Failure::Lost(error)) if !differences.is_empty() => {
                self.link = None;
                if happened(&self.address, layouts, &differences).await? {
                    self.known.clear();
                    return Ok(());
                }
                return Err(Failure::Lost(error));
            }
            outcome => outcome?,
        }
        self.known.commit()?;
        if !differences.is_empty() {
            self.hints.send();
        }
        Ok(())
    }
}

fn endless() -> Failure {
    Failure::Error(Error::Internal("a job asks for ever more rows".to_owned()))
}

/// Begins a transaction, which fails if what is assumed is not so.
async fn open(
    link: &Link,
    layouts: &[Layout],
    time: &DatabaseTime,
    assumed: &[(Bytes, i64)],
) -> Outcome<()> {
    let begun = link.begin("BEGIN", time);
    if assumed.is_empty() {
        return begun.await;
    }
    try_join(begun, check(link, layouts, assumed, true)).await.map(drop)
}
