//! Bodies and headers, in batches that are asked for before the one before has ended.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use model::{Error, Result};

use super::{
    connection::{ImapDriver, uids_of},
    list::time,
    reply::{MessageRow, Reply, Verdict},
    session::{Incoming, Sent, Session},
    uids::Uids,
};
use crate::{Body, Identified, Identity, Key, Part, Pouring, driver::At, limits::PIECE_BYTES_MAX};

/// Messages that one command asks for.
const BATCH: usize = 500;
/// Commands that are under way at once, so that the server need not wait for us.
const COMMANDS: usize = 2;

impl ImapDriver {
    /// Pours messages.
    pub(super) async fn fetch_messages(
        &mut self,
        at: &At,
        keys: &[Key],
        into: Pouring,
    ) -> Result<()> {
        for key in keys.iter().filter(|key| matches!(key, Key::Name(_))) {
            into.send(Part::Lost(key.clone())).await?;
        }
        let asked = uids_of(keys);
        if asked.is_empty() {
            return Ok(());
        }
        let left = asked.iter().collect();
        let session = self.within(at).await?;
        let mut pourer = Pourer { session, into, left, again: Vec::new(), alone: None };
        let poured = pourer.pour_all(&asked).await;
        if poured.is_err() {
            // Whatever is still on its way belongs to nobody.
            self.drop_session();
        }
        poured
    }

    /// Asks for the headers that tell messages apart.
    pub(super) async fn identify_messages(
        &mut self,
        at: &At,
        keys: &[Key],
    ) -> Result<Vec<Identified>> {
        let asked = uids_of(keys);
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let session = self.within(at).await?;
        let fields = Identity::FIELDS.join(" ");
        let mut identified = Vec::new();
        let mut sent = VecDeque::new();
        for some in batches(&asked) {
            sent.push_back(session.push(&format!(
                "UID FETCH {some} (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({fields})])"
            )));
            if sent.len() >= COMMANDS {
                session.flush().await?;
                read_headers(session, sent.pop_front(), &asked, &mut identified).await?;
            }
        }
        session.flush().await?;
        while let Some(command) = sent.pop_front() {
            read_headers(session, Some(command), &asked, &mut identified).await?;
        }
        Ok(identified)
    }
}

/// Splits a set into those that one command asks for.
fn batches(uids: &Uids) -> Vec<Uids> {
    let all: Vec<u32> = uids.iter().collect();
    let batches = all.chunks(BATCH).map(|some| Uids::of(some.iter().copied()));
    batches.flat_map(|some| some.split(8_000)).collect()
}

async fn read_headers(
    session: &mut Session,
    sent: Option<Sent>,
    asked: &Uids,
    identified: &mut Vec<Identified>,
) -> Result<()> {
    let Some(sent) = sent else { return Ok(()) };
    let mut headers = None;
    loop {
        if let Some(said) = session.ended(sent) {
            return session.content("FETCH", said).map(|_| ());
        }
        match session.next().await? {
            Incoming::Section(_, bytes) => headers = Some(session.take(bytes).await?),
            Incoming::Reply(Reply::Message(row)) => {
                let headers = headers.take().or(row.part);
                if let (Some(uid), Some(size), Some(headers)) = (row.uid, row.bytes, headers)
                    && asked.contains(uid)
                {
                    let identity = Identity::of(&headers, size);
                    identified.push(Identified { key: Key::Uid(uid), size, identity });
                }
            }
            Incoming::Reply(Reply::Done(name, said)) => session.end(&name, said)?,
            Incoming::Reply(_) => {}
        }
        if identified.len() as u64 > asked.count() {
            return Err(session.confused("sends more headers than were asked for"));
        }
    }
}

/// Messages on their way from a session into a pipe.
struct Pourer<'a> {
    session: &'a mut Session,
    into: Pouring,
    left: BTreeSet<u32>,
    /// Messages whose number came after their body, so that they must be asked for alone.
    again: Vec<u32>,
    /// The only message that can come, whose number need not be told.
    alone: Option<u32>,
}

