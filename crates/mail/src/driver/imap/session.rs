//! The order of a conversation: commands with tags, what comes between, and how each one ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use model::{Error, Result};

use super::{
    decode::decode,
    reply::{Code, MessageRow, Reply, Said, Verdict},
    settings::ImapSettings,
    wire::{Traffic, Wire},
};

/// A conversation with a server, from the log-in on.
pub(super) struct Session {
    pub(super) wire: Wire,
    pub(super) settings: ImapSettings,
    /// What the server can do, in capitals.
    capabilities: BTreeSet<String>,
    tags: u64,
    /// Commands that were sent and have not ended, oldest first.
    open: BTreeMap<u64, Option<Said>>,
    /// The response of which a literal is being read, up to there.
    partial: Vec<u8>,
    literals: usize,
    replies: usize,
    /// Set once we take our leave, after which the server may as well.
    is_leaving: bool,
    /// Set while something is under way, so that whoever was given up in between is not used again.
    is_broken: bool,
}

/// What comes next from a server.
pub(super) enum Incoming {
    /// A whole response.
    Reply(Reply),
    /// A response that goes on with so many bytes of a message, which must be taken with
    /// [`Session::piece`] before anything else.
    Section(MessageRow, u64),
}

/// A command that was sent and has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent(u64);

impl Session {
    /// Begins a conversation on a connection.
    pub(super) fn new(wire: Wire, settings: &ImapSettings) -> Self {
        Self {
            wire,
            settings: settings.clone(),
            capabilities: BTreeSet::new(),
            tags: 0,
            open: BTreeMap::new(),
            partial: Vec::new(),
            literals: 0,
            replies: 0,
            is_leaving: false,
            is_broken: false,
        }
    }

    /// Tells whether the server can do something, and it may be used.
    pub(super) fn can(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }

    /// Tells whether what the server can do is known.
    pub(super) fn knows_capabilities(&self) -> bool {
        !self.capabilities.is_empty()
    }

    /// Takes note of what the server can do.
    pub(super) fn learn(&mut self, list: &[String]) {
        let names = list.iter().map(|name| name.to_ascii_uppercase());
        self.capabilities = names.filter(|name| !self.settings.without.contains(name)).collect();
    }

    /// Takes note of something that the server cannot do after all.
    pub(super) fn unlearn(&mut self, capability: &str) {
        self.capabilities.remove(capability);
    }

    /// Forgets what the server can do, since whoever said it was not known.
    pub(super) fn forget_capabilities(&mut self) {
        self.capabilities.clear();
    }

    /// Tells how much went over the connection.
    pub(super) fn traffic(&self) -> Traffic {
        self.wire.traffic
    }

    /// Tells whether the conversation stands between two commands, so that it can be used.
    pub(super) fn is_sound(&self) -> bool {
        !self.is_broken && self.open.is_empty() && self.partial.is_empty()
    }

    /// Runs a command to its end, and fails unless the server is content.
    pub(super) async fn run(
        &mut self,
        command: &str,
        on: impl FnMut(Reply) -> Result<()>,
    ) -> Result<Said> {
        let sent = self.start(command).await?;
        let said = self.finish(sent, on).await?;
        self.content(command, said)
    }

    /// Takes leave.
    pub(super) async fn log_out(&mut self) -> Result<()> {
        self.is_leaving = true;
        self.run("LOGOUT", |_| Ok(())).await?;
        Ok(())
    }

    /// Makes a failure of a verdict that is not content.
    pub(super) fn content(&self, command: &str, said: Said) -> Result<Said> {
        match said.verdict {
            Verdict::Ok => Ok(said),
            Verdict::No | Verdict::Bad => Err(refused(self.wire.host(), command, &said)),
        }
    }

    /// Sends a command.
    pub(super) async fn start(&mut self, command: &str) -> Result<Sent> {
        let sent = self.push(command);
        self.flush().await?;
        Ok(sent)
    }

    /// Puts a command behind those that wait to be sent.
    pub(super) fn push(&mut self, command: &str) -> Sent {
        let sent = self.tag();
        self.wire.push(format!("{} {command}\r\n", tag(sent)).as_bytes());
        sent
    }

    /// Takes the tag of a command whose bytes the caller sends.
    pub(super) fn tag(&mut self) -> Sent {
        self.tags += 1;
        self.open.insert(self.tags, None);
        Sent(self.tags)
    }

    /// Sends what waits.
    pub(super) async fn flush(&mut self) -> Result<()> {
        self.is_broken = true;
        self.wire.flush().await?;
        self.is_broken = false;
        Ok(())
    }

