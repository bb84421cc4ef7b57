//! What clients do with a server, through its REST routes.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc};

use anyhow::{Context, Result, ensure};
use model::limits;
use serde::Deserialize;

use crate::bench::{
    load::Step,
    names::{Names, Order},
    wire::Connection,
};

const NAMESPACE: &str = "/namespace/bench";

/// A work spec on a server.
#[derive(Clone)]
pub(crate) struct Place {
    address: SocketAddr,
    spec: &'static str,
    names: Arc<Names>,
}

impl Place {
    /// Makes the spec.
    pub(crate) async fn make(
        address: SocketAddr,
        spec: &'static str,
        order: Order,
    ) -> Result<Self> {
        let body = format!(r#"{{"data":{{"name":"{spec}"}}}}"#);
        let mut connection = Connection::open(address).await?;
        let answer = connection.post(&format!("{NAMESPACE}/work_spec"), body.as_bytes()).await?;
        answer.expect(201)?;
        Ok(Self { address, spec, names: Arc::new(Names::new(order)) })
    }

    /// Adds units until so many are ready.
    pub(crate) async fn fill(&self, units: u64) -> Result<()> {
        let mut adder = self.adder(limits::BATCH_MAX).await?;
        let path = format!("{NAMESPACE}/work_spec/{}/counts", self.spec);
        let counts: Counts =
            serde_json::from_slice(adder.connection.get(&path).await?.expect(200)?.body)?;
        for _ in 0..units.saturating_sub(counts.available).div_ceil(limits::BATCH_MAX as u64) {
            adder.step().await?;
        }
        Ok(())
    }

    /// Connects a client that adds units.
    pub(crate) async fn adder(&self, batch: usize) -> Result<Adder> {
        let connection = Connection::open(self.address).await?;
        let path = format!("{NAMESPACE}/work_spec/{}/work_unit", self.spec);
        Ok(Adder { connection, names: Arc::clone(&self.names), path, batch, body: String::new() })
    }

    /// Connects a client that claims units and then finishes them.
    pub(crate) async fn worker(&self, number: usize, batch: usize) -> Result<Worker> {
        self.waiting_worker(number, batch, 0).await
    }

    /// Connects such a client that waits if there are no units.
    pub(crate) async fn waiting_worker(
        &self,
        number: usize,
        batch: usize,
        wait_ms: u64,
    ) -> Result<Worker> {
        let connection = Connection::open(self.address).await?;
        let spec = self.spec;
        let request = format!(
            r#"{{"work_specs":["{spec}"],"number_of_work_units":{batch},"wait_ms":{wait_ms}}}"#
        );
        let name = format!("worker-{number}");
        let url = format!("{NAMESPACE}/worker/{name}");
        let claim_path = format!("{url}/request_attempts");
        let work_path = format!("{url}/work");
        let body = String::new();
        Ok(Worker { connection, spec, name, request, claim_path, work_path, body })
    }

    /// Names the same spec on another node.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// Connects a client that reads one of so many units after the other by name.
    pub(crate) async fn reader(&self, units: u64) -> Result<Reader> {
        let connection = Connection::open(self.address).await?;
        let path = |number| {
            format!("{NAMESPACE}/work_spec/{}/work_unit/{}", self.spec, self.names.name(number))
        };
        Ok(Reader { connection, paths: (0..units).map(path).collect(), next: 0 })
    }

    /// Connects a client that finishes units and claims the next ones in one call.
    pub(crate) async fn busy_worker(&self, number: usize, batch: usize) -> Result<BusyWorker> {
        Ok(BusyWorker { worker: self.worker(number, batch).await?, held: Vec::new() })
    }
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    available: u64,
}

/// Adds units.
pub(crate) struct Adder {
    connection: Connection,
    names: Arc<Names>,
    path: String,
    batch: usize,
    body: String,
}

impl Step for Adder {
    async fn step(&mut self) -> Result<u64> {
        self.body.clear();
        self.body.push_str(if self.batch == 1 { "" } else { "{\"work_units\":[" });
        for (place, number) in self.names.take(self.batch).enumerate() {
            self.body.push_str(if place == 0 { "{\"name\":\"" } else { ",{\"name\":\"" });
            self.names.write(number, &mut self.body);
            self.body.push_str("\"}");
        }
        self.body.push_str(if self.batch == 1 { "" } else { "]}" });
        self.connection.post(&self.path, self.body.as_bytes()).await?.expect(201)?;
        Ok(self.batch as u64)
    }
}

/// Reads units by name.
pub(crate) struct Reader {
    connection: Connection,
    paths: Vec<String>,
    next: usize,
}

impl Step for Reader {
    async fn step(&mut self) -> Result<u64> {
        let path = self.paths.get(self.next).context("nothing to read")?;
        self.next = (self.next + 1) % self.paths.len();
        self.connection.get(path).await?.expect(200)?;
        Ok(1)
    }
}

/// An attempt, as far as a worker needs it.
#[derive(Deserialize)]
struct Given<'a> {
    id: u64,
    work_unit: &'a str,
}

