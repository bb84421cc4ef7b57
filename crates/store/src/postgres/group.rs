//! The jobs of one transaction.

use std::collections::VecDeque;

use model::{Error, Result};

use crate::Job;
use crate::side::answer;

/// Jobs with their outcomes, which only hold once the changes are on disk.
pub(crate) type Ran = Vec<(Box<dyn Job>, Result<()>)>;

/// The jobs of one transaction.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) waiting: VecDeque<Box<dyn Job>>,
    pub(crate) ran: Ran,
}

impl Group {
    pub(crate) fn of(jobs: &mut VecDeque<Box<dyn Job>>) -> Self {
        Self { waiting: std::mem::take(jobs), ran: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ran.len() + self.waiting.len()
    }

    /// Lets all jobs run again.
    pub(crate) fn again(&mut self) {
        let ran = std::mem::take(&mut self.ran).into_iter().map(|(job, _)| job);
        self.waiting = ran.chain(std::mem::take(&mut self.waiting)).collect();
    }

    /// Lets all jobs run again, and before them some that came earlier.
    pub(crate) fn again_after(&mut self, earlier: Ran) {
        self.ran.splice(0..0, earlier);
        self.again();
    }

    /// Answers the jobs that ran.
    pub(crate) fn answer(&mut self) {
        answer_all(std::mem::take(&mut self.ran));
    }

    pub(crate) fn fail(mut self, error: &Error) {
        self.again();
        self.waiting.into_iter().for_each(|job| answer(job, Err(error.clone())));
    }
}

/// Answers jobs whose changes are on disk.
pub(crate) fn answer_all(ran: Ran) {
    ran.into_iter().for_each(|(job, outcome)| answer(job, outcome));
}
