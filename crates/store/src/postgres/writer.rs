//! The thread that writes: it runs what was queued in groups, one transaction each.
//!
//! While one group is on its way to the disk, the next one runs on what that has changed; it is
//! sent once the other has arrived, and runs again if that came to nothing.

mod send;

use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::runtime::Runtime;

use super::LAYOUTS;
use super::address::Address;
use super::failure::{Failure, Outcome};
use super::flight::{Flight, Landed, Written};
use super::flush::{happened, texts};
use super::group::{Group, answer_all};
use super::hints::Hints;
use super::known::Known;
use super::link::{DatabaseTime, Link};
use super::part::Bytes;
use crate::Job;
use crate::inbox::Inbox;

/// The longest time to wait for more jobs when there could be some.
const GATHER_MAX: Duration = Duration::from_millis(2);
/// Jobs in one group.
const JOBS_MAX: usize = 512;
/// Changed rows after which a group takes no further job, so that nobody waits for long.
const CHANGES_MAX: usize = 4_096;
/// How often a group is run when other nodes are in the way or the connection is lost.
const TRIES_MAX: u32 = 8;
/// Tries after which the jobs of a group go one by one.
const TRIES_TOGETHER_MAX: u32 = 3;
/// The pause before the second try; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(5);

/// What the writing thread owns.
pub(crate) struct Writer {
    address: Arc<Address>,
    link: Option<Rc<Link>>,
    /// Fetches what is missing while the other connection is busy.
    scout: Option<Link>,
    known: Known,
    inbox: Arc<Inbox>,
    time: Arc<DatabaseTime>,
    hints: Arc<Hints>,
    /// The group before, as long as it is on its way.
    flight: Option<Flight>,
    /// The namespaces in which others have written, so that the present group has to run again.
    stale: Vec<Bytes>,
    /// How many callers there seem to be.
    crowd: usize,
    /// How long the last group was on its way.
    patience: Duration,
}

impl Writer {
    pub(crate) fn new(
        address: Arc<Address>,
        inbox: Arc<Inbox>,
        time: Arc<DatabaseTime>,
        hints: Arc<Hints>,
    ) -> Self {
        Self {
            address,
            link: None,
            scout: None,
            known: Known::new(&LAYOUTS),
            inbox,
            time,
            hints,
            flight: None,
            stale: Vec::new(),
            crowd: 1,
            patience: GATHER_MAX,
        }
    }

    /// Runs until the inbox is closed and empty.
    pub(crate) fn run(mut self, runtime: &Runtime) {
        runtime.block_on(self.serve());
    }

    async fn serve(&mut self) {
        loop {
            let mut jobs = self.gather().await;
            if jobs.is_empty() {
                break;
            }
            let callers = jobs.len() + self.in_flight();
            self.crowd = callers.max(self.crowd - self.crowd.div_ceil(8));
            while !jobs.is_empty() {
                let group = Group::of(&mut jobs);
                self.group(group, &mut jobs, Ok(())).await;
            }
        }
    }

    /// Waits for jobs, and answers those whose group arrives meanwhile; none are left when the
    /// inbox is closed and empty.
    async fn gather(&mut self) -> VecDeque<Box<dyn Job>> {
        // A commit costs nearly the same for few as for many, so most of those who came lately get
        // some time to come again, but never longer than the commit would take.
        let expected = self.crowd - self.crowd / 4;
        while self.flight.is_some() {
            let wanted = expected.saturating_sub(self.in_flight()).max(1);
            let Some(landed) = self.arrival(wanted).await else {
                return self.inbox.more(JOBS_MAX);
            };
            let mut group = Group::default();
            let landed = self.landed(landed, &mut group).await;
            if landed.is_err() {
                let mut jobs = VecDeque::new();
                self.group(group, &mut jobs, landed).await;
                if !jobs.is_empty() {
                    return jobs;
                }
            }
        }
        self.inbox.gather(JOBS_MAX, expected, self.patience)
    }

    /// Waits until so many jobs have come, or else gives what became of the group before.
    async fn arrival(&mut self, wanted: usize) -> Option<Landed> {
        let mut flight = self.flight.take()?;
        let arrival = pin!(self.inbox.arrival(wanted));
        let landed = match select(arrival, pin!(flight.land())).await {
            // It comes at once if the inbox is closed, with or without jobs.
            Either::Left(((), landing)) if self.inbox.is_empty() => Some(landing.await),
            Either::Left(_) => None,
            Either::Right((landed, _)) => Some(landed),
        };
        if landed.is_none() {
            self.flight = Some(flight);
        }
        landed
    }

