//! Writing: the commands of a write as one job of the store.

use std::sync::Arc;

use model::{
    Attempt, AttemptChange, Change, ChangeAttempts, Command, Committed, EventBody, Id,
    QueueCommand, Reply, Result, Span, Time, TraceContext, Write,
};
use queue::{Ready, Work};
use store::{Job, Tx};
use tokio::sync::oneshot;

use crate::{
    admin, audit, blob,
    engine::{claims_of, merge, only_claims, stopped},
    request, secret,
    shared::{Look, Shared},
    user, workflow,
};

/// The outcome of a write, and what its claims can look forward to.
pub(crate) struct WriteOutcome {
    pub(crate) committed: Committed,
    /// Work that will be there at a later time by itself, for claims that found nothing.
    pub(crate) later: Vec<Ready>,
    /// Whether this is the answer to an earlier write with the same key.
    pub(crate) recalled: bool,
}

type Answer = Result<WriteOutcome>;

pub(crate) struct WriteJob {
    shared: Arc<Shared>,
    write: Arc<Write>,
    seed: u64,
    /// The time of the first run, so that further ones ask for the same.
    now: Option<Time>,
    /// The trace of what this write begins.
    trace: Option<TraceContext>,
    ran: Option<Ran>,
    reply: Option<oneshot::Sender<Answer>>,
}

/// What one run of the job left.
struct Ran {
    outcome: WriteOutcome,
    ready: Vec<Ready>,
    look: Option<Look>,
    spans: Vec<Span>,
}

impl WriteJob {
    pub(crate) fn new(
        shared: Arc<Shared>,
        write: Arc<Write>,
        seed: u64,
    ) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let trace = shared.begin_trace();
        (Self { shared, write, seed, now: None, trace, ran: None, reply: Some(reply) }, answer)
    }

    fn apply(&self, tx: &mut dyn Tx, now: Time) -> Result<Ran> {
        let write = &*self.write;
        let mut work = Work::open(tx, &write.namespace, now, self.seed)?;
        work.trace = self.trace;
        let history = work.history_id();
        let mut digest = None;
        if let Some(id) = &write.request_id {
            let made = request::digest(write, self.shared.keys())?;
            if let Some(committed) = recall_all(work.tx, history, write, id, &made)? {
                let outcome = WriteOutcome { committed, later: Vec::new(), recalled: true };
                return Ok(Ran { outcome, ready: Vec::new(), look: None, spans: Vec::new() });
            }
            digest = Some((id, made));
        }
        let (mut replies, mut later) = (Vec::with_capacity(write.commands.len()), Vec::new());
        for command in &write.commands {
            if is_destroy(command) {
                flow::publish::destroyed(&mut work)?;
            }
            let reply = match command {
                Command::Queue(command) => queue::apply(&mut work, command)?,
                Command::Admin(command) => admin::apply(&mut work, command)?,
                Command::Definition(command) => workflow::apply_definition(&mut work, command)?,
                Command::Instance(command) => workflow::apply_instance(&mut work, command)?,
                Command::Mail(command) => flow::mail::apply(&mut work, command)?,
                Command::Blob(command) => blob::apply(&mut work, command)?,
                Command::User(command) => user::apply(&mut work, command)?,
                Command::Secret(command) => secret::apply(&mut work, self.shared.keys(), command)?,
            };
            if let (Command::Queue(QueueCommand::Claim(claim)), Reply::Attempts(attempts)) =
                (command, &reply)
                && attempts.is_empty()
            {
                later.extend(queue::later(&mut work, claim)?);
            }
            replies.push(reply);
        }
        // A namespace that is not there has no history under which an answer could be kept.
        let nowhere = work.is_new() && work.events.is_empty();
        flow::instance::units_ended(&mut work)?;
        audit::note(&mut work, &write.caller, write.commands.iter().zip(&replies))?;
        let closed = work.close()?;
        let spans = self.shared.spans(tx, &write.namespace, &closed.events, (self.trace, now))?;
        let committed = Committed { revision: closed.revision, replies, events: closed.events };
        if let Some((id, digest)) = digest
            && !nowhere
            && is_worth_keeping(write, id, &committed)
        {
            request::keep(tx, history, id, &digest, now, &committed)?;
        }
        let outcome = WriteOutcome { committed, later, recalled: false };
        Ok(Ran { outcome, ready: closed.ready, look: None, spans })
    }
}

/// Tells whether a command takes a namespace away, and with it all its definitions.
pub(crate) fn is_destroy(command: &Command) -> bool {
    matches!(command, Command::Queue(QueueCommand::DestroyNamespace))
}

