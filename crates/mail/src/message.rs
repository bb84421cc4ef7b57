//! What is known of messages without their bodies.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{Error, Result, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use crate::{
    Flags,
    limits::{HEADER_BYTES_MAX, HEADING_CHARS_MAX, KEY_BYTES_MAX},
};

/// What one store calls a message within its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// The UID that an IMAP server gave it.
    Uid(u32),
    /// The part of a file's name that stays when flags change.
    Name(Box<str>),
}

impl Key {
    /// Checks a name.
    ///
    /// # Errors
    /// If it is empty, too long, or could lead out of its directory.
    pub fn name(name: &str) -> Result<Self> {
        let bad = |c: char| c == '/' || c == '\0';
        if name.is_empty() || name.len() > KEY_BYTES_MAX || name.contains(bad) {
            return Err(Error::bad_input(format!("{name:?} cannot name a message")));
        }
        Ok(Self::Name(name.into()))
    }

    /// Makes the key of a message that a store has got and has not told the number of, of what the
    /// other side calls it. No store calls anything so.
    pub fn untold(other: &Self) -> Self {
        Self::Name(format!("/{other}").into())
    }

    /// Tells whether the store has not told what it calls the message.
    pub fn is_untold(&self) -> bool {
        matches!(self, Self::Name(name) if name.starts_with('/'))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => uid.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// How far a folder has been looked at. Only the driver that made it understands it; everyone
/// else compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// While it stays the same, keys mean the same messages: a UIDVALIDITY, or the identity of a
    /// directory. Empty where the store cannot say.
    pub epoch: SmolStr,
    /// While it stays the same, nothing changed: UIDNEXT, HIGHESTMODSEQ and a count, or times of
    /// change. None where that cannot be told yet, as just after a change.
    pub token: Option<SmolStr>,
}

/// A message as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the store calls it.
    pub key: Key,
    /// Its flags.
    pub flags: Flags,
    /// Its bytes with every line end counted as two, where the listing tells.
    pub size: Option<u64>,
    /// When the store got it, in whole seconds, where the listing tells.
    pub date: Option<Time>,
    /// What stays when a file is renamed: its inode. None where keys never change.
    pub stamp: Option<u64>,
}

/// A short hash of what tells messages apart: size and the `Message-ID`, `Date`, `From` and
/// `Subject` fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Identity(pub [u8; 16]);

/// Fields that tell messages apart.
const FIELDS: [&str; 4] = ["message-id", "date", "from", "subject"];
/// Fields that other sync programs add to their copies, and that are not part of a message.
const TRACERS: [&str; 2] = ["x-tuid", "x-offlineimap"];

impl Identity {
    /// Gives the identity of a message by its headers (or only those of its fields that
    /// [`Identity::FIELDS`] names) and its size with line ends counted as two bytes.
    pub fn of(headers: &[u8], size: u64) -> Self {
        let headers = headers.get(..HEADER_BYTES_MAX).unwrap_or(headers);
        let mut values: [Vec<u8>; FIELDS.len()] = Default::default();
        let mut tracers = 0;
        for field in fields(headers) {
            if is_tracer(&field) {
                tracers += field.bytes;
            }
            let at =
                FIELDS.iter().position(|name| field.name.eq_ignore_ascii_case(name.as_bytes()));
            if let Some(value) = at.and_then(|at| values.get_mut(at)) {
                // Folding and spaces may be rewritten on the way.
                let words = field.value.split(u8::is_ascii_whitespace);
                words.filter(|word| !word.is_empty()).for_each(|word| {
                    value.extend_from_slice(word);
                    value.push(b' ');
                });
                value.push(0);
            }
        }
        let named = values.first().is_some_and(|value| !value.is_empty());
        let mut hasher = Sha256::new();
        hasher.update(size.saturating_sub(tracers).to_be_bytes());
        for value in values {
            hasher.update((value.len() as u64).to_be_bytes());
            hasher.update(value);
        }
        let mut bytes = first16(hasher);
        if let Some(first) = bytes.first_mut() {
            *first = *first & !1 | u8::from(named);
        }
        Self(bytes)
    }

