//! Attempts.

use std::time::Duration;

use model::{
    Answer, Attempt, AttemptChange, AttemptRef, AttemptsOf, Change, ChangeAttempts, Claim, Data,
    MakeAttempt, Page, Query, QueueCommand, Reply, Result, UnitRef,
};
use serde_json::Value;

use super::{World, data, name, request, spec_name, units::unit_ref, worker_name};

impl World {
    /// Claims as asked.
    #[track_caller]
    pub fn claim(&self, claim: Claim) -> Vec<Attempt> {
        self.try_claim(claim).expect("the claim is answered")
    }

    /// Claims as asked, if the backend agrees.
    #[track_caller]
    pub fn try_claim(&self, claim: Claim) -> Result<Vec<Attempt>> {
        self.run(QueueCommand::Claim(claim)).map(started)
    }

    /// Claims one unit of any spec.
    #[track_caller]
    pub fn claim_one(&self) -> Attempt {
        self.claim_one_from(&[])
    }

    /// Claims one unit of some specs.
    #[track_caller]
    pub fn claim_one_from(&self, specs: &[&str]) -> Attempt {
        let attempts = self.claim_from(specs, 1);
        let [attempt] = <[Attempt; 1]>::try_from(attempts).expect("one unit is handed out");
        attempt
    }

    /// Claims up to `count` units of some specs.
    #[track_caller]
    pub fn claim_from(&self, specs: &[&str], count: u32) -> Vec<Attempt> {
        let specs = specs.iter().copied().map(spec_name).collect();
        self.claim(Claim { specs, count, ..request() })
    }

    /// Claims up to `count` units and gives their names.
    #[track_caller]
    pub fn claim_names(&self, count: u32) -> Vec<String> {
        let attempts = self.claim_from(&[], count);
        attempts.iter().map(|attempt| attempt.unit.to_string()).collect()
    }

    /// Claims, and sees that there is no work.
    #[track_caller]
    pub fn no_work(&self) {
        assert_eq!(self.claim(request()), [], "there should be no work");
    }

    /// Starts an attempt of the worker `worker` on a unit.
    #[track_caller]
    pub fn make(&self, spec: &str, unit: &str) -> Attempt {
        let attempt = self.try_make("worker", unit_ref(spec, unit), None);
        attempt.expect("the attempt is started")
    }

    /// Starts an attempt on a unit, if the backend agrees.
    #[track_caller]
    pub fn try_make(
        &self,
        worker: &str,
        unit: UnitRef,
        lifetime: Option<Duration>,
    ) -> Result<Attempt> {
        let command = MakeAttempt { worker: worker_name(worker), unit, lifetime };
        let mut attempts = started(self.run(QueueCommand::MakeAttempt(command))?);
        Ok(attempts.pop().expect("one attempt is started"))
    }

    /// Changes one attempt, without saying its token.
    #[track_caller]
    pub fn change(&self, attempt: &Attempt, change: Change, data: Option<Data>) -> Result<()> {
        self.change_one(AttemptChange { attempt: attempt.as_ref(), token: None, data, change })
    }

    /// Changes one attempt, with its token.
    #[track_caller]
    pub fn change_fenced(
        &self,
        attempt: &Attempt,
        change: Change,
        data: Option<Data>,
    ) -> Result<()> {
        let token = Some(attempt.id);
        self.change_one(AttemptChange { attempt: attempt.as_ref(), token, data, change })
    }

    /// Changes one attempt.
    #[track_caller]
    pub fn change_one(&self, change: AttemptChange) -> Result<()> {
        let mut outcomes = self.change_all(vec![change])?;
        outcomes.pop().expect("one outcome for one change")
    }

    /// Changes many attempts, each by itself.
    #[track_caller]
    pub fn change_all(&self, changes: Vec<AttemptChange>) -> Result<Vec<Result<()>>> {
        match self.run(QueueCommand::ChangeAttempts(ChangeAttempts { changes }))? {
            Reply::Changed(outcomes) => Ok(outcomes),
            other => panic!("changing attempts answers {other:?}"),
        }
    }

    /// Finishes an attempt.
    #[track_caller]
    pub fn finish(&self, attempt: &Attempt) -> Result<()> {
        self.change(attempt, Change::Finish, None)
    }

    /// Finishes an attempt with new data.
    #[track_caller]
    pub fn finish_with(&self, attempt: &Attempt, dict: &Value) -> Result<()> {
        self.change(attempt, Change::Finish, Some(data(dict)))
    }

    /// Fails an attempt.
    #[track_caller]
    pub fn fail(&self, attempt: &Attempt) -> Result<()> {
        self.change(attempt, Change::Fail, None)
    }

    /// Gives a unit back.
    #[track_caller]
    pub fn expire(&self, attempt: &Attempt) -> Result<()> {
        self.change(attempt, Change::Expire, None)
    }

    /// Ends an attempt so that its unit is tried again after a delay.
    #[track_caller]
    pub fn retry(&self, attempt: &Attempt, delay: Duration) -> Result<()> {
        self.change(attempt, Change::Retry(delay), None)
    }

    /// Extends a lease.
    #[track_caller]
    pub fn renew(&self, attempt: &Attempt, span: Duration) -> Result<()> {
        self.change(attempt, Change::Renew(span), None)
    }

    /// Gives an attempt as it is now.
    #[track_caller]
    pub fn attempt(&self, attempt: &Attempt) -> Attempt {
        self.try_attempt(attempt.as_ref()).expect("the attempt is there")
    }

    /// Gives an attempt, if it is there.
    #[track_caller]
    pub fn try_attempt(&self, attempt: AttemptRef) -> Result<Attempt> {
        match self.ask(Query::Attempt(self.namespace.clone(), attempt))? {
            Answer::Attempt(attempt) => Ok(attempt),
            other => panic!("asking for an attempt answers {other:?}"),
        }
    }

    /// Lists attempts.
    #[track_caller]
    pub fn attempts(&self, of: AttemptsOf) -> Vec<Attempt> {
        match self.ask(Query::Attempts(self.namespace.clone(), of, Page::default())) {
            Ok(Answer::Attempts(attempts)) => attempts,
            other => panic!("asking for attempts answers {other:?}"),
        }
    }

    /// Lists all attempts of a unit.
    #[track_caller]
    pub fn history(&self, spec: &str, unit: &str) -> Vec<Attempt> {
        let unit = UnitRef { spec: spec_name(spec), name: name(unit), id: None };
        self.attempts(AttemptsOf::Unit(unit))
    }

    /// Lists the pending attempts of a worker.
    #[track_caller]
    pub fn active_of(&self, worker: &str) -> Vec<Attempt> {
        self.attempts(AttemptsOf::WorkerActive(worker_name(worker)))
    }

    /// Lists all attempts that a worker ever made.
    #[track_caller]
    pub fn all_of(&self, worker: &str) -> Vec<Attempt> {
        self.attempts(AttemptsOf::WorkerAll(worker_name(worker)))
    }

    /// Lists the pending attempts of a worker's children.
    #[track_caller]
    pub fn children_of(&self, worker: &str) -> Vec<Attempt> {
        self.attempts(AttemptsOf::WorkerChildren(worker_name(worker)))
    }
}

#[track_caller]
fn started(reply: Reply) -> Vec<Attempt> {
    match reply {
        Reply::Attempts(attempts) => attempts,
        other => panic!("a request for work answers {other:?}"),
    }
}
