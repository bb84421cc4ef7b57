//! What callers do with a backend.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use model::{
    AddUnits, Answer, Attempt, AttemptChange, Backend, Change, ChangeAttempts, Claim, Command,
    Data, Datum, Dict, Namespace, NewUnit, Query, QueueCommand, Reply, SpecName, SpecRef, UnitMeta,
    UnitName, WorkerName, Write, limits,
};

use crate::bench::{load::Step, names::Names};

/// One work spec of a backend.
#[derive(Clone)]
pub(crate) struct Queue {
    backend: Arc<dyn Backend>,
    namespace: Namespace,
    spec: SpecName,
    names: Arc<Names>,
}

impl Queue {
    /// Makes the spec.
    pub(crate) async fn make(backend: Arc<dyn Backend>, names: Names) -> Result<Self> {
        let queue = Self::of(backend, names)?;
        let name = Datum::Text(queue.spec.to_string());
        let data = Data::from_dict(&Dict::from([("name".to_owned(), name)]))?;
        queue.write(vec![QueueCommand::SetSpec { data }]).await?;
        Ok(queue)
    }

    /// Takes a spec that is there already.
    pub(crate) fn of(backend: Arc<dyn Backend>, names: Names) -> Result<Self> {
        let (namespace, spec) = (Namespace::new("bench")?, SpecName::new("ordered")?);
        Ok(Self { backend, namespace, spec, names: Arc::new(names) })
    }

    /// Adds units until so many are ready.
    pub(crate) async fn fill(&self, units: u64) -> Result<()> {
        let spec = SpecRef { name: self.spec.clone(), id: None };
        let read = self.backend.read(Query::Spec(self.namespace.clone(), spec), 0).await?;
        let Answer::Spec(spec) = read.answer else { bail!("no spec answered a query for one") };
        let missing = units.saturating_sub(spec.counts.available);
        for _ in 0..missing.div_ceil(limits::BATCH_MAX as u64) {
            self.add(limits::BATCH_MAX).await?;
        }
        Ok(())
    }

    /// Makes a caller that adds units.
    pub(crate) fn adder(&self, batch: usize) -> Result<Adder> {
        Ok(Adder { queue: self.clone(), batch })
    }

    /// Makes a caller that claims units and then finishes them.
    pub(crate) fn worker(&self, number: usize, batch: usize) -> Result<Worker> {
        let claim = Claim {
            worker: WorkerName::new(format!("worker-{number}"))?,
            specs: vec![self.spec.clone()],
            runtimes: Vec::new(),
            count: u32::try_from(batch)?,
            lifetime: None,
            available_gb: None,
        };
        Ok(Worker { queue: self.clone(), claim })
    }

    /// Makes a caller that finishes units and claims the next ones in one write.
    pub(crate) fn busy_worker(&self, number: usize, batch: usize) -> Result<BusyWorker> {
        Ok(BusyWorker { worker: self.worker(number, batch)?, held: Vec::new() })
    }

    async fn add(&self, count: usize) -> Result<()> {
        let mut units = Vec::with_capacity(count);
        for number in self.names.take(count) {
            let name = UnitName::new(self.names.name(number).into_bytes())?;
            let (data, meta) = (Data::default(), UnitMeta::default());
            units.push(NewUnit { name, data, meta, delay: None });
        }
        let spec = SpecRef { name: self.spec.clone(), id: None };
        self.write(vec![QueueCommand::AddUnits(AddUnits { spec, units })]).await?;
        Ok(())
    }

    async fn write(&self, commands: Vec<QueueCommand>) -> Result<Vec<Reply>> {
        let commands = commands.into_iter().map(Command::Queue).collect();
        let write =
            Write { commands, ..Write::one(&self.namespace, QueueCommand::CreateNamespace) };
        Ok(self.backend.write(write).await?.replies)
    }
}

/// Adds units.
pub(crate) struct Adder {
    queue: Queue,
    batch: usize,
}

impl Step for Adder {
    async fn step(&mut self) -> Result<u64> {
        self.queue.add(self.batch).await?;
        Ok(self.batch as u64)
    }
}

/// Claims units, and finishes them in a second write.
pub(crate) struct Worker {
    queue: Queue,
    claim: Claim,
}

impl Step for Worker {
    async fn step(&mut self) -> Result<u64> {
        let claim = QueueCommand::Claim(self.claim.clone());
        let attempts = claimed(self.queue.write(vec![claim]).await?.pop())?;
        if attempts.is_empty() {
            return Ok(0);
        }
        let replies = self.queue.write(vec![finish(&attempts)]).await?;
        check_finished(replies.first())?;
        Ok(attempts.len() as u64)
    }
}

/// Finishes units and claims the next ones in one write.
pub(crate) struct BusyWorker {
    worker: Worker,
    held: Vec<Attempt>,
}

impl Step for BusyWorker {
    async fn step(&mut self) -> Result<u64> {
        let claim = QueueCommand::Claim(self.worker.claim.clone());
        let mut replies = self.worker.queue.write(vec![finish(&self.held), claim]).await?;
        check_finished(replies.first())?;
        let done = std::mem::replace(&mut self.held, claimed(replies.pop())?);
        Ok(done.len() as u64)
    }
}

fn claimed(reply: Option<Reply>) -> Result<Vec<Attempt>> {
    match reply {
        Some(Reply::Attempts(attempts)) => Ok(attempts),
        other => bail!("a claim was answered by {other:?}"),
    }
}

fn finish(attempts: &[Attempt]) -> QueueCommand {
    let finish = |attempt: &Attempt| AttemptChange {
        attempt: attempt.as_ref(),
        token: Some(attempt.id),
        data: None,
        change: Change::Finish,
    };
    QueueCommand::ChangeAttempts(ChangeAttempts { changes: attempts.iter().map(finish).collect() })
}

fn check_finished(reply: Option<&Reply>) -> Result<()> {
    let reply = reply.context("finishing was not answered")?;
    let Reply::Changed(results) = reply else { bail!("finishing was answered by {reply:?}") };
    ensure!(results.iter().all(Result::is_ok), "units could not be finished: {results:?}");
    Ok(())
}