    /// Reads until a command has ended, and gives what came before to its caller.
    pub(super) async fn finish(
        &mut self,
        sent: Sent,
        mut on: impl FnMut(Reply) -> Result<()>,
    ) -> Result<Said> {
        loop {
            if let Some(said) = self.ended(sent) {
                return Ok(said);
            }
            match self.next().await? {
                Incoming::Reply(Reply::Done(name, said)) => self.end(&name, said)?,
                Incoming::Reply(Reply::Continue(_)) => {
                    return Err(self.confused("asks for more of a command that was complete"));
                }
                Incoming::Reply(reply) => {
                    let noted = on(reply);
                    self.is_broken |= noted.is_err();
                    noted?;
                }
                Incoming::Section(_, bytes) => self.skip(bytes).await?,
            }
        }
    }

    /// Gives the verdict on a command, if it has ended.
    pub(super) fn ended(&mut self, sent: Sent) -> Option<Said> {
        let said = self.open.get_mut(&sent.0)?.take()?;
        self.open.remove(&sent.0);
        Some(said)
    }

    /// Takes note of the end of a command.
    pub(super) fn end(&mut self, name: &str, said: Said) -> Result<()> {
        let number = name.strip_prefix('L').and_then(|number| number.parse().ok());
        match number.and_then(|number: u64| self.open.get_mut(&number)) {
            Some(slot @ None) => {
                *slot = Some(said);
                self.replies = 0;
                Ok(())
            }
            Some(Some(_)) | None => Err(self.confused("ends a command that was not sent")),
        }
    }

    /// Waits until the server asks for the rest of a command; or for its end, if that comes first.
    pub(super) async fn go_on(&mut self, sent: Sent) -> Result<Result<Vec<u8>, Said>> {
        loop {
            match self.next().await? {
                Incoming::Reply(Reply::Continue(text)) => return Ok(Ok(text)),
                Incoming::Reply(Reply::Done(name, said)) => {
                    self.end(&name, said)?;
                    if let Some(said) = self.ended(sent) {
                        return Ok(Err(said));
                    }
                }
                Incoming::Reply(_) => {}
                Incoming::Section(_, bytes) => self.skip(bytes).await?,
            }
        }
    }

    /// Tells whether something arrives within a time.
    pub(super) async fn arrives(&mut self, within: Duration) -> Result<bool> {
        self.wire.arrives(within).await
    }

    /// Reads what comes next.
    pub(super) async fn next(&mut self) -> Result<Incoming> {
        self.is_broken = true;
        let incoming = self.read().await?;
        self.is_broken = false;
        if let Incoming::Reply(reply) = &incoming {
            self.replies += 1;
            match reply {
                Reply::Capabilities(list) => self.learn(&list.clone()),
                Reply::Said(Said { code: Code::Capabilities(list), .. })
                | Reply::Done(_, Said { code: Code::Capabilities(list), .. }) => {
                    self.learn(&list.clone());
                }
                Reply::Bye(said) if !self.is_leaving => {
                    self.is_broken = true;
                    return Err(Error::Unavailable(format!(
                        "mail server {} ends the connection: {}",
                        self.wire.host(),
                        shown(&said.text)
                    )));
                }
                _ => {}
            }
            if self.replies > self.settings.limits.replies_max {
                return Err(self.confused("sends without end"));
            }
        }
        Ok(incoming)
    }

    /// Gives the next bytes of a section, at most so many.
    pub(super) async fn piece(&mut self, bytes_max: u64) -> Result<&[u8]> {
        self.is_broken = true;
        let piece = self.wire.piece(bytes_max).await?;
        self.is_broken = false;
        Ok(piece)
    }

    /// Takes a section and drops it.
    pub(super) async fn skip(&mut self, bytes: u64) -> Result<()> {
        let mut left = bytes;
        while left > 0 {
            left -= self.piece(left).await?.len() as u64;
        }
        Ok(())
    }

    /// Takes a section into memory.
    pub(super) async fn take(&mut self, bytes: u64) -> Result<Vec<u8>> {
        let limit = self.settings.limits.literal_bytes_max;
        if bytes > limit {
            self.is_broken = true;
            return Err(self.too_large("a header", bytes, limit));
        }
        let mut whole = Vec::new();
        let mut left = bytes;
        while left > 0 {
            let piece = self.piece(left).await?;
            left -= piece.len() as u64;
            whole.extend_from_slice(piece);
        }
        Ok(whole)
    }

    /// Says that a server does what it must not, after which nothing it says can be relied on.
    pub(super) fn confused(&mut self, what: &str) -> Error {
        self.is_broken = true;
        Error::bad_input(format!("mail server {} {what}", self.wire.host()))
    }

    fn too_large(&self, what: &str, bytes: u64, limit: u64) -> Error {
        let what = format!("{what} from mail server {}", self.wire.host());
        Error::TooLarge { what, size: bytes, limit }
    }

