//! Uploading: several messages in one command where the server has that, or many commands without
//! waiting for each.

use std::collections::HashMap;

use model::{Error, Result};
use tokio::sync::mpsc;

use super::{
    command::date,
    connection::ImapDriver,
    reply::{Code, Reply, Said, Verdict},
    session::{Sent, Session, refused, tag},
};
use crate::{
    Body, Key, Part,
    driver::{Append, Appended, At},
};

/// The longest literal that may be sent without asking where only short ones may.
const SHORT_LITERAL: u64 = 4_096;

/// What is being sent.
struct Upload<'a> {
    session: &'a mut Session,
    name: String,
    messages: HashMap<&'a Key, &'a Append>,
    is_several: bool,
    /// The command that more messages can be put into.
    current: Option<Sending>,
    /// The commands that were sent whole.
    whole: Vec<Sending>,
    said: Vec<(Vec<Key>, Said)>,
}

/// A command and the messages in it.
struct Sending {
    sent: Sent,
    sources: Vec<Key>,
}

/// How far a message came.
enum Progress {
    Whole,
    Refused,
    Cut,
}

impl ImapDriver {
    /// Appends what comes through a pipe.
    pub(super) async fn append_messages(
        &mut self,
        at: &At,
        messages: &[Append],
        mut from: mpsc::Receiver<Part>,
    ) -> Result<Vec<Appended>> {
        let name = self.name_of(&at.folder).await?;
        let epoch = at.epoch.parse().ok();
        let session = if epoch.is_some() { self.within(at).await? } else { self.session().await? };
        let is_several = session.can("MULTIAPPEND");
        let mut upload = Upload {
            session,
            name,
            messages: messages.iter().map(|message| (&message.source, message)).collect(),
            is_several,
            current: None,
            whole: Vec::new(),
            said: Vec::new(),
        };
        let is_cut = match upload.send(&mut from).await {
            Ok(is_cut) => is_cut,
            Err(error) => {
                self.drop_session();
                return Err(error);
            }
        };
        let outcome = upload.outcome(epoch).await;
        if is_cut || outcome.is_err() {
            // A server that waits for the rest of a message drops it with the connection.
            self.drop_session();
        }
        outcome
    }
}

impl Upload<'_> {
    /// Sends everything, and tells whether the last message was cut off.
    async fn send(&mut self, from: &mut mpsc::Receiver<Part>) -> Result<bool> {
        while let Some(part) = from.recv().await {
            match part {
                Part::Begin(body) => match self.message(body, from).await? {
                    Progress::Whole | Progress::Refused => {}
                    Progress::Cut => return Ok(true),
                },
                Part::Lost(_) => {}
                Part::Bytes(_) | Part::End => {
                    return Err(Error::Internal("a pipe has a body without a start".to_owned()));
                }
            }
        }
        self.complete().await?;
        Ok(false)
    }

    async fn message(&mut self, body: Body, from: &mut mpsc::Receiver<Part>) -> Result<Progress> {
        let Some(append) = self.messages.get(&body.key).copied() else {
            return Err(Error::Internal(format!("message {} was not announced", body.key)));
        };
        // A literal without bytes cancels the command, so no server can take an empty message.
        if body.size == 0 {
            return drain(from).await;
        }
        if !self.is_several {
            self.complete().await?;
        }
        let sent = match &mut self.current {
            Some(sending) => {
                sending.sources.push(body.key.clone());
                sending.sent
            }
            None => {
                let sent = self.session.tag();
                let command = format!("{} APPEND {}", tag(sent), self.name);
                self.session.wire.push(command.as_bytes());
                self.current = Some(Sending { sent, sources: vec![body.key.clone()] });
                sent
            }
        };
        let flags: Vec<&str> = append.flags.names().collect();
        let time = body.date.and_then(|time| date(time.unix_seconds()));
        let time = time.map(|time| format!("{time} ")).unwrap_or_default();
        let is_at_once = self.session.can("LITERAL+")
            || (body.size <= SHORT_LITERAL && self.session.can("LITERAL-"));
        let plus = if is_at_once { "+" } else { "" };
        let head = format!(" ({}) {time}{{{}{plus}}}\r\n", flags.join(" "), body.size);
        self.session.wire.push(head.as_bytes());
        if !is_at_once {
            self.session.flush().await?;
            if let Err(said) = self.session.go_on(sent).await? {
                let sources = self.current.take().map(|sending| sending.sources);
                self.said.push((sources.unwrap_or_default(), said));
                drain(from).await?;
                return Ok(Progress::Refused);
            }
        }
        self.body(body.size, from).await
    }

    async fn body(&mut self, size: u64, from: &mut mpsc::Receiver<Part>) -> Result<Progress> {
        let mut left = size;
        while let Some(part) = from.recv().await {
            match part {
                Part::Bytes(piece) => {
                    left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
                        Error::Internal("a message is longer than announced".to_owned())
                    })?;
                    self.session.wire.push(&piece);
                    if self.session.wire.is_full() {
                        self.session.flush().await?;
                    }
                }
                Part::End if left == 0 => return Ok(Progress::Whole),
                Part::End | Part::Begin(_) | Part::Lost(_) => break,
            }
        }
        self.current = None;
        Ok(Progress::Cut)
    }

    /// Ends the command that is being written.
    async fn complete(&mut self) -> Result<()> {
        if let Some(sending) = self.current.take() {
            self.session.wire.push(b"\r\n");
            self.session.flush().await?;
            self.whole.push(sending);
        }
        Ok(())
    }

    /// Waits for the verdicts, and tells what is there now.
    async fn outcome(mut self, epoch: Option<u32>) -> Result<Vec<Appended>> {
        for Sending { sent, sources } in std::mem::take(&mut self.whole) {
            let said = self.session.finish(sent, |_: Reply| Ok(())).await?;
            self.said.push((sources, said));
        }
        let mut appended = Vec::new();
        let mut refusal = None;
        for (sources, said) in self.said {
            if said.verdict != Verdict::Ok {
                refusal = Some(refused(self.session.wire.host(), "APPEND", &said));
                continue;
            }
            let uids: Vec<u32> = match &said.code {
                Code::Appended(validity, uids)
                    if epoch.is_none_or(|epoch| epoch == *validity)
                        && uids.count() == sources.len() as u64 =>
                {
                    uids.iter().collect()
                }
                _ => Vec::new(),
            };
            for (at, source) in sources.into_iter().enumerate() {
                let key = uids.get(at).map(|uid| Key::Uid(*uid));
                appended.push(Appended { source, key, stamp: None });
            }
        }
        match refusal {
            Some(error) if appended.is_empty() => Err(error),
            _ => Ok(appended),
        }
    }
}

/// Takes a message that is not sent out of the pipe.
async fn drain(from: &mut mpsc::Receiver<Part>) -> Result<Progress> {
    while let Some(part) = from.recv().await {
        if part == Part::End {
            return Ok(Progress::Refused);
        }
    }
    Ok(Progress::Cut)
}
