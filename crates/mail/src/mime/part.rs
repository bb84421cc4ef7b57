//! The parts of a message.

use super::encoded;
use crate::limits::{ATTACHMENTS_MAX, HEADER_BYTES_MAX, MIME_DEPTH_MAX, NAME_CHARS_MAX};

/// Headers that are given.
const HEADERS_MAX: usize = 500;

/// A part that has no parts.
pub(super) struct Part<'a> {
    about: About,
    body: &'a [u8],
}

/// What the headers of a part say of it.
#[derive(Default)]
struct About {
    kind: String,
    charset: String,
    boundary: String,
    name: String,
    is_attached: bool,
    encoding: String,
}

impl About {
    fn of(headers: &[u8]) -> Self {
        let mut about = Self { kind: "text/plain".to_owned(), ..Self::default() };
        for (name, value) in unfolded(headers) {
            match name.to_ascii_lowercase().as_str() {
                "content-type" => {
                    let (kind, parameters) = value.split_once(';').unwrap_or((&value, ""));
                    about.kind = kind.trim().to_ascii_lowercase();
                    about.charset = parameter(parameters, "charset").unwrap_or_default();
                    about.boundary = parameter(parameters, "boundary").unwrap_or_default();
                    if about.name.is_empty() {
                        about.name = parameter(parameters, "name").unwrap_or_default();
                    }
                }
                "content-disposition" => {
                    let (kind, parameters) = value.split_once(';').unwrap_or((&value, ""));
                    about.is_attached = kind.trim().eq_ignore_ascii_case("attachment");
                    about.name = parameter(parameters, "filename").unwrap_or(about.name);
                }
                "content-transfer-encoding" => about.encoding = value.trim().to_owned(),
                _ => {}
            }
        }
        about.name = about.name.chars().take(NAME_CHARS_MAX).collect();
        about
    }

    fn has_parts(&self) -> bool {
        self.kind.starts_with("multipart/") && !self.boundary.is_empty()
    }

    fn is_attachment(&self) -> bool {
        !self.has_parts() && (self.is_attached || !self.name.is_empty())
    }
}

impl Part<'_> {
    pub(super) fn is_attachment(&self) -> bool {
        self.about.is_attachment()
    }

    pub(super) fn is_plain_text(&self) -> bool {
        self.about.kind == "text/plain"
    }

    pub(super) fn name(&self) -> String {
        self.about.name.clone()
    }

    pub(super) fn kind(&self) -> String {
        self.about.kind.clone()
    }

    pub(super) fn content(&self) -> Vec<u8> {
        encoded::body(&self.about.encoding, self.body)
    }

    pub(super) fn text(&self) -> String {
        encoded::text(&self.about.charset, &self.content())
    }
}

/// Splits a message or a part into its headers and its body.
pub(super) fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if matches!(line, b"\n" | b"\r\n") || at >= HEADER_BYTES_MAX {
            let (headers, rest) = message.split_at(at);
            let skip = if at >= HEADER_BYTES_MAX { 0 } else { line.len() };
            return (headers, rest.get(skip..).unwrap_or(&[]));
        }
        at += line.len();
    }
    (message, &[])
}

/// Gives names and values of headers, decoded.
pub(super) fn headers(headers: &[u8]) -> Vec<(String, String)> {
    let decoded = |(name, value): (String, String)| {
        let words: Vec<&str> = value.split_whitespace().collect();
        (name, encoded::words(&words.join(" ")))
    };
    unfolded(headers).map(decoded).take(HEADERS_MAX).collect()
}

fn unfolded(headers: &[u8]) -> impl Iterator<Item = (String, String)> {
    let mut fields: Vec<String> = Vec::new();
    for line in headers.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        match fields.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
            _ => fields.push(line.to_owned()),
        }
    }
    fields.into_iter().filter_map(|field| {
        let (name, value) = field.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    })
}

