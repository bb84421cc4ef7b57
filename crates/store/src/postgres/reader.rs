//! Threads that read: each with its own connection, and one snapshot for jobs that come together.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::try_join;
use model::Error;
use tokio::runtime::Runtime;

use super::address::Address;
use super::failure::{Failure, Outcome};
use super::fetch::fetch;
use super::glance::glance;
use super::known::Known;
use super::link::{DatabaseTime, Link, TIME};
use super::missing::Missing;
use super::texts::Text;
use super::tx::attempt;
use crate::Job;
use crate::inbox::Inbox;
use crate::side::answer;

/// Jobs that share a snapshot.
const JOBS_MAX: usize = 64;
/// How often jobs fetch what is missing; each time they come further.
const ROUNDS_MAX: u32 = 100_000;
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What a reading thread owns.
pub(crate) struct Reader {
    pub(crate) address: Arc<Address>,
    pub(crate) link: Option<Link>,
    pub(crate) known: Known,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) time: Arc<DatabaseTime>,
}

impl Reader {
    /// Runs until the inbox is closed and empty.
    pub(crate) fn run(mut self, runtime: &Runtime) {
        loop {
            let jobs = self.inbox.take(JOBS_MAX);
            if jobs.is_empty() {
                break;
            }
            runtime.block_on(self.group(jobs));
        }
    }

    /// Runs jobs on one snapshot; each is answered as soon as it has all that it asked for.
    async fn group(&mut self, mut jobs: VecDeque<Box<dyn Job>>) {
        // A connection that was closed while nobody used it is only noticed now.
        for is_last in [false, true] {
            let outcome = self.try_group(&mut jobs).await;
            self.known.clear();
            match outcome {
                Ok(()) => break,
                Err(failure) => {
                    self.link = None;
                    if is_last || matches!(failure, Failure::Error(_)) {
                        let error = failure.into_error();
                        jobs.drain(..).for_each(|job| answer(job, Err(error.clone())));
                    }
                }
            }
        }
    }

    async fn try_group(&mut self, jobs: &mut VecDeque<Box<dyn Job>>) -> Outcome<()> {
        let Self { address, link, known, time, .. } = self;
        let link = match link {
            Some(link) if !link.is_closed() => link,
            place => {
                let new = Link::connect(address, "reader").await?;
                new.prepare([BEGIN, "COMMIT", TIME].map(Text::from)).await?;
                place.insert(new)
            }
        };
        glances(link, known, time, jobs).await?;
        let mut is_open = false;
        for _ in 0..ROUNDS_MAX {
            let mut missing = Missing::default();
            for _ in 0..jobs.len() {
                let Some(mut job) = jobs.pop_front() else { break };
                match attempt(&mut *job, known, &mut missing, false) {
                    (_, true) => jobs.push_back(job),
                    (outcome, false) => answer(job, outcome),
                }
            }
            if jobs.is_empty() {
                return if is_open { link.execute("COMMIT", &[]).await.map(drop) } else { Ok(()) };
            }
            let fetched = fetch(link, known, missing, false);
            if is_open {
                fetched.await?;
            } else {
                try_join(link.begin(BEGIN, time), fetched).await?;
                is_open = true;
            }
        }
        Err(Failure::Error(Error::Internal("a job asks for ever more rows".to_owned())))
    }
}

/// Runs the jobs that look at so little that one statement brings it.
async fn glances(
    link: &Link,
    known: &mut Known,
    time: &DatabaseTime,
    jobs: &mut VecDeque<Box<dyn Job>>,
) -> Outcome<()> {
    for _ in 0..jobs.len() {
        let Some(mut job) = jobs.pop_front() else { break };
        let Some(wanted) = job.glance() else {
            jobs.push_back(job);
            continue;
        };
        if let Err(failure) = glance(link, known, &wanted, time).await {
            jobs.push_back(job);
            return Err(failure);
        }
        let (outcome, is_short) = attempt(&mut *job, known, &mut Missing::default(), false);
        let more = || Error::Internal("a job looks at more than it has said".to_owned());
        answer(job, if is_short { Err(more()) } else { outcome });
        known.clear();
    }
    Ok(())
}
