//! Workers: they claim with short leases and finish with tokens; some die, some are too late.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    http::Answer,
    ledger::{Entry, Notes},
    random::Random,
    stage::{Line, Post, SPEC, Stage},
};

const LIFETIME_MIN: Duration = Duration::from_millis(300);
const LIFETIME_MAX: Duration = Duration::from_millis(1_500);
const CLAIM_MAX: usize = 10;
/// How long a claim waits for work, which is also how long it takes a worker to see that all is
/// over.
const WAIT_MS: u64 = 100;

/// Of a hundred attempts, so many are finished in the call that claims the next ones.
const CHAINED: usize = 50;
/// So many are left alone, as if the worker had died.
const ABANDONED: usize = 2;
/// So many are finished only after the lease has ended.
const LATE: usize = 1;
/// So many are given back.
const RETRIED: usize = 3;
/// Of a hundred calls without an answer, so many are repeated with their key.
const REPEATED: usize = 60;

/// An attempt that a worker holds.
struct Held {
    unit: String,
    attempt: u64,
    ends: Instant,
}

/// A worker of the crash rig.
struct Worker<'a> {
    stage: &'a Stage,
    line: Line,
    name: String,
    random: Random,
    calls: u64,
    held: VecDeque<Held>,
}

/// Works until all is over.
pub fn work(stage: &Arc<Stage>, notes: Notes, number: usize, random: Random) {
    let line = Line::new(stage, notes);
    let name = format!("worker-{number}");
    let mut worker = Worker { stage, line, name, random, calls: 0, held: VecDeque::new() };
    while !stage.over.load(Ordering::Relaxed) {
        match worker.held.pop_front() {
            None => worker.claim(),
            Some(held) => worker.end(&held),
        }
    }
}

impl Worker<'_> {
    fn claim(&mut self) {
        let (request, lifetime) = self.request();
        let sent = Instant::now();
        let path = format!("/namespace/rig/worker/{}/request_attempts", self.name);
        if let Some(answer) = self.post(&path, &request, 200) {
            self.take(&answer.json(), sent + lifetime);
        }
    }

    /// Asks for some units, with a lease of some length.
    fn request(&mut self) -> (Value, Duration) {
        let lifetime = self.random.span(LIFETIME_MIN, LIFETIME_MAX);
        let request = json!({
            "work_specs": ["crash"],
            "number_of_work_units": 1 + self.random.below(CLAIM_MAX),
            "lifetime": lifetime.as_nanos() as u64,
            "wait_ms": WAIT_MS,
        });
        (request, lifetime)
    }

    /// Takes the attempts of an answer.
    fn take(&mut self, answer: &Value, ends: Instant) {
        let attempts = answer.get("attempts").and_then(Value::as_array);
        for one in attempts.into_iter().flatten() {
            let unit = one.get("work_unit_url").and_then(Value::as_str).unwrap_or_default();
            let unit = unit.rsplit('/').next().unwrap_or_default().to_owned();
            let attempt = one.get("id").and_then(Value::as_u64).unwrap_or_default();
            let worker = self.name.clone();
            self.line.note(Entry::Claimed { unit: unit.clone(), attempt, worker });
            self.held.push_back(Held { unit, attempt, ends });
        }
    }

    /// Ends an attempt in one of the ways in which workers do.
    fn end(&mut self, held: &Held) {
        let draw = self.random.below(100);
        if draw < ABANDONED {
            return;
        }
        if draw < ABANDONED + RETRIED {
            let body = json!({"token": held.attempt});
            let _any = self.post(&self.url(held, "retry"), &body, 204);
            return;
        }
        if draw < ABANDONED + RETRIED + LATE {
            thread::sleep(held.ends.saturating_duration_since(Instant::now()));
        }
        let Held { unit, attempt, .. } = held;
        self.line.note(Entry::FinishAsked { unit: unit.clone(), attempt: *attempt });
        if self.random.percent(CHAINED) {
            self.finish_and_claim(held);
        } else {
            self.finish(held);
        }
    }

    fn finish(&mut self, held: &Held) {
        let body = json!({"token": held.attempt, "data": data(held)});
        let Some(answer) = self.post(&self.url(held, "finish"), &body, 204) else { return };
        let code = if answer.status == 204 { None } else { Some(answer.code()) };
        self.finished(held, code);
    }

    fn finish_and_claim(&mut self, held: &Held) {
        let (request, lifetime) = self.request();
        let change = json!({
            "work_spec": "crash", "work_unit": held.unit, "id": held.attempt,
            "token": held.attempt, "change": "finish", "data": data(held),
        });
        let request = if self.held.is_empty() { request } else { Value::Null };
        let body = json!({"changes": [change], "request": request});
        let sent = Instant::now();
        let path = format!("/namespace/rig/worker/{}/work", self.name);
        let Some(answer) = self.post(&path, &body, 200) else { return };
        let answer = answer.json();
        let result = answer.pointer("/results/0").cloned().unwrap_or_default();
        let ok = result.get("ok").and_then(Value::as_bool) == Some(true);
        let code = result.pointer("/error/code").and_then(Value::as_str).unwrap_or("none");
        self.finished(held, (!ok).then(|| code.to_owned()));
        self.take(&answer, sent + lifetime);
    }

    /// Writes down how a finish was answered: done, or refused with a code.
    fn finished(&mut self, held: &Held, code: Option<String>) {
        let (unit, attempt) = (held.unit.clone(), held.attempt);
        self.line.note(match code {
            None => {
                self.stage.finished.fetch_add(1, Ordering::Relaxed);
                Entry::FinishAcked { unit, attempt }
            }
            Some(code) => Entry::FinishRefused { unit, attempt, code },
        });
    }

    fn url(&self, held: &Held, word: &str) -> String {
        format!("{SPEC}/work_unit/{}/attempt/{}/{}/{word}", held.unit, self.name, held.attempt)
    }

    /// Calls with a key, and repeats some of the calls that had no answer. Success has one status,
    /// a conflict is a fair answer, and any other is a surprise.
    fn post(&mut self, path: &str, body: &Value, success: u16) -> Option<Answer> {
        self.calls += 1;
        let key = format!("{}-{}", self.name, self.calls);
        let repeated = self.random.percent(REPEATED);
        let post = Post { path, key: repeated.then_some(&key), body };
        let answer = match self.line.once(post) {
            None if repeated => self.line.until_answered(post),
            answer => answer,
        }?;
        if answer.status == success || answer.status == 409 {
            return Some(answer);
        }
        self.line.surprise(post, &answer);
        None
    }
}

fn data(held: &Held) -> Value {
    json!({"name": held.unit, "attempt": held.attempt})
}
