//! What clients do with a server on which workflows run.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use client::{Keys, Lockstep, Remote, RemoteOptions, WorkerHandle};
use model::{
    AddUnits, Answer, Attempt, AttemptChange, Change, ChangeAttempts, Claim, CloudEvent, Command,
    Data, Datum, DefinitionCommand, Dict, Id, Instance, InstanceAnswer, InstanceCommand,
    InstanceFilter, InstanceQuery, InstanceStatus, Namespace, NewUnit, Publish, Query,
    QueueCommand, Reply, SpecName, SpecRef, Start, Terms, UnitMeta, UnitName, Until, WorkerName,
};
use serde_json::Value as Json;
use tokio::time::sleep;

/// The namespace of all that is measured.
pub(super) const NAMESPACE: &str = "bench";
/// Units that a worker takes at one time.
const BATCH: u32 = 100;
/// Commands of one write that starts instances.
const STARTS: usize = 100;
/// How long a worker waits for units.
const WAIT: Duration = Duration::from_millis(200);
/// How long an answer may take: what is slow is to be told as a figure, and not as an error.
const ANSWER_MAX: Duration = Duration::from_secs(300);
/// Pause between two looks whether anything is under way.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A namespace on a server.
#[derive(Clone)]
pub(super) struct Place {
    lockstep: Lockstep,
    number: Arc<AtomicU64>,
}

impl Place {
    pub(super) fn at(address: SocketAddr) -> Result<Self> {
        let options = RemoteOptions {
            keys: Keys::Given,
            answer_max: ANSWER_MAX,
            ..RemoteOptions::standard()
        };
        let remote = Remote::new(&format!("http://{address}"), options)?;
        let lockstep = Lockstep::new(Arc::new(remote), Namespace::new(NAMESPACE)?);
        Ok(Self { lockstep, number: Arc::new(AtomicU64::new(0)) })
    }

    /// The same definitions on another node.
    pub(super) fn on(&self, address: SocketAddr) -> Result<Self> {
        Ok(Self { number: Arc::clone(&self.number), ..Self::at(address)? })
    }

    /// Makes work specs.
    pub(super) async fn specs(&self, names: &[&str]) -> Result<()> {
        for name in names {
            let name = Datum::Text((*name).to_owned());
            let data = Data::from_dict(&Dict::from([("name".to_owned(), name)]))?;
            self.lockstep.command(QueueCommand::SetSpec { data }).await?;
        }
        Ok(())
    }

