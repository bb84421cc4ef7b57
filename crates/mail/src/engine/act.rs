//! What a workflow does to the mail of an account: on both sides and in the agreed state, so that
//! the next round finds nothing new in it.

use futures_util::future;
use model::{Error, Result};
use serde_json::json;
use smol_str::SmolStr;
use tokio::sync::mpsc;

use super::{Mode, learn::Learn, round::Session};
use crate::{
    Body, FlagChange, Flags, FolderName, Identity, Key, Pair, Part, Side, Sides,
    driver::{Append, Appended, At, FlagGroup},
    limits::{ACTED_BYTES_MAX, PIECE_BYTES_MAX},
    pipe,
    state::Change,
};

/// A message as the event that told of it named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its folder.
    pub folder: FolderName,
    /// The side that calls it by the key.
    pub side: Side,
    /// What that side calls it.
    pub key: Key,
    /// The epoch in which the key holds, if it is known.
    pub epoch: Option<SmolStr>,
    /// What tells it apart, if it is known, to find it where it has gone.
    pub identity: Option<Identity>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put a message into another folder.
    Move(Message, FolderName),
    /// Change the flags of a message.
    Flag(Message, FlagChange),
    /// Read a message.
    Fetch(Message),
    /// Make a message, which has a `Message-ID`.
    Append(New),
}

/// A message to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New {
    /// Where.
    pub folder: FolderName,
    /// All of it, with line ends as CRLF.
    pub content: Vec<u8>,
    /// Its flags.
    pub flags: Flags,
    /// A name that nothing else has, the same at each attempt: letters and digits.
    pub name: SmolStr,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acted {
    /// The message is there, under these keys where they are known.
    There(FolderName, Option<Sides<Key>>),
    /// The message, as it was read.
    Read(Vec<u8>),
}

/// Whether events tell of what is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// They do, as if a person had done it.
    Everyone,
    /// They do not, so that what an event has started does not start itself again.
    Nobody,
}