    fn in_flight(&self) -> usize {
        self.flight.as_ref().map_or(0, Flight::len)
    }

    /// Runs jobs in one transaction until it is on its way; after a failure, until it has arrived.
    /// Jobs that do not fit are put to the others.
    async fn group(
        &mut self,
        mut group: Group,
        jobs: &mut VecDeque<Box<dyn Job>>,
        before: Outcome<()>,
    ) {
        let mut outcome = match before {
            Ok(()) => self.try_group(&mut group, jobs).await,
            failed => failed,
        };
        let mut pause = PAUSE;
        for tries in 1.. {
            let Err(failure) = outcome else { return };
            // If that comes to nothing as well, its jobs run again with these.
            let _same = self.land(&mut group).await;
            self.roll_back(&failure).await;
            let is_stale = matches!(failure, Failure::Stale);
            if matches!(failure, Failure::Error(_)) || (tries >= TRIES_MAX && !is_stale) {
                return group.fail(&failure.into_error());
            }
            group.again();
            if !is_stale {
                if tries >= TRIES_TOGETHER_MAX {
                    while group.waiting.len() > 1 {
                        jobs.extend(group.waiting.pop_back());
                        jobs.rotate_right(1);
                    }
                }
                // Whoever was in the way is through by then.
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            if self.link.is_none()
                && let Err(failure) = self.connect().await
            {
                return group.fail(&failure.into_error());
            }
            outcome = match self.try_group(&mut group, jobs).await {
                Ok(()) => self.land(&mut group).await,
                failed => failed,
            };
        }
    }

    async fn connect(&mut self) -> Outcome<()> {
        self.known.clear();
        self.scout = None;
        let link = Link::connect(&self.address, "writer").await?;
        link.prepare(texts(self.known.layouts)).await?;
        self.link = Some(Rc::new(link));
        Ok(())
    }

    /// Waits until the group before has arrived, if there is one on its way.
    async fn land(&mut self, group: &mut Group) -> Outcome<()> {
        let Some(mut flight) = self.flight.take() else { return Ok(()) };
        let landed = flight.land().await;
        self.landed(landed, group).await
    }

    /// Answers a group that has arrived. If it came to nothing, its jobs are put before those of
    /// the present group, which has to run again as well: it ran on what did not happen.
    async fn landed(&mut self, landed: Landed, group: &mut Group) -> Outcome<()> {
        let Landed { ran, took, written } = landed;
        let Written { outcome, differences, assumed } = written;
        self.patience = took.min(GATHER_MAX);
        self.note_stale(&outcome, assumed);
        let failure = match outcome {
            Ok(()) => {
                answer_all(ran);
                self.hints.send();
                return Ok(());
            }
            Err(failure) => failure,
        };
        let before = Group { ran, ..Group::default() };
        match failure {
            Failure::Lost(error) => {
                // The connection was lost with the commit under way: it may have happened.
                self.link = None;
                match happened(&self.address, self.known.layouts, &differences).await {
                    Ok(true) => answer_all(before.ran),
                    Ok(false) => group.again_after(before.ran),
                    Err(failure) => before.fail(&failure.into_error()),
                }
                Err(Failure::Lost(error))
            }
            Failure::Error(error) => {
                before.fail(&error);
                Err(Failure::Conflict(error))
            }
            failure => {
                // What was guessed not to be there may have been in the way.
                if matches!(failure, Failure::Conflict(_)) {
                    self.known.guesses.be_careful();
                }
                group.again_after(before.ran);
                Err(failure)
            }
        }
    }

    fn note_stale(&mut self, outcome: &Outcome<()>, assumed: Vec<(Bytes, i64)>) {
        if matches!(outcome, Err(Failure::Stale)) {
            self.stale.extend(assumed.into_iter().map(|(key, _)| key));
        }
    }

    /// Forgets everything, since what is known may not be so.
    async fn roll_back(&mut self, failure: &Failure) {
        self.known.clear_but_contested(self.stale.drain(..));
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
