//! The state worker: the only writer, a thread that commits together what arrives together.

use std::{sync::Arc, thread};

use model::{Error, Result, Time};
use serde_json::Value;
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
    Rest(Time, Reply<()>),
}

type Reply<T> = oneshot::Sender<Result<T>>;

/// Where what the state worker commits is kept besides its database.
///
/// Its methods are called on the thread of the worker, and may block it.
pub trait Keeper: Send {
    /// Tells whether events go to the keeper alone, and not into the database.
    fn takes_events(&self) -> bool;

    /// Keeps changes that are about to be committed.
    ///
    /// # Errors
    /// If they cannot be kept; then they are not committed.
    fn keep(&mut self, changes: &[&Change]) -> Result<()>;

    /// Hears at the end of a round how the account stands, and may keep an image of the database in
    /// the place of all changes so far.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn rest(&mut self, standing: Value, image: &mut dyn FnMut() -> Result<Vec<u8>>) -> Result<()>;
}

/// Keeps nothing, since the database is a file.
struct Alone;

impl Keeper for Alone {
    fn takes_events(&self) -> bool {
        false
    }

    fn keep(&mut self, _: &[&Change]) -> Result<()> {
        Ok(())
    }

    fn rest(&mut self, _: Value, _: &mut dyn FnMut() -> Result<Vec<u8>>) -> Result<()> {
        Ok(())
    }
}

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
        Self::start_kept(database, Box::new(Alone))
    }

    /// Starts the worker; each commit is first kept elsewhere, too.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start_kept(database: Database, keeper: Box<dyn Keeper>) -> Result<Self> {
        let (asks, inbox) = mpsc::channel(STATE_QUEUE_MAX);
        thread::Builder::new()
            .name("mail-state".to_owned())
            .spawn(move || Worker { database, inbox, keeper }.run())
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

    /// Tells the keeper that a round is over.
    ///
    /// # Errors
    /// If it cannot keep what it hears.
    pub async fn rest(&self, now: Time) -> Result<()> {
        self.ask(|reply| Ask::Rest(now, reply)).await
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
    keeper: Box<dyn Keeper>,
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
        let all: Vec<&Change> = changes.into_iter().collect();
        let Self { database, keeper, .. } = self;
        if !keeper.takes_events() {
            return database.record_and(&all, |changes| keeper.keep(changes));
        }
        let is_event = |change: &&Change| matches!(change, Change::Event { .. });
        let own: Vec<&Change> = all.iter().copied().filter(|change| !is_event(change)).collect();
        database.record_and(&own, |_| keeper.keep(&all))
    }

    fn begin_run(&mut self, at: Time) -> Result<i64> {
        let run = self.database.next_run()?;
        self.record([&Change::BeginRun(run, at)])?;
        Ok(run)
    }

    fn rest(&mut self, now: Time) -> Result<()> {
        let standing = self.database.standing(now)?;
        let Self { database, keeper, .. } = self;
        keeper.rest(standing, &mut || database.image())
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
                let outcome = self.begin_run(at);
                tell(reply, outcome);
            }
            Ask::Unpurged(before, reply) => tell(reply, self.database.unpurged(before)),
            Ask::Rest(now, reply) => {
                let outcome = self.rest(now);
                tell(reply, outcome);
            }
            Ask::Undoable(reply) => tell(reply, self.database.undoable()),
        }
    }
}

/// Answers; whoever asked may have gone.
fn tell<T>(reply: Reply<T>, answer: Result<T>) {
    let _gone = reply.send(answer);
}
