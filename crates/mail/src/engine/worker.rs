//! A worker: one connection to one side, with the state controller next to its driver.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use futures_util::future;
use model::{Error, Result};
use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot};

use super::learn::{self, Learn, Poured};
use crate::{
    Checkpoint, Content, Delta, Driver, FolderName, Identified, Key, Part, Pouring, Side, Snapshot,
    driver::{Append, Appended, At, Capabilities, Connect, FlagGroup, Folders},
    limits::WORKER_QUEUE_MAX,
    pipe,
};

/// What can be asked of a worker.
enum Ask {
    Capabilities(Reply<Capabilities>),
    Identity(bool, Reply<Option<SmolStr>>),
    Folders(Reply<Folders>),
    Examine(FolderName, Option<Checkpoint>, Arc<Snapshot>, Reply<Delta>),
    Identify(At, Vec<Key>, Reply<Vec<Identified>>),
    Digest(At, Vec<Key>, Reply<HashMap<Key, Content>>),
    Look(At, Vec<Key>, Reply<Vec<Poured>>),
    Pour(At, Vec<Key>, Learn, Pouring, Reply<PouredAll>),
    Append(At, Vec<Append>, mpsc::Receiver<Part>, Reply<Vec<Appended>>),
    Link(At, Vec<Append>, PathBuf, Reply<Option<Vec<Appended>>>),
    Flag(At, Vec<FlagGroup>, Reply<Vec<Key>>),
    Remove(At, Vec<Key>, Reply<Vec<Key>>),
    Relocate(At, Vec<Key>, FolderName, Reply<Vec<Appended>>),
    CreateFolder(FolderName, Reply<()>),
    DeleteFolder(FolderName, Reply<()>),
    RenameFolder(FolderName, FolderName, Reply<()>),
    Watch(Vec<FolderName>, Reply<Vec<FolderName>>),
}

type Reply<T> = oneshot::Sender<Result<T>>;

/// What was learned of messages while they were poured, also if the rest did not come.
pub(super) struct PouredAll {
    pub(super) learned: Vec<Poured>,
    pub(super) outcome: Result<()>,
}

impl PouredAll {
    /// Insists on all messages.
    pub(super) fn whole(self) -> Result<Vec<Poured>> {
        self.outcome.map(|()| self.learned)
    }
}

/// An answer that is still to come.
pub(super) struct Pending<T>(oneshot::Receiver<Result<T>>);

impl<T> Pending<T> {
    /// Waits for the answer.
    pub(super) async fn answer(self) -> Result<T> {
        self.0.await.map_err(|_| ended())?
    }
}

/// A way to a worker. When the last one is gone, the worker ends its connection.
#[derive(Clone)]
pub(super) struct Worker {
    asks: mpsc::Sender<Ask>,
}

impl Worker {
    /// Starts a worker, which connects when it is first asked for something.
    pub(super) fn start(side: Side, connect: Arc<dyn Connect>) -> Self {
        let (asks, inbox) = mpsc::channel(WORKER_QUEUE_MAX);
        tokio::spawn(Running { side, connect, driver: None, inbox }.run());
        Self { asks }
    }

    /// Tells whether its task is no longer there.
    pub(super) fn has_ended(&self) -> bool {
        self.asks.is_closed()
    }

    pub(super) async fn capabilities(&self) -> Result<Capabilities> {
        self.ask(Ask::Capabilities).await?.answer().await
    }

    pub(super) async fn identity(&self, create: bool) -> Result<Option<SmolStr>> {
        self.ask(|reply| Ask::Identity(create, reply)).await?.answer().await
    }

    pub(super) async fn folders(&self) -> Result<Folders> {
        self.ask(Ask::Folders).await?.answer().await
    }

