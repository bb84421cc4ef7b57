//! The state worker: the only writer, a thread that commits together what arrives together.

use std::{sync::Arc, thread};

use model::{Error, Result, Time};
use tokio::sync::{mpsc, oneshot};

use super::{Change, Database, Overview, Undo};
use crate::{FolderName, Snapshot, limits::STATE_QUEUE_MAX};

/// What can be asked of the state worker.
enum Ask {
    Overview(Time, Reply<Overview>),
    Snapshot(FolderName, Reply<Arc<Snapshot>>),
    Record(Vec<Change>, Reply<()>),
    BeginRun(Time, Reply<i64>),
    Unpurged(Time, Reply<Vec<i64>>),
    Undoable(Reply<Vec<(i64, Undo)>>),
}

type Reply<T> = oneshot::Sender<Result<T>>;

/// What is called before each commit; a test can let it fail.
type Gate = Box<dyn FnMut() -> Result<()> + Send>;

/// A way to the state worker. When the last one is gone, the worker ends.
#[derive(Clone)]
pub struct State {
    asks: mpsc::Sender<Ask>,
}

impl State {
    /// Starts the worker over a database.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(database: Database) -> Result<Self> {
        Self::start_gated(database, Box::new(|| Ok(())))
    }

    /// Starts the worker; each commit first passes the gate.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start_gated(database: Database, gate: Gate) -> Result<Self> {
        let (asks, inbox) = mpsc::channel(STATE_QUEUE_MAX);
        thread::Builder::new()
            .name("mail-state".to_owned())
            .spawn(move || Worker { database, inbox, gate }.run())
            .map_err(|error| Error::Unavailable(format!("no thread for the state: {error}")))?;
        Ok(Self { asks })
    }

    /// Reads what a round has to know before it looks at folders.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn overview(&self, now: Time) -> Result<Overview> {
        self.ask(|reply| Ask::Overview(now, reply)).await
    }

    /// Reads the pairs of a folder.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn snapshot(&self, folder: &FolderName) -> Result<Arc<Snapshot>> {
        self.ask(|reply| Ask::Snapshot(folder.clone(), reply)).await
    }

    /// Makes changes, all or none; they are durable once this returns.
    ///
    /// # Errors
    /// If they cannot be made; then none was.
    pub async fn record(&self, changes: Vec<Change>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Ask::Record(changes, reply)).await
    }

    /// Begins a run, and gives its number.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn begin_run(&self, at: Time) -> Result<i64> {
        self.ask(|reply| Ask::BeginRun(at, reply)).await
    }

    /// Reads the runs that began before a time and whose removals are still kept.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn unpurged(&self, before: Time) -> Result<Vec<i64>> {
        self.ask(|reply| Ask::Unpurged(before, reply)).await
    }

    /// Reads what can be undone of the last run that did something, last things first.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn undoable(&self) -> Result<Vec<(i64, Undo)>> {
        self.ask(Ask::Undoable).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T> {
        let ended = || Error::Unavailable("the state worker has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        self.asks.send(ask(reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

struct Worker {
    database: Database,
    inbox: mpsc::Receiver<Ask>,
    gate: Gate,
}

impl Worker {
    fn run(mut self) {
        let mut group = Vec::new();
        while let Some(ask) = self.inbox.blocking_recv() {
            let mut next = Some(ask);
            while let Some(ask) = next {
                match ask {
                    Ask::Record(changes, reply) => group.push((changes, reply)),
                    other => {
                        // Whoever reads sees what was asked to be written before.
                        self.commit(&mut group);
                        self.answer(other);
                    }
                }
                next = self.inbox.try_recv().ok();
            }
            self.commit(&mut group);
        }
    }

    /// Writes what came together in one transaction; if that fails, each on its own, so that
    /// nobody suffers for another.
    fn commit(&mut self, group: &mut Vec<(Vec<Change>, Reply<()>)>) {
        if group.len() > 1 && self.record(group.iter().flat_map(|(changes, _)| changes)).is_ok() {
            group.drain(..).for_each(|(_, reply)| tell(reply, Ok(())));
        }
        for (changes, reply) in group.drain(..) {
            let outcome = self.record(&changes);
            tell(reply, outcome);
        }
    }

    fn record<'a>(&mut self, changes: impl IntoIterator<Item = &'a Change>) -> Result<()> {
        (self.gate)()?;
        self.database.record(changes)
    }

    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Overview(now, reply) => tell(reply, self.database.overview(now)),
            Ask::Snapshot(folder, reply) => {
                tell(reply, self.database.snapshot(&folder).map(Arc::new));
            }
            Ask::Record(changes, reply) => {
                let outcome = self.record(&changes);
                tell(reply, outcome);
            }
            Ask::BeginRun(at, reply) => {
                let outcome = (self.gate)().and_then(|()| self.database.begin_run(at));
                tell(reply, outcome);
            }
            Ask::Unpurged(before, reply) => tell(reply, self.database.unpurged(before)),
            Ask::Undoable(reply) => tell(reply, self.database.undoable()),
        }
    }
}

/// Answers; whoever asked may have gone.
fn tell<T>(reply: Reply<T>, answer: Result<T>) {
    let _gone = reply.send(answer);
}