    fn next(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// Publishes the next version of a definition; `rest` is its document without the head.
    pub(super) async fn publish(&self, name: &str, rest: &str, until: Until) -> Result<()> {
        let head = head(name, self.next());
        let terms = Terms { until, actor: String::new() };
        let publish = Publish { source: format!("{head}{rest}"), base: None, terms };
        self.lockstep.command(DefinitionCommand::Publish(publish)).await?;
        Ok(())
    }

    /// Starts so many instances, some with each call, and gives the last.
    pub(super) async fn start(&self, definition: &str, input: &Json, count: usize) -> Result<Id> {
        let (mut left, mut last) = (count, None);
        while left > 0 {
            let now = left.min(STARTS);
            let start = Start {
                definition: definition.to_owned(),
                input: input.clone(),
                traceparent: None,
            };
            let command = Command::from(InstanceCommand::Start(start));
            let committed = self.lockstep.write(vec![command; now]).await?;
            last = committed.replies.into_iter().next_back();
            left -= now;
        }
        match last {
            Some(Reply::Id(id)) => Ok(id),
            other => bail!("a start was answered with {other:?}"),
        }
    }

    /// Sends an event of a type.
    pub(super) async fn send(&self, kind: &str) -> Result<()> {
        let event = event(kind, self.next())?;
        self.lockstep.command(InstanceCommand::Send(vec![event])).await?;
        Ok(())
    }

    /// Adds so many plain units.
    pub(super) async fn add(&self, spec: &str, count: usize) -> Result<()> {
        let name = SpecName::new(spec)?;
        let mut left = count;
        while left > 0 {
            let now = left.min(STARTS);
            let unit = |_| -> Result<NewUnit> {
                let name = UnitName::new(format!("plain-{:09}", self.next()).into_bytes())?;
                let (data, meta) = (Data::default(), UnitMeta::default());
                Ok(NewUnit { name, data, meta, delay: None })
            };
            let units = (0..now).map(unit).collect::<Result<_>>()?;
            let spec = SpecRef { name: name.clone(), id: None };
            self.lockstep.command(QueueCommand::AddUnits(AddUnits { spec, units })).await?;
            left -= now;
        }
        Ok(())
    }

    /// Makes a worker for one spec.
    pub(super) fn worker(&self, spec: &str, number: usize) -> Result<Worker> {
        let name = WorkerName::new(format!("{spec}-{number}"))?;
        let handle = self.lockstep.worker(name.clone());
        let claim = Claim {
            worker: name,
            specs: vec![SpecName::new(spec)?],
            runtimes: Vec::new(),
            count: BATCH,
            lifetime: None,
            available_gb: None,
        };
        Ok(Worker { lockstep: self.lockstep.clone(), handle, claim })
    }

    /// Waits until no instance is under way.
    pub(super) async fn idle(&self) -> Result<()> {
        for status in [InstanceStatus::Running, InstanceStatus::Waiting] {
            while !self.list(Some(status), 1).await?.is_empty() {
                // Sleeps because asking without a pause would be most of what the server does.
                sleep(LOOK_AGAIN).await;
            }
        }
        // What was running may have begun to wait in between.
        let one = self.list(Some(InstanceStatus::Running), 1).await?;
        if one.is_empty() { Ok(()) } else { Box::pin(self.idle()).await }
    }

    async fn list(&self, status: Option<InstanceStatus>, limit: u32) -> Result<Vec<Instance>> {
        let filter = InstanceFilter { status, limit, ..InstanceFilter::default() };
        match self.ask(InstanceQuery::List(filter)).await? {
            InstanceAnswer::Instances(instances) => Ok(instances),
            other => bail!("instances were asked for, and {other:?} was told"),
        }
    }

    /// Gives how long each instance after one took, in nanoseconds, in order.
    pub(super) async fn spans_after(&self, definition: &str, first: Id) -> Result<Vec<u64>> {
        let (mut after, mut spans) = (Some(first), Vec::new());
        loop {
            let definition = Some(definition.to_owned());
            let filter = InstanceFilter { definition, after, ..InstanceFilter::default() };
            let answer = self.ask(InstanceQuery::List(filter)).await?;
            let InstanceAnswer::Instances(found) = answer else { bail!("no list was told") };
            let Some(last) = found.last() else { break };
            after = Some(last.id);
            for instance in &found {
                anyhow::ensure!(
                    instance.status == InstanceStatus::Finished,
                    "instance {} is {}: {}",
                    instance.id,
                    instance.status.as_str(),
                    instance.error
                );
                let ended = instance.ended.context("an instance that ended at no time")?;
                spans.push(u64::try_from(ended.0 - instance.started.0).unwrap_or_default());
            }
        }
        spans.sort_unstable();
        Ok(spans)
    }

    async fn ask(&self, query: InstanceQuery) -> Result<InstanceAnswer> {
        let namespace = self.lockstep.namespace().clone();
        match self.lockstep.ask(Query::Instances(namespace, query)).await? {
            Answer::Instances(answer) => Ok(answer),
            other => bail!("instances were asked for, and {other:?} was told"),
        }
    }
}

/// Gives the head of a document.
pub(super) fn head(name: &str, version: u64) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: {NAMESPACE}, name: {name}, version: 1.0.{version}}}\n"
    )
}

/// Makes an event.
pub(super) fn event(kind: &str, number: u64) -> Result<CloudEvent> {
    Ok(serde_json::from_value(serde_json::json!({
        "id": number.to_string(), "source": "bench", "type": kind, "data": {"n": 7},
    }))?)
}

/// A worker that takes units and finishes them at once.
pub(super) struct Worker {
    lockstep: Lockstep,
    handle: WorkerHandle,
    claim: Claim,
}

impl Worker {
    /// Takes units, after waiting for them if there are none; at most so many.
    pub(super) async fn claim(&self, count: u32, wait: Duration) -> Result<Vec<Attempt>> {
        Ok(self.handle.claim(Claim { count, ..self.claim.clone() }, wait).await?)
    }

    /// Finishes what it took.
    pub(super) async fn finish(&self, attempts: &[Attempt]) -> Result<()> {
        let one = |attempt: &Attempt| AttemptChange {
            attempt: attempt.as_ref(),
            token: Some(attempt.id),
            data: None,
            change: Change::Finish,
        };
        let changes = attempts.iter().map(one).collect();
        let reply = self.lockstep.command(QueueCommand::ChangeAttempts(ChangeAttempts { changes }));
        match reply.await? {
            Reply::Changed(outcomes) => {
                outcomes.into_iter().collect::<model::Result<Vec<()>>>().map(drop)?;
                Ok(())
            }
            other => bail!("a finish was answered with {other:?}"),
        }
    }

    /// Does so many units.
    pub(super) async fn work(&self, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let attempts = self.claim(BATCH, WAIT).await?;
            if !attempts.is_empty() {
                self.finish(&attempts).await?;
            }
            left = left.saturating_sub(attempts.len());
        }
        Ok(())
    }
}