    /// Lets the state controller say what changed since the agreed state.
    pub(super) async fn examine(
        &self,
        folder: &FolderName,
        since: Option<Checkpoint>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Delta> {
        let (folder, snapshot) = (folder.clone(), Arc::clone(snapshot));
        self.ask(|reply| Ask::Examine(folder, since, snapshot, reply)).await?.answer().await
    }

    pub(super) async fn identify(&self, at: &At, keys: Vec<Key>) -> Result<Vec<Identified>> {
        self.ask(|reply| Ask::Identify(at.clone(), keys, reply)).await?.answer().await
    }

    /// Reads messages to know their whole content.
    pub(super) async fn digest(&self, at: &At, keys: Vec<Key>) -> Result<HashMap<Key, Content>> {
        self.ask(|reply| Ask::Digest(at.clone(), keys, reply)).await?.answer().await
    }

    /// Reads messages to know what people are told of them.
    pub(super) async fn look(&self, at: &At, keys: Vec<Key>) -> Result<Vec<Poured>> {
        self.ask(|reply| Ask::Look(at.clone(), keys, reply)).await?.answer().await
    }

    /// Pours messages into a pipe, and tells what was learned of them on the way.
    pub(super) async fn pour(
        &self,
        at: &At,
        keys: Vec<Key>,
        learn: Learn,
        into: Pouring,
    ) -> Result<Pending<PouredAll>> {
        self.ask(|reply| Ask::Pour(at.clone(), keys, learn, into, reply)).await
    }

    pub(super) async fn append(
        &self,
        at: &At,
        messages: Vec<Append>,
        from: mpsc::Receiver<Part>,
    ) -> Result<Pending<Vec<Appended>>> {
        self.ask(|reply| Ask::Append(at.clone(), messages, from, reply)).await
    }

    /// Puts messages into a directory without copying them, if that can be done.
    pub(super) async fn link(
        &self,
        at: &At,
        messages: Vec<Append>,
        into: PathBuf,
    ) -> Result<Option<Vec<Appended>>> {
        self.ask(|reply| Ask::Link(at.clone(), messages, into, reply)).await?.answer().await
    }

    pub(super) async fn flag(&self, at: &At, groups: Vec<FlagGroup>) -> Result<Vec<Key>> {
        self.ask(|reply| Ask::Flag(at.clone(), groups, reply)).await?.answer().await
    }

    pub(super) async fn remove(&self, at: &At, keys: Vec<Key>) -> Result<Vec<Key>> {
        self.ask(|reply| Ask::Remove(at.clone(), keys, reply)).await?.answer().await
    }

    pub(super) async fn relocate(
        &self,
        from: &At,
        keys: Vec<Key>,
        to: &FolderName,
    ) -> Result<Vec<Appended>> {
        let (from, to) = (from.clone(), to.clone());
        self.ask(|reply| Ask::Relocate(from, keys, to, reply)).await?.answer().await
    }

    pub(super) async fn create_folder(&self, folder: &FolderName) -> Result<()> {
        self.ask(|reply| Ask::CreateFolder(folder.clone(), reply)).await?.answer().await
    }

    pub(super) async fn delete_folder(&self, folder: &FolderName) -> Result<()> {
        self.ask(|reply| Ask::DeleteFolder(folder.clone(), reply)).await?.answer().await
    }

    pub(super) async fn rename_folder(&self, from: &FolderName, to: &FolderName) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.ask(|reply| Ask::RenameFolder(from, to, reply)).await?.answer().await
    }

    /// Waits until something changes; dropping the future ends the wait.
    pub(super) async fn watch(&self, folders: Vec<FolderName>) -> Result<Vec<FolderName>> {
        self.ask(|reply| Ask::Watch(folders, reply)).await?.answer().await
    }

    async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<Pending<T>> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(ask(reply)).await.map_err(|_| ended())?;
        Ok(Pending(answer))
    }
}

fn ended() -> Error {
    Error::Unavailable("a worker has ended".to_owned())
}

struct Running {
    side: Side,
    connect: Arc<dyn Connect>,
    driver: Option<Box<dyn Driver>>,
    inbox: mpsc::Receiver<Ask>,
}

impl Running {
    async fn run(mut self) {
        while let Some(ask) = self.inbox.recv().await {
            self.serve(ask).await;
        }
        if let Some(driver) = &mut self.driver
            && let Err(error) = driver.close().await
        {
            tracing::debug!(side = %self.side, %error, "a connection did not end in order");
        }
    }

    async fn serve(&mut self, ask: Ask) {
        let (side, mut driver) = (self.side, self.driver.take());
        if driver.is_none() {
            match self.connect.connect().await {
                Ok(new) => driver = Some(new),
                Err(error) => return refuse(ask, error),
            }
        }
        let Some(mut open) = driver else { return };
        if answer(&mut *open, side, ask).await {
            self.driver = Some(open);
        }
    }
}

/// Does what is asked; tells whether the connection can be used further.
async fn answer(driver: &mut dyn Driver, side: Side, ask: Ask) -> bool {
    match ask {
        Ask::Capabilities(reply) => tell(reply, Ok(driver.capabilities())),
        Ask::Identity(create, reply) => tell(reply, driver.identity(create).await),
        Ask::Folders(reply) => tell(reply, driver.folders().await),
        Ask::Examine(folder, since, snapshot, reply) => {
            tell(reply, examine(driver, side, &folder, since.as_ref(), &snapshot).await)
        }
        Ask::Identify(at, keys, reply) => tell(reply, driver.identify(&at, &keys).await),
        Ask::Digest(at, keys, reply) => tell(reply, digest(driver, &at, &keys).await),
        Ask::Look(at, keys, reply) => tell(reply, read(driver, &at, &keys, Learn::Identity).await),
        Ask::Pour(at, keys, learn, into, reply) => {
            let poured = pour(driver, &at, &keys, learn, &into).await;
            let usable = poured.as_ref().is_ok_and(|poured| is_usable(&poured.outcome));
            let _gone = reply.send(poured);
            usable
        }
        Ask::Append(at, messages, from, reply) => {
            tell(reply, driver.append(&at, &messages, from).await)
        }
        Ask::Link(at, messages, into, reply) => {
            tell(reply, driver.link(&at, &messages, &into).await)
        }
        Ask::Flag(at, groups, reply) => tell(reply, driver.flag(&at, &groups).await),
        Ask::Remove(at, keys, reply) => tell(reply, driver.remove(&at, &keys).await),
        Ask::Relocate(from, keys, to, reply) => {
            tell(reply, driver.relocate(&from, &keys, &to).await)
        }
        Ask::CreateFolder(folder, reply) => tell(reply, driver.create_folder(&folder).await),
        Ask::DeleteFolder(folder, reply) => tell(reply, driver.delete_folder(&folder).await),
        Ask::RenameFolder(from, to, reply) => tell(reply, driver.rename_folder(&from, &to).await),
        Ask::Watch(folders, mut reply) => {
            let woken = tokio::select! {
                woken = driver.watch(&folders) => woken,
                () = reply.closed() => Ok(Vec::new()),
            };
            tell(reply, woken)
        }
    }
}