    /// Tells whether it stands on a `Message-ID`; others need a look at the content.
    pub fn is_strong(&self) -> bool {
        self.0.first().is_some_and(|first| first & 1 == 1)
    }

    /// The fields that an IMAP driver asks for to know identities.
    pub const FIELDS: [&str; 6] =
        ["Message-ID", "Date", "From", "Subject", "X-TUID", "X-OfflineIMAP"];
}

/// A message that was looked at more closely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// What the store calls it.
    pub key: Key,
    /// Its bytes with every line end counted as two.
    pub size: u64,
    /// What tells it apart.
    pub identity: Identity,
}

/// A hash of all bytes of a message, with line ends as CRLF and without what other sync programs
/// added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Content(pub [u8; 16]);

/// Lets a short hash be written as text.
macro_rules! as_text {
    ($name:ident) => {
        impl From<$name> for String {
            fn from(hash: $name) -> Self {
                URL_SAFE_NO_PAD.encode(hash.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                let bytes = URL_SAFE_NO_PAD.decode(&text).ok();
                let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
                bytes.map(Self).ok_or_else(|| Error::bad_input(format!("{text:?} is no hash")))
            }
        }
    };
}

as_text!(Identity);
as_text!(Content);

/// Hashes a message that comes in pieces, and learns its identity on the way.
pub struct ContentHasher {
    headers: Vec<u8>,
    in_body: bool,
    /// Whether every byte counts, or the headers alone.
    whole: bool,
    last: u8,
    hasher: Sha256,
    size: u64,
}

impl ContentHasher {
    /// Makes a hasher, which can leave out the bytes of the body if only the identity is wanted;
    /// then the content that it gives means nothing.
    pub fn new(whole: bool) -> Self {
        let headers = Vec::new();
        Self { headers, in_body: false, whole, last: 0, hasher: Sha256::new(), size: 0 }
    }

    /// Gives the values of `Message-ID`, `From` and `Subject` as they stand, for people.
    pub fn heading(&self) -> [String; 3] {
        ["message-id", "from", "subject"].map(|name| {
            let mut named = fields(&self.headers)
                .filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
            let value = named.next().map(|field| String::from_utf8_lossy(field.value).into_owned());
            let value = value.unwrap_or_default();
            let words: Vec<&str> = value.split_whitespace().collect();
            words.join(" ").chars().take(HEADING_CHARS_MAX).collect()
        })
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        let mut start = 0;
        for (at, byte) in piece.iter().enumerate() {
            // Only a bare line feed needs care, so most bytes go on as they are.
            if *byte == b'\n' {
                let before = at.checked_sub(1).and_then(|at| piece.get(at)).copied();
                if before.unwrap_or(self.last) != b'\r' {
                    self.take(piece.get(start..at).unwrap_or(&[]));
                    self.take(b"\r");
                    start = at;
                }
            }
        }
        self.take(piece.get(start..).unwrap_or(&[]));
        if let Some(last) = piece.last() {
            self.last = *last;
        }
    }

    /// Gives the hash of all pieces, and the identity.
    pub fn finish(mut self) -> (Content, About) {
        let headers = std::mem::take(&mut self.headers);
        if !self.in_body {
            hash_headers(&mut self.hasher, &headers);
        }
        let identity = Identity::of(&headers, self.size);
        (Content(first16(self.hasher)), About { size: self.size, identity })
    }

    fn take(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if self.in_body {
            if self.whole {
                self.hasher.update(bytes);
            }
            return;
        }
        self.headers.extend_from_slice(bytes);
        let from = self.headers.len().saturating_sub(bytes.len() + 3);
        let end =
            find(self.headers.get(from..).unwrap_or(&[]), b"\r\n\r\n").map(|at| from + at + 4);
        let end =
            end.or_else(|| (self.headers.len() > HEADER_BYTES_MAX).then_some(HEADER_BYTES_MAX));
        if let Some(end) = end {
            let body = self.headers.split_off(end.min(self.headers.len()));
            hash_headers(&mut self.hasher, &self.headers);
            self.hasher.update(body);
            self.in_body = true;
        }
    }
}

/// What a hasher learned of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Its bytes with every line end counted as two.
    pub size: u64,
    /// What tells it apart.
    pub identity: Identity,
}