impl Session<'_> {
    /// Does something to a message; doing it twice is as good as once.
    ///
    /// # Errors
    /// [`Error::Gone`] if the message is no longer there; whatever a side says.
    pub async fn act(&self, action: &Action, tell: Tell) -> Result<Acted> {
        match self.try_act(action, tell).await {
            // What is not known yet, or has been moved, is found by a round.
            Err(Error::Gone) => {
                self.round(&Mode::Apply).await?;
                self.try_act(action, tell).await
            }
            acted => acted,
        }
    }

    async fn try_act(&self, action: &Action, tell: Tell) -> Result<Acted> {
        match action {
            Action::Move(message, to) => self.put(message, to, tell).await,
            Action::Flag(message, change) => self.mark(message, change, tell).await,
            Action::Fetch(message) => self.fetch(message).await,
            Action::Append(new) => self.make(new).await,
        }
    }

    async fn put(&self, message: &Message, to: &FolderName, tell: Tell) -> Result<Acted> {
        self.ensure(to).await?;
        let (pair, at) = match self.find(message).await {
            Err(Error::Gone) => {
                let moved = self.find_by_identity(to, message.identity).await?;
                return Ok(Acted::There(to.clone(), Some(moved.keys)));
            }
            found => found?,
        };
        if message.folder == *to {
            return Ok(Acted::There(to.clone(), Some(pair.keys)));
        }
        let (left, right) = future::try_join(
            self.relocate_one(Side::Left, &pair, &at, to),
            self.relocate_one(Side::Right, &pair, &at, to),
        )
        .await?;
        let stamps = Sides { left: left.stamp, right: right.stamp };
        let keys = left.key.zip(right.key).map(|(left, right)| Sides { left, right });
        let mut changes = vec![match &keys {
            Some(keys) => {
                Change::MovePair { pair: pair.id, to: to.clone(), keys: keys.clone(), stamps }
            }
            // It is on both sides, and the next round finds that by its content.
            None => Change::DropPair(pair.id),
        }];
        if tell == Tell::Everyone {
            let (from, key) = (&message.folder, pair.keys.get(message.side));
            let id = format!("{from}/{to}/{key}/acted/{}", self.now().0);
            let data = json!({"from": from, "to": to, "side": message.side, "key": key});
            changes.push(self.event(id, "io.lockstep.mail.message.moved.v1", data));
        }
        self.state.record(changes).await?;
        Ok(Acted::There(to.clone(), keys))
    }

    async fn relocate_one(
        &self,
        side: Side,
        pair: &Pair,
        at: &Sides<At>,
        to: &FolderName,
    ) -> Result<Appended> {
        let worker = self.pools.get(side).take().await?;
        let keys = vec![pair.keys.get(side).clone()];
        let moved = worker.relocate(at.get(side), keys, to).await?;
        moved.into_iter().next().ok_or(Error::Gone)
    }

    async fn mark(&self, message: &Message, change: &FlagChange, tell: Tell) -> Result<Acted> {
        let (pair, at) = self.find(message).await?;
        for side in Side::BOTH {
            let keys = vec![pair.keys.get(side).clone()];
            let group = FlagGroup { keys, change: change.clone() };
            let worker = self.pools.get(side).take().await?;
            if worker.flag(at.get(side), vec![group]).await?.is_empty() {
                return Err(Error::Gone);
            }
        }
        let agreed = change.of(&pair.flags);
        let mut changes = vec![Change::Flags(pair.id, agreed.clone())];
        if tell == Tell::Everyone {
            let (folder, key) = (&message.folder, pair.keys.get(message.side));
            let id = format!("{folder}/{key}/acted/{}", self.now().0);
            let data = json!({
                "folder": folder, "side": message.side, "key": key, "flags": agreed,
                "add": change.add, "remove": change.remove,
            });
            changes.push(self.event(id, "io.lockstep.mail.message.flags.changed.v1", data));
        }
        self.state.record(changes).await?;
        Ok(Acted::There(message.folder.clone(), Some(pair.keys)))
    }

    async fn fetch(&self, message: &Message) -> Result<Acted> {
        let (pair, at) = self.find(message).await?;
        // A file is read sooner than a server is asked.
        let mut side = message.side;
        for other in Side::BOTH {
            if self.pools.get(other).take().await?.capabilities().await?.cheap_bodies {
                side = other;
            }
        }
        let worker = self.pools.get(side).take().await?;
        let (pouring, parts) = pipe();
        let keys = vec![pair.keys.get(side).clone()];
        let poured = worker.pour(at.get(side), keys, Learn::Identity, pouring).await?;
        let (read, poured) = future::join(collect(parts), poured.answer()).await;
        let read = read?;
        poured?.whole()?;
        read.map(Acted::Read).ok_or(Error::Gone)
    }

    async fn make(&self, new: &New) -> Result<Acted> {
        self.ensure(&new.folder).await?;
        // An attempt that was cut off may have made it, which a round finds out.
        self.round(&Mode::Apply).await?;
        let identity = Identity::of(&new.content, new.content.len() as u64);
        if let Ok(known) = self.find_by_identity(&new.folder, Some(identity)).await {
            return Ok(Acted::There(new.folder.clone(), Some(known.keys)));
        }
        let name = Key::name(&new.name)?;
        let mut made = Sides::<Option<Appended>>::default();
        let mut settled = Vec::new();
        for side in Side::BOTH {
            let worker = self.pools.get(side).take().await?;
            if worker.capabilities().await?.ghosts {
                let (folder, keys) = (new.folder.clone(), vec![name.clone()]);
                let intend = Change::Intend { folder, side, keys, run: 0 };
                self.state.record(vec![intend]).await?;
                settled.push(Change::Settle(new.folder.clone(), side, vec![name.clone()]));
            }
            let append =
                Append { source: name.clone(), name: new.name.clone(), flags: new.flags.clone() };
            let at = At { folder: new.folder.clone(), epoch: SmolStr::default() };
            let (pouring, parts) = pipe();
            let appended = worker.append(&at, vec![append], parts).await?;
            let (poured, appended) = future::join(
                async {
                    let poured = pour(&name, new, &pouring).await;
                    drop(pouring);
                    poured
                },
                appended.answer(),
            )
            .await;
            let appended = appended?;
            poured?;
            *made.get_mut(side) = appended.into_iter().next();
        }
        let keys = |side: Side| made.get(side).as_ref().and_then(|made| made.key.clone());
        let keys = keys(Side::Left).zip(keys(Side::Right));
        let keys = keys.map(|(left, right)| Sides { left, right });
        if let Some(keys) = &keys {
            let stamp = |side: Side| made.get(side).as_ref().and_then(|made| made.stamp);
            settled.push(Change::AddPair {
                folder: new.folder.clone(),
                keys: keys.clone(),
                stamps: Sides { left: stamp(Side::Left), right: stamp(Side::Right) },
                flags: new.flags.clone(),
                identity: Some(identity),
            });
        }
        self.state.record(settled).await?;
        Ok(Acted::There(new.folder.clone(), keys))
    }

    /// Makes a folder on both sides, unless both have it.
    async fn ensure(&self, folder: &FolderName) -> Result<()> {
        let overview = self.state.overview(self.now()).await?;
        if overview.folders.iter().any(|row| row.name == *folder) {
            return Ok(());
        }
        for side in Side::BOTH {
            self.pools.get(side).take().await?.create_folder(folder).await?;
        }
        self.round(&Mode::Apply).await.map(drop)
    }

    /// Finds a message in the agreed state, and where it is.
    async fn find(&self, message: &Message) -> Result<(Pair, Sides<At>)> {
        let overview = self.state.overview(self.now()).await?;
        let row = overview.folders.iter().find(|row| row.name == message.folder);
        let row = row.ok_or(Error::Gone)?;
        let epoch = |side: Side| {
            let checkpoint = row.checkpoints.get(side).as_ref();
            checkpoint.map(|checkpoint| checkpoint.epoch.clone()).unwrap_or_default()
        };
        let known = epoch(message.side);
        if message.epoch.as_ref().is_some_and(|epoch| !known.is_empty() && *epoch != known) {
            return Err(Error::Gone);
        }
        let snapshot = self.state.snapshot(&message.folder).await?;
        let place = snapshot.find(message.side, &message.key).ok_or(Error::Gone)?;
        let pair = snapshot.get(place).ok_or(Error::Gone)?.clone();
        let at = Sides::of(|side| At { folder: message.folder.clone(), epoch: epoch(side) });
        Ok((pair, at))
    }

    async fn find_by_identity(
        &self,
        folder: &FolderName,
        identity: Option<Identity>,
    ) -> Result<Pair> {
        // One that does not stand on a `Message-ID` may be another message.
        let identity = identity.filter(Identity::is_strong).ok_or(Error::Gone)?;
        let snapshot = self.state.snapshot(folder).await?;
        let found = snapshot.pairs().iter().find(|pair| pair.identity == Some(identity));
        found.cloned().ok_or(Error::Gone)
    }
}

/// Takes a message from a pipe; none if it is gone.
async fn collect(mut parts: mpsc::Receiver<Part>) -> Result<Option<Vec<u8>>> {
    let (mut bytes, mut whole) = (Vec::new(), false);
    while let Some(part) = parts.recv().await {
        match part {
            Part::Begin(Body { size, .. }) if size > ACTED_BYTES_MAX => {
                let what = "bytes of a message that is read".to_owned();
                return Err(Error::TooLarge { what, size, limit: ACTED_BYTES_MAX });
            }
            Part::Begin(_) | Part::Lost(_) => {}
            Part::Bytes(piece) => bytes.extend_from_slice(&piece),
            Part::End => whole = true,
        }
    }
    Ok(whole.then_some(bytes))
}

/// Puts a message into a pipe.
async fn pour(key: &Key, new: &New, into: &crate::Pouring) -> Result<()> {
    let size = new.content.len() as u64;
    into.send(Part::Begin(Body { key: key.clone(), size, date: None })).await?;
    for piece in new.content.chunks(PIECE_BYTES_MAX) {
        into.send(Part::Bytes(bytes::Bytes::copy_from_slice(piece))).await?;
    }
    into.send(Part::End).await
}