/// Finds a parameter such as `name=x`, `name="x y"` or `name*=utf-8''x`.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let (mut plain, mut rest) = (None, parameters);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim().trim_start_matches(';').trim();
        let (value, after) = value(after.trim_start());
        rest = after;
        if name.len() == wanted.len() + 1
            && name.ends_with('*')
            && name.get(..wanted.len()).is_some_and(|name| name.eq_ignore_ascii_case(wanted))
        {
            return Some(encoded::parameter(&value));
        }
        if name.eq_ignore_ascii_case(wanted) {
            plain = plain.or(Some(encoded::words(&value)));
        }
    }
    plain
}

/// Reads a value and gives what comes after it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return (value.trim().to_owned(), rest);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => {
                let rest = quoted.get(at + 1..).unwrap_or("");
                return (value, rest.split_once(';').map_or("", |(_, rest)| rest));
            }
            _ => {
                value.push(c);
                escaped = false;
            }
        }
    }
    (value, "")
}

/// Calls back with each part that has no parts.
pub(super) fn walk<'a>(
    headers: &[u8],
    body: &'a [u8],
    depth: usize,
    each: &mut dyn FnMut(&Part<'a>),
) {
    let about = About::of(headers);
    if !about.has_parts() || depth >= MIME_DEPTH_MAX {
        each(&Part { about, body });
        return;
    }
    let (mut at, mut start) = (0, None);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if let Some(is_last) = boundary(line, &about.boundary) {
            if let Some(start) = start {
                let part = body.get(start..at).unwrap_or(&[]);
                // The line end before a boundary belongs to the boundary.
                let part = part.strip_suffix(b"\n").unwrap_or(part);
                let part = part.strip_suffix(b"\r").unwrap_or(part);
                let (headers, body) = split(part);
                walk(headers, body, depth + 1, each);
            }
            start = (!is_last).then_some(at + line.len());
            if is_last {
                return;
            }
        }
        at += line.len();
    }
    if let Some(start) = start {
        let (headers, body) = split(body.get(start..).unwrap_or(&[]));
        walk(headers, body, depth + 1, each);
    }
}

/// Tells whether a line is a boundary, and if so, whether it is the last one.
fn boundary(line: &[u8], boundary: &str) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?;
    match rest.trim_ascii_end() {
        b"" => Some(false),
        b"--" => Some(true),
        _ => None,
    }
}

/// Finds the names of attachments in a message that passes in pieces.
pub fn names() -> Names {
    Names { is_headers: true, ..Names::default() }
}

/// What is known of a message of which the names of attachments are looked for.
#[derive(Debug, Default)]
pub struct Names {
    line: Vec<u8>,
    headers: Vec<u8>,
    is_headers: bool,
    boundaries: Vec<String>,
    found: Vec<String>,
}

impl Names {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        if !self.is_headers && self.boundaries.is_empty() {
            // A message without parts has nothing more to tell.
            return;
        }
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            // Only the start of a long line can be a boundary.
            if self.line.len() < LINE_MAX {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.take(&line);
            }
        }
    }

    /// Gives the names that were found.
    pub fn finish(mut self) -> Vec<String> {
        let line = std::mem::take(&mut self.line);
        self.take(&line);
        if self.is_headers {
            self.end_headers();
        }
        self.found
    }

    fn take(&mut self, line: &[u8]) {
        if let Some(known) = self.boundaries.iter().rposition(|of| boundary(line, of).is_some()) {
            if self.is_headers {
                self.end_headers();
            }
            self.boundaries.truncate(known + 1);
            self.is_headers = true;
        } else if self.is_headers && matches!(line, b"\n" | b"\r\n") {
            self.end_headers();
        } else if self.is_headers && self.headers.len() < HEADER_BYTES_MAX {
            self.headers.extend_from_slice(line);
        }
    }

    fn end_headers(&mut self) {
        self.is_headers = false;
        let about = About::of(&std::mem::take(&mut self.headers));
        if about.has_parts() && self.boundaries.len() < MIME_DEPTH_MAX {
            self.boundaries.push(about.boundary);
        } else if about.is_attachment() && self.found.len() < ATTACHMENTS_MAX {
            self.found.push(about.name);
        }
    }
}

/// Bytes of a line that are looked at.
const LINE_MAX: usize = 16 << 10;