impl Pourer<'_> {
    async fn pour_all(&mut self, asked: &Uids) -> Result<()> {
        let mut sent = VecDeque::new();
        for some in batches(asked) {
            sent.push_back(self.ask(&some));
            if sent.len() >= COMMANDS {
                self.session.flush().await?;
                self.pour(sent.pop_front()).await?;
            }
        }
        self.session.flush().await?;
        while let Some(command) = sent.pop_front() {
            self.pour(Some(command)).await?;
        }
        for uid in std::mem::take(&mut self.again) {
            if self.left.contains(&uid) {
                self.alone = Some(uid);
                let command = self.ask(&Uids::of([uid]));
                self.session.flush().await?;
                self.pour(Some(command)).await?;
            }
        }
        for uid in std::mem::take(&mut self.left) {
            self.into.send(Part::Lost(Key::Uid(uid))).await?;
        }
        Ok(())
    }

    fn ask(&mut self, some: &Uids) -> Sent {
        self.session.push(&format!("UID FETCH {some} (UID INTERNALDATE BODY.PEEK[])"))
    }

    /// Pours what one command brings.
    async fn pour(&mut self, sent: Option<Sent>) -> Result<()> {
        let Some(sent) = sent else { return Ok(()) };
        let mut is_skipped = false;
        loop {
            if let Some(said) = self.session.ended(sent) {
                if said.verdict == Verdict::Bad {
                    return self.session.content("FETCH", said).map(|_| ());
                }
                if said.verdict == Verdict::No && self.alone.is_none() {
                    // One message that the server cannot read must not keep the others back.
                    self.again.extend(&self.left);
                }
                return Ok(());
            }
            match self.session.next().await? {
                Incoming::Section(row, bytes) => match row.uid.or(self.alone) {
                    Some(uid) if self.left.contains(&uid) => {
                        self.one(uid, &row, bytes).await?;
                    }
                    Some(_) => return Err(self.session.confused("sends a message twice")),
                    None => {
                        self.session.skip(bytes).await?;
                        is_skipped = true;
                    }
                },
                Incoming::Reply(Reply::Message(mut row)) => {
                    if std::mem::take(&mut is_skipped) {
                        self.again.extend(row.uid);
                    } else if let Some(part) = row.part.take() {
                        self.short(&row, part).await?;
                    }
                }
                Incoming::Reply(Reply::Done(name, said)) => self.session.end(&name, said)?,
                Incoming::Reply(_) => {}
            }
        }
    }

    /// Pours one message as it comes.
    async fn one(&mut self, uid: u32, row: &MessageRow, bytes: u64) -> Result<()> {
        let key = Key::Uid(uid);
        let body = Body { key, size: bytes, date: row.date.map(time) };
        self.into.send(Part::Begin(body)).await?;
        let mut left = bytes;
        while left > 0 {
            let piece = self.session.piece(left.min(PIECE_BYTES_MAX as u64)).await?;
            left -= piece.len() as u64;
            let piece = Bytes::copy_from_slice(piece);
            self.into.send(Part::Bytes(piece)).await?;
        }
        self.into.send(Part::End).await?;
        self.left.remove(&uid);
        Ok(())
    }

    /// Pours a message that came as a quoted string, as empty ones do.
    async fn short(&mut self, row: &MessageRow, part: Vec<u8>) -> Result<()> {
        let Some(uid) = row.uid.or(self.alone).filter(|uid| self.left.contains(uid)) else {
            return Ok(());
        };
        if part.len() > PIECE_BYTES_MAX {
            return Err(Error::too_large("a quoted message", part.len(), PIECE_BYTES_MAX));
        }
        let size = part.len() as u64;
        let body = Body { key: Key::Uid(uid), size, date: row.date.map(time) };
        self.into.send(Part::Begin(body)).await?;
        if size > 0 {
            self.into.send(Part::Bytes(part.into())).await?;
        }
        self.into.send(Part::End).await?;
        self.left.remove(&uid);
        Ok(())
    }
}