/// Answers; tells whether the connection can be used further.
fn tell<T>(reply: Reply<T>, answer: Result<T>) -> bool {
    let usable = is_usable(&answer);
    let _gone = reply.send(answer);
    usable
}

fn is_usable<T>(answer: &Result<T>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => matches!(
            error,
            Error::Gone
                | Error::LockConflict(_)
                | Error::Denied(_)
                | Error::BadInput(_)
                | Error::TooLarge { .. }
        ),
    }
}

/// Answers everything with what kept the worker from connecting.
fn refuse(ask: Ask, error: Error) {
    let _unusable = match ask {
        Ask::Capabilities(reply) => tell(reply, Err(error)),
        Ask::Identity(_, reply) => tell(reply, Err(error)),
        Ask::Folders(reply) => tell(reply, Err(error)),
        Ask::Examine(.., reply) => tell(reply, Err(error)),
        Ask::Identify(.., reply) => tell(reply, Err(error)),
        Ask::Digest(.., reply) => tell(reply, Err(error)),
        Ask::Look(.., reply) => tell(reply, Err(error)),
        Ask::Pour(.., reply) => tell(reply, Err(error)),
        Ask::Append(.., reply) | Ask::Relocate(.., reply) => tell(reply, Err(error)),
        Ask::Link(.., reply) => tell(reply, Err(error)),
        Ask::Flag(.., reply) | Ask::Remove(.., reply) => tell(reply, Err(error)),
        Ask::CreateFolder(_, reply) | Ask::DeleteFolder(_, reply) => tell(reply, Err(error)),
        Ask::RenameFolder(.., reply) => tell(reply, Err(error)),
        Ask::Watch(_, reply) => tell(reply, Err(error)),
    };
}

/// The state controller: lists, compares with the agreed state, looks again for what is missing.
async fn examine(
    driver: &mut dyn Driver,
    side: Side,
    folder: &FolderName,
    since: Option<&Checkpoint>,
    snapshot: &Snapshot,
) -> Result<Delta> {
    let listing = driver.list(folder, since).await?;
    let epoch = listing.checkpoint.epoch.clone();
    let mut delta = Delta::between(snapshot, side, listing);
    let at = At { folder: folder.clone(), epoch: epoch.clone() };
    let unstamped = delta.unstamped();
    if !unstamped.is_empty() {
        delta.stamp(&driver.stamps(&at, unstamped).await?);
    }
    delta.follow_renames(snapshot, side);
    if since.is_some_and(|since| since.epoch != epoch) {
        // The keys mean other messages now; whoever asked has to begin anew.
        return Ok(delta);
    }
    let suspects = delta.suspects(snapshot, side);
    if !suspects.is_empty() {
        let gone = driver.confirm_gone(&at, suspects).await?;
        delta.confirm(snapshot, side, &gone);
    }
    Ok(delta)
}

async fn pour(
    driver: &mut dyn Driver,
    at: &At,
    keys: &[Key],
    learn: Learn,
    into: &Pouring,
) -> Result<PouredAll> {
    let (pouring, parts) = pipe();
    let (outcome, learned) =
        future::join(driver.fetch(at, keys, pouring), learn::pass_on(parts, learn, Some(into)))
            .await;
    // The taker's failure is told by the taker, and then this side could not go on either.
    learned.map(|learned| PouredAll { learned, outcome })
}

async fn digest(driver: &mut dyn Driver, at: &At, keys: &[Key]) -> Result<HashMap<Key, Content>> {
    let learned = read(driver, at, keys, Learn::Content).await?;
    Ok(learned.into_iter().filter_map(|known| Some((known.key, known.content?))).collect())
}

async fn read(driver: &mut dyn Driver, at: &At, keys: &[Key], learn: Learn) -> Result<Vec<Poured>> {
    let (pouring, parts) = pipe();
    let (fetched, learned) =
        future::join(driver.fetch(at, keys, pouring), learn::pass_on(parts, learn, None)).await;
    fetched.and(learned)
}
