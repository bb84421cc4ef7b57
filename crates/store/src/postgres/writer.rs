//! The thread that writes: it runs what was queued in groups, one transaction each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join, try_join};
use model::{Error, Result};
use tokio::runtime::Runtime;

use super::address::Address;
use super::failure::{Failure, Outcome};
use super::fetch::fetch;
use super::flush::{check, flush, happened, texts};
use super::hints::Hints;
use super::known::Known;
use super::link::{DatabaseTime, Link};
use super::missing::Missing;
use super::part::Bytes;
use super::shipment::pack;
use super::tx::attempt;
use crate::Job;
use crate::inbox::Inbox;
use crate::layout::Layout;
use crate::side::answer;

/// The longest time to wait for more jobs when there could be some.
const GATHER_MAX: Duration = Duration::from_millis(2);
/// Jobs in one group.
const JOBS_MAX: usize = 512;
/// Changed rows after which a group takes no further job, so that nobody waits for long.
const CHANGES_MAX: usize = 4_096;
/// How often a group fetches what is missing; each time its jobs come further.
const ROUNDS_MAX: u32 = 10_000;
/// How often a group is run when other nodes are in the way or the connection is lost.
const TRIES_MAX: u32 = 8;
/// Tries after which the jobs of a group go one by one.
const TRIES_TOGETHER_MAX: u32 = 3;
/// The pause before the second try; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(5);

/// What the writing thread owns.
pub(crate) struct Writer {
    pub(crate) address: Arc<Address>,
    pub(crate) link: Option<Link>,
    pub(crate) known: Known,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) time: Arc<DatabaseTime>,
    pub(crate) hints: Arc<Hints>,
    /// The namespaces that the present group has assumed to be at these revisions.
    pub(crate) assumed: Vec<(Bytes, i64)>,
}

/// The jobs of one transaction.
struct Group {
    waiting: VecDeque<Box<dyn Job>>,
    ran: Vec<(Box<dyn Job>, Result<()>)>,
}

impl Group {
    /// Lets all jobs run again.
    fn again(&mut self) {
        let ran = std::mem::take(&mut self.ran).into_iter().map(|(job, _)| job);
        self.waiting = ran.chain(std::mem::take(&mut self.waiting)).collect();
    }

    fn fail(self, error: &Error) {
        let ran = self.ran.into_iter().map(|(job, _)| job);
        ran.chain(self.waiting).for_each(|job| answer(job, Err(error.clone())));
    }
}

impl Writer {
    /// Runs until the inbox is closed and empty.
    pub(crate) fn run(mut self, runtime: &Runtime) {
        let (mut crowd, mut patience) = (1, GATHER_MAX);
        loop {
            // A commit costs nearly the same for few as for many, so most of those who came lately
            // get some time to come again, but never longer than the commit would take.
            let mut jobs = self.inbox.gather(JOBS_MAX, crowd - crowd / 4, patience);
            if jobs.is_empty() {
                break;
            }
            crowd = jobs.len().max(crowd - crowd.div_ceil(8));
            let start = Instant::now();
            while !jobs.is_empty() {
                runtime.block_on(self.group(&mut jobs));
            }
            patience = start.elapsed().min(GATHER_MAX);
        }
    }

    /// Runs jobs from the front in one transaction, and answers them.
    async fn group(&mut self, jobs: &mut VecDeque<Box<dyn Job>>) {
        let mut group = Group { waiting: std::mem::take(jobs), ran: Vec::new() };
        let mut pause = PAUSE;
        for tries in 1.. {
            let failure = match self.try_group(&mut group, jobs).await {
                Ok(()) => break,
                Err(failure) => failure,
            };
            if matches!(failure, Failure::Stale) && self.undo_stale().await.is_ok() {
                group.again();
                continue;
            }
            self.roll_back(&failure).await;
            if matches!(failure, Failure::Error(_)) || tries >= TRIES_MAX {
                return group.fail(&failure.into_error());
            }
            group.again();
            if tries >= TRIES_TOGETHER_MAX {
                while group.waiting.len() > 1 {
                    jobs.extend(group.waiting.pop_back());
                    jobs.rotate_right(1);
                }
            }
            // Whoever was in the way is through by then.
            tokio::time::sleep(pause).await;
            pause *= 2;
            if self.link.is_none()
                && let Err(failure) = self.connect().await
            {
                return group.fail(&failure.into_error());
            }
        }
        group.ran.into_iter().for_each(|(job, outcome)| answer(job, outcome));
    }

    async fn connect(&mut self) -> Outcome<()> {
        self.known.clear();
        let link = Link::connect(&self.address, "writer").await?;
        link.prepare(texts(self.known.layouts)).await?;
        self.link = Some(link);
        Ok(())
    }

    async fn try_group(
        &mut self,
        group: &mut Group,
        jobs: &mut VecDeque<Box<dyn Job>>,
    ) -> Outcome<()> {
        if self.link.as_ref().is_none_or(Link::is_closed) {
            self.connect().await?;
        }
        let mut is_open = false;
        for _ in 0..ROUNDS_MAX {
            let missing = self.run_waiting(group, jobs)?;
            if group.waiting.is_empty() {
                return self.commit(is_open).await;
            }
            if is_open {
                let Some(link) = &self.link else { continue };
                fetch(link, &mut self.known, missing, true).await?;
                continue;
            }
            self.assumed = self.known.assumed();
            let Some(link) = &self.link else { continue };
            let open = open(link, self.known.layouts, &self.time, &self.assumed);
            try_join(open, fetch(link, &mut self.known, missing, true)).await?;
            is_open = true;
            // Whoever came while this waited for locks comes along.
            let room = JOBS_MAX.saturating_sub(group.ran.len() + group.waiting.len());
            group.waiting.append(&mut self.inbox.more(room));
        }
        Err(Failure::Error(Error::Internal("a job asks for ever more rows".to_owned())))
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

    /// Writes what was changed, and commits.
    async fn commit(&mut self, is_open: bool) -> Outcome<()> {
        let differences = self.known.differences()?;
        if !is_open {
            self.assumed = self.known.assumed();
        }
        let Some(link) = &self.link else { return Ok(()) };
        let layouts = self.known.layouts;
        if is_open || !differences.is_empty() {
            let parcels = pack(&self.known, &differences)?;
            let flush = flush(link, layouts, &differences, &parcels);
            let outcome = if is_open {
                flush.await
            } else {
                // All of it is one round trip, and comes to nothing if the beginning does.
                let open = open(link, layouts, &self.time, &self.assumed);
                let (opened, flushed) = join(open, flush).await;
                opened.and(flushed)
            };
            match outcome {
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
        } else if !self.assumed.is_empty() {
            check(link, layouts, &self.assumed, false).await?;
        }
        self.known.commit()?;
        if !differences.is_empty() {
            self.hints.send();
        }
        Ok(())
    }

    /// Undoes a group because another node has written where that was not assumed.
    async fn undo_stale(&mut self) -> Outcome<()> {
        let stale: Vec<_> = self.assumed.drain(..).map(|(key, _)| key).collect();
        self.known.forget_assumed(&stale)?;
        let Some(link) = &self.link else { return Ok(()) };
        link.run("ROLLBACK").await
    }

    async fn roll_back(&mut self, failure: &Failure) {
        self.known.clear();
        let is_lost = match &self.link {
            Some(link) if !matches!(failure, Failure::Lost(_)) => {
                link.run("ROLLBACK").await.is_err()
            }
            _ => true,
        };
        if is_lost {
            self.link = None;
        }
    }
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