    async fn read(&mut self) -> Result<Incoming> {
        let mut line = std::mem::take(&mut self.partial);
        loop {
            self.wire.line(&mut line).await?;
            let Some((start, bytes)) = literal(&line) else { break };
            self.literals += 1;
            if self.literals > self.settings.limits.literals_max {
                return Err(self.confused("sends too many literals at once"));
            }
            let depth_max = self.settings.limits.depth_max;
            if let Some(row) = section(&line, start, depth_max) {
                let limit = self.settings.limits.message_bytes_max;
                if bytes > limit {
                    return Err(self.too_large("a message", bytes, limit));
                }
                line.truncate(start);
                line.extend_from_slice(b"{0}\r\n");
                self.partial = line;
                return Ok(Incoming::Section(row, bytes));
            }
            let limit = self.settings.limits.literal_bytes_max;
            if bytes > limit {
                return Err(self.too_large("a literal", bytes, limit));
            }
            line.extend_from_slice(b"\r\n");
            let mut left = bytes;
            while left > 0 {
                let piece = self.wire.piece(left).await?;
                left -= piece.len() as u64;
                line.extend_from_slice(piece);
            }
        }
        self.literals = 0;
        match decode(&line, self.settings.limits.depth_max) {
            Some(reply) => Ok(Incoming::Reply(reply)),
            None => {
                let start = line.get(..line.len().min(80)).unwrap_or_default();
                let text = shown(&String::from_utf8_lossy(start));
                Err(self.confused(&format!("sends what is no IMAP: {text}")))
            }
        }
    }
}

/// Writes the tag of a command.
pub(super) fn tag(sent: Sent) -> String {
    format!("L{}", sent.0)
}

/// Makes an error of a refusal.
pub(super) fn refused(host: &str, command: &str, said: &Said) -> Error {
    let verb = command.split(' ').take(2).collect::<Vec<_>>();
    let verb = match verb.as_slice() {
        ["UID", verb] | [verb, ..] => (*verb).to_owned(),
        [] => String::new(),
    };
    let text = format!("mail server {host} refuses {verb}: {}", shown(&said.text));
    match &said.code {
        Code::OverQuota => Error::StorageFull(text),
        Code::Other(word) if word == "UNAVAILABLE" || word == "LIMIT" || word == "INUSE" => {
            Error::Unavailable(text)
        }
        Code::Other(word) if word == "NOPERM" => Error::Denied(text),
        Code::ReadOnly => Error::Denied(text),
        _ => Error::bad_input(text),
    }
}

/// Makes what a server says fit to be shown: one line without control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(200).collect()
}

/// Finds the literal that a line ends with: where it starts, and how many bytes follow.
fn literal(line: &[u8]) -> Option<(usize, u64)> {
    let inner = line.strip_suffix(b"}")?;
    let inner = inner.strip_suffix(b"+").unwrap_or(inner);
    let digits = inner.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let number = inner.get(inner.len() - digits..)?;
    let start = inner.len().checked_sub(digits + 1)?;
    if digits == 0 || digits > 19 || inner.get(start) != Some(&b'{') || !line.starts_with(b"* ") {
        return None;
    }
    let bytes = std::str::from_utf8(number).ok()?.parse().ok()?;
    Some((start, bytes))
}

/// Tells whether a literal is a part of a message, and what is known of the message up to there.
fn section(line: &[u8], start: usize, depth_max: usize) -> Option<MessageRow> {
    let before = line.get(..start)?;
    let head = before.strip_suffix(b" ")?;
    if !head.ends_with(b"]") && !head.ends_with(b"]<0>") {
        return None;
    }
    let mut whole = before.to_vec();
    whole.extend_from_slice(b"\"\")");
    match decode(&whole, depth_max) {
        Some(Reply::Message(row)) => Some(row),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_seen_at_the_end_of_a_line_only() {
        assert_eq!(literal(b"* LIST () \"/\" {5}"), Some((14, 5)));
        assert_eq!(literal(b"* 1 FETCH (BODY[] {12+}"), Some((18, 12)));
        for line in
            ["* OK {5", "* OK 5}", "* OK {}", "* OK {5} ", "L1 OK {5}", "* OK {+}", "* OK {x}"]
        {
            assert_eq!(literal(line.as_bytes()), None, "{line:?}");
        }
    }

    #[test]
    fn the_number_of_a_message_is_known_before_its_body() {
        let line = b"* 7 FETCH (FLAGS (\\Seen UID) UID 42 BODY[] {100}";
        let (start, bytes) = literal(line).unwrap();
        let row = section(line, start, 8).unwrap();
        assert_eq!((row.uid, row.place, bytes), (Some(42), 7, 100));
        let unknown = b"* 7 FETCH (BODY[] {100}";
        assert_eq!(section(unknown, 18, 8).unwrap().uid, None);
        assert!(section(b"* LIST () \"/\" {5}", 14, 8).is_none());
    }
}