impl Job for WriteJob {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        let now = *self.now.get_or_insert_with(|| self.shared.clock.now());
        let mut ran = self.apply(tx, now)?;
        ran.look = Some(self.shared.look(tx)?);
        self.ran = Some(ran);
        Ok(())
    }

    fn done(mut self: Box<Self>, outcome: Result<()>) {
        let ran = outcome.and_then(|()| self.ran.take().ok_or_else(stopped));
        let Some(reply) = self.reply.take() else { return };
        let ran = match ran {
            Ok(ran) => ran,
            Err(error) => {
                // A caller that has gone needs no answer.
                let _gone = reply.send(Err(error));
                return;
            }
        };
        if !ran.outcome.recalled {
            let committed = &ran.outcome.committed;
            let changed = (committed.revision, committed.events.as_slice());
            if let Some(look) = ran.look {
                self.shared.committed(&self.write.namespace, changed, &ran.ready, look);
            }
            count(&committed.events);
            self.shared.record(ran.spans);
        }
        if let Err(Ok(unheard)) = reply.send(Ok(ran.outcome)) {
            give_back(&self.shared, &self.write, unheard.committed.replies);
        }
    }
}

/// Gives the answer to an earlier write with the same key, with what its claims got while they
/// waited.
pub(crate) fn recall_all(
    tx: &mut dyn Tx,
    history: Id,
    write: &Write,
    id: &str,
    digest: &[u8; 32],
) -> Result<Option<Committed>> {
    let first = request::recall(tx, history, id, digest)?;
    // Only of claims that stand alone there may be no answer from before they waited.
    let waited = !request::is_waiting(id) && (first.is_some() || only_claims(write));
    if !waited {
        return Ok(first);
    }
    let claims = claims_of(write);
    let later = match &claims.request_id {
        Some(id) if !claims.commands.is_empty() => {
            request::recall(tx, history, id, &request::digest(&claims, None)?)?
        }
        _ => None,
    };
    Ok(match (first, later) {
        (Some(mut first), Some(later)) => {
            merge(write, &mut first, later);
            Some(first)
        }
        (first, later) => first.or(later),
    })
}

/// Tells whether an answer has to be the same the next time: not that of claims that got nothing
/// and changed nothing, which may as well look again, or that go on waiting.
fn is_worth_keeping(write: &Write, id: &str, committed: &Committed) -> bool {
    has_attempts(committed)
        || !only_claims(write)
        || !(committed.events.is_empty() || request::is_waiting(id))
}

fn has_attempts(committed: &Committed) -> bool {
    let full = |reply: &Reply| matches!(reply, Reply::Attempts(attempts) if !attempts.is_empty());
    committed.replies.iter().any(full)
}

/// Gives claimed units back whose claimer has gone before it heard of them.
fn give_back(shared: &Arc<Shared>, write: &Write, replies: Vec<Reply>) {
    // With an idempotency key the claimer may ask again, and then gets the same attempts.
    if write.request_id.is_some() {
        return;
    }
    let attempts = replies.into_iter().filter_map(|reply| match reply {
        Reply::Attempts(attempts) => Some(attempts),
        _ => None,
    });
    let expire = |attempt: Attempt| AttemptChange {
        attempt: attempt.as_ref(),
        token: Some(attempt.id),
        data: None,
        change: Change::Expire,
    };
    let changes: Vec<_> = attempts.flatten().map(expire).collect();
    if changes.is_empty() {
        return;
    }
    let command = QueueCommand::ChangeAttempts(ChangeAttempts { changes });
    let write = Arc::new(Write::one(&write.namespace, command));
    let (mut job, _) = WriteJob::new(Arc::clone(shared), write, 0);
    // Nobody waits for this one, and nothing in it could be given back.
    job.reply = Some(oneshot::channel().0);
    shared.store.write(Box::new(job));
}

fn count(events: &[EventBody]) {
    let (mut claims, mut finishes, mut failures) = (0, 0, 0);
    for event in events {
        match event {
            EventBody::UnitsClaimed(_, units) => claims += units.len() as u64,
            EventBody::UnitFinished(..) => finishes += 1,
            EventBody::UnitFailed(..) => failures += 1,
            _ => {}
        }
    }
    for (name, count) in [
        ("lockstep_claims_total", claims),
        ("lockstep_finishes_total", finishes),
        ("lockstep_failures_total", failures),
    ] {
        if count > 0 {
            metrics::counter!(name).increment(count);
        }
    }
}