struct Field<'a> {
    name: &'a [u8],
    value: &'a [u8],
    whole: &'a [u8],
    /// Bytes of the whole field with line ends counted as two.
    bytes: u64,
}

/// Splits headers into fields, continuation lines included, up to the empty line.
fn fields(headers: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = headers;
    std::iter::from_fn(move || {
        let mut end = 0;
        loop {
            let line = rest.get(end..).unwrap_or(&[]);
            let length =
                line.iter().position(|byte| *byte == b'\n').map_or(line.len(), |at| at + 1);
            if end == 0 && matches!(line.get(..length), None | Some(b"" | b"\n" | b"\r\n")) {
                return None;
            }
            end += length;
            match rest.get(end) {
                Some(b' ' | b'\t') => {}
                _ => break,
            }
        }
        let (whole, after) = rest.split_at(end);
        rest = after;
        let colon = whole.iter().position(|byte| *byte == b':').unwrap_or(whole.len());
        let (name, value) = whole.split_at(colon);
        let bare = |at: usize| at == 0 || whole.get(at - 1) != Some(&b'\r');
        let ends = whole.iter().enumerate().filter(|(at, byte)| **byte == b'\n' && bare(*at));
        let bytes = (whole.len() + ends.count()) as u64;
        Some(Field { name: name.trim_ascii(), value: value.get(1..).unwrap_or(&[]), whole, bytes })
    })
}

fn is_tracer(field: &Field<'_>) -> bool {
    TRACERS.iter().any(|name| field.name.eq_ignore_ascii_case(name.as_bytes()))
}

fn hash_headers(hasher: &mut Sha256, headers: &[u8]) {
    let mut at = 0;
    for field in fields(headers) {
        if !is_tracer(&field) {
            hasher.update(field.whole);
        }
        at += field.whole.len();
    }
    hasher.update(headers.get(at..).unwrap_or(&[]));
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn first16(hasher: Sha256) -> [u8; 16] {
    let digest = hasher.finalize();
    let mut first = [0; 16];
    first.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(pieces: &[&[u8]]) -> (Content, About) {
        let mut hasher = ContentHasher::new(true);
        pieces.iter().for_each(|piece| hasher.update(piece));
        hasher.finish()
    }

    const PLAIN: &[u8] = b"From: a@b\r\nSubject: one\r\n two\r\n\r\nbody\r\nmore\r\n";

    #[test]
    fn line_ends_pieces_and_tracers_do_not_change_a_message() {
        let whole = hash(&[PLAIN]);
        assert_eq!(whole.1.size, PLAIN.len() as u64);
        let bytes: Vec<&[u8]> = PLAIN.chunks(1).collect();
        assert_eq!(hash(&bytes), whole);
        let bare: Vec<u8> = PLAIN.iter().copied().filter(|byte| *byte != b'\r').collect();
        assert_eq!(hash(&[&bare]), whole);
        let bare_bytes: Vec<&[u8]> = bare.chunks(1).collect();
        assert_eq!(hash(&bare_bytes), whole);
        let traced = [b"X-TUID: abc\r\n def\r\n", PLAIN].concat();
        let (content, about) = hash(&[&traced]);
        assert_eq!((content, about.identity), (whole.0, whole.1.identity));
        assert_eq!(about.size, traced.len() as u64);
        let (head, _) = PLAIN.split_at(34);
        assert_eq!(Identity::of(head, PLAIN.len() as u64), whole.1.identity);
    }

    #[test]
    fn other_bytes_are_another_message() {
        let whole = hash(&[PLAIN]);
        let other = PLAIN.to_ascii_uppercase();
        assert_ne!(hash(&[&other]).0, whole.0);
        let body = [PLAIN, b"x"].concat();
        assert_ne!(hash(&[&body]).0, whole.0);
        assert_ne!(hash(&[&body]).1.identity, whole.1.identity);
        assert_ne!(hash(&[b""]).0, hash(&[b"\r\n"]).0);
    }
}