/// The answer to a claim.
#[derive(Deserialize)]
struct Claimed<'a> {
    #[serde(borrow)]
    attempts: Vec<Given<'a>>,
}

/// The answer to finishing, and to claiming the next units.
#[derive(Deserialize)]
struct Worked<'a> {
    results: Vec<Ended>,
    #[serde(borrow)]
    attempts: Vec<Given<'a>>,
}

#[derive(Deserialize)]
struct Ended {
    ok: bool,
}

/// A unit that is worked on.
struct Held {
    id: u64,
    unit: String,
}

impl From<Given<'_>> for Held {
    fn from(given: Given<'_>) -> Self {
        Self { id: given.id, unit: given.work_unit.to_owned() }
    }
}

/// Claims units, and finishes them in a second call.
pub(crate) struct Worker {
    connection: Connection,
    spec: &'static str,
    name: String,
    request: String,
    claim_path: String,
    work_path: String,
    body: String,
}

impl Worker {
    /// Claims units.
    async fn claim(&mut self) -> Result<Vec<Held>> {
        let answer = self.connection.post(&self.claim_path, self.request.as_bytes()).await?;
        let claimed: Claimed<'_> = serde_json::from_slice(answer.expect(200)?.body)?;
        Ok(claimed.attempts.into_iter().map(Held::from).collect())
    }

    /// Finishes one unit through the URL of its attempt.
    async fn finish(&mut self, held: &Held) -> Result<()> {
        let (Self { spec, name, .. }, Held { id, unit }) = (&*self, held);
        let path =
            format!("{NAMESPACE}/work_spec/{spec}/work_unit/{unit}/attempt/{name}/{id}/finish");
        let body = format!("{{\"token\":{id}}}");
        self.connection.post(&path, body.as_bytes()).await?.expect(204)?;
        Ok(())
    }

    /// Finishes units, and claims the next ones if wanted.
    async fn work(&mut self, held: &[Held], next: bool) -> Result<Vec<Held>> {
        self.body.clear();
        self.body.push_str("{\"changes\":[");
        for (place, Held { id, unit }) in held.iter().enumerate() {
            let (comma, spec) = (if place == 0 { "" } else { "," }, self.spec);
            write!(
                self.body,
                r#"{comma}{{"work_spec":"{spec}","work_unit":"{unit}","id":{id},"token":{id},"#
            )?;
            self.body.push_str(r#""change":"finish"}"#);
        }
        self.body.push(']');
        if next {
            self.body.push_str(",\"request\":");
            self.body.push_str(&self.request);
        }
        self.body.push('}');
        let answer = self.connection.post(&self.work_path, self.body.as_bytes()).await?;
        let worked: Worked<'_> = serde_json::from_slice(answer.expect(200)?.body)?;
        let all = worked.results.len() == held.len() && worked.results.iter().all(|ended| ended.ok);
        ensure!(all, "units could not be finished");
        Ok(worked.attempts.into_iter().map(Held::from).collect())
    }

    /// Claims one unit, waiting for it, tells when it came, and finishes it.
    pub(crate) async fn wait_for_one(&mut self) -> Result<std::time::Instant> {
        let held = self.claim().await?;
        let came = std::time::Instant::now();
        self.finish(held.first().context("no unit came while a worker waited")?).await?;
        Ok(came)
    }
}

impl Step for Worker {
    async fn step(&mut self) -> Result<u64> {
        let held = self.claim().await?;
        match &held[..] {
            [] => {}
            [one] => self.finish(one).await?,
            many => drop(self.work(many, false).await?),
        }
        Ok(held.len() as u64)
    }
}

/// Finishes units and claims the next ones in one call.
pub(crate) struct BusyWorker {
    worker: Worker,
    held: Vec<Held>,
}

impl Step for BusyWorker {
    async fn step(&mut self) -> Result<u64> {
        let next = self.worker.work(&self.held, true).await?;
        Ok(std::mem::replace(&mut self.held, next).len() as u64)
    }
}
