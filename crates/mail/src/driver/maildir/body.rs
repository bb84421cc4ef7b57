//! Message files as streams with line ends of two bytes, whatever they are on the disk.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use bytes::Bytes;
use memchr::memchr_iter;
use model::{Error, Result};

use super::disk::{failed, if_there, received};
use crate::{
    Body, Identified, Identity, Key, Part, Pouring,
    limits::{HEADER_BYTES_MAX, PIECE_BYTES_MAX},
};

/// Files up to this size are read at once.
const WHOLE_BYTES_MAX: u64 = 1 << 20;

/// Learns what tells a message apart; nothing if it is gone.
pub(super) fn identify(path: &Path, key: &Key) -> Result<Option<Identified>> {
    let Some(mut file) = if_there(path, File::open(path))? else { return Ok(None) };
    let mut headers = Vec::new();
    let mut counter = Counter::default();
    let mut piece = vec![0; PIECE_BYTES_MAX];
    let mut are_complete = false;
    loop {
        let count = read(&mut file, &mut piece).map_err(|error| failed(path, &error))?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        counter.take(bytes);
        if !are_complete {
            headers.extend_from_slice(bytes);
            are_complete = headers.len() >= HEADER_BYTES_MAX || has_end(&headers);
        }
    }
    let identity = Identity::of(&headers, counter.size);
    Ok(Some(Identified { key: key.clone(), size: counter.size, identity }))
}

/// Pours a message into a pipe; `false` says that it is gone.
pub(super) fn pour(path: &Path, key: &Key, into: &Pouring) -> Result<bool> {
    let Some(mut file) = if_there(path, File::open(path))? else { return Ok(false) };
    let metadata = file.metadata().map_err(|error| failed(path, &error))?;
    let date = Some(received(&metadata));
    let begin = |size| Part::Begin(Body { key: key.clone(), size, date });
    if metadata.len() <= WHOLE_BYTES_MAX {
        let mut whole = Vec::new();
        file.take(WHOLE_BYTES_MAX).read_to_end(&mut whole).map_err(|error| failed(path, &error))?;
        let mut converted = Converter::default().convert(whole.into());
        into.send_blocking(begin(converted.len() as u64))?;
        while !converted.is_empty() {
            let piece = converted.split_to(converted.len().min(PIECE_BYTES_MAX));
            into.send_blocking(Part::Bytes(piece))?;
        }
        into.send_blocking(Part::End)?;
        return Ok(true);
    }
    let size = size(path)?;
    into.send_blocking(begin(size))?;
    let mut left = size;
    let mut converter = Converter::default();
    // A piece grows to at most twice its size.
    let mut piece = vec![0; PIECE_BYTES_MAX / 2];
    loop {
        let count = read(&mut file, &mut piece).map_err(|error| failed(path, &error))?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        let converted = converter.convert(Bytes::copy_from_slice(bytes));
        left = left.checked_sub(converted.len() as u64).ok_or_else(|| changed(path))?;
        into.send_blocking(Part::Bytes(converted))?;
    }
    if left > 0 {
        return Err(changed(path));
    }
    into.send_blocking(Part::End)?;
    Ok(true)
}

fn changed(path: &Path) -> Error {
    Error::Unavailable(format!("{} changed while it was read", path.display()))
}

/// Counts the bytes of a file with every line end as two.
fn size(path: &Path) -> Result<u64> {
    let mut file = File::open(path).map_err(|error| failed(path, &error))?;
    let mut counter = Counter::default();
    let mut piece = vec![0; PIECE_BYTES_MAX];
    loop {
        let count = read(&mut file, &mut piece).map_err(|error| failed(path, &error))?;
        match piece.get(..count) {
            None | Some([]) => return Ok(counter.size),
            Some(bytes) => counter.take(bytes),
        }
    }
}

fn read(file: &mut File, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn has_end(headers: &[u8]) -> bool {
    memchr::memmem::find(headers, b"\n\n").is_some()
        || memchr::memmem::find(headers, b"\r\n\r\n").is_some()
}

/// Counts bytes with every line end as two.
#[derive(Default)]
struct Counter {
    size: u64,
    last: u8,
}

impl Counter {
    fn take(&mut self, bytes: &[u8]) {
        self.size += (bytes.len() + bare(bytes, self.last).count()) as u64;
        self.last = bytes.last().copied().unwrap_or(self.last);
    }
}

/// Gives the places of line feeds without a carriage return before them.
fn bare(bytes: &[u8], last: u8) -> impl Iterator<Item = usize> + '_ {
    memchr_iter(b'\n', bytes).filter(move |at| {
        let before = at.checked_sub(1).map_or(Some(last), |at| bytes.get(at).copied());
        before != Some(b'\r')
    })
}

/// Writes every line end as two bytes.
#[derive(Default)]
struct Converter {
    last: u8,
}

impl Converter {
    fn convert(&mut self, bytes: Bytes) -> Bytes {
        let mut places = bare(&bytes, self.last).peekable();
        let last = bytes.last().copied().unwrap_or(self.last);
        if places.peek().is_none() {
            drop(places);
            self.last = last;
            return bytes;
        }
        let mut converted = Vec::with_capacity(bytes.len() + bytes.len() / 16);
        let mut from = 0;
        for at in places {
            converted.extend_from_slice(bytes.get(from..at).unwrap_or_default());
            converted.push(b'\r');
            from = at;
        }
        converted.extend_from_slice(bytes.get(from..).unwrap_or_default());
        self.last = last;
        converted.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(pieces: &[&[u8]]) -> Vec<u8> {
        let mut converter = Converter::default();
        let parts = pieces.iter().map(|piece| converter.convert(Bytes::copy_from_slice(piece)));
        parts.flat_map(|part| part.to_vec()).collect()
    }

    #[test]
    fn only_bare_line_feeds_change() {
        let text: &[u8] = b"a\nb\r\nc\rd\r\r\ne\n\n\0\xff\n";
        let expected: &[u8] = b"a\r\nb\r\nc\rd\r\r\ne\r\n\r\n\0\xff\r\n";
        assert_eq!(convert(&[text]), expected);
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(convert(&single), expected);
        assert_eq!(convert(&[expected]), expected);
        let mut counter = Counter::default();
        text.chunks(3).for_each(|piece| counter.take(piece));
        assert_eq!(counter.size, expected.len() as u64);
        assert_eq!(convert(&[b""]), b"");
    }
}
