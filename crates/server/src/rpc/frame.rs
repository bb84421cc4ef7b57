//! Frames: a message is CBOR tag 24 around a byte string that holds the message's own CBOR.

use std::io;

use model::{Error, Result, limits};
use tokio::io::{AsyncRead, AsyncReadExt as _};

const TAG: u8 = 6;
const BYTES: u8 = 2;
/// Embedded CBOR.
const EMBEDDED: u64 = 24;
/// Ends a byte string of indefinite length.
const BREAK: u8 = 0xff;
/// Bytes that are allocated on the word of a frame; the rest only as it comes.
const TRUSTED: usize = 64 << 10;
/// Bytes of the longest start of a frame: a tag of two bytes, and a length of nine.
const HEAD_MAX: usize = 11;

/// What the start of a frame says of the byte string after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// It has so many bytes.
    Definite(usize),
    /// It comes in chunks.
    Chunks,
}

/// Reads one frame and gives what is in it.
///
/// # Errors
/// [`Error::BadInput`] for anything else than a frame, [`Error::TooLarge`] for one of more than
/// [`limits::RPC_REQUEST_BYTES_MAX`], which is refused before it is read.
pub async fn read_frame(source: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>> {
    let length = read_head(source).await?;
    read_payload(source, length).await
}

/// Reads the start of a frame.
pub(crate) async fn read_head(source: &mut (impl AsyncRead + Unpin)) -> Result<Length> {
    let first = byte(source).await?;
    if first >> 5 != TAG || argument(source, first).await? != Some(EMBEDDED) {
        return Err(Error::bad_input("a message must begin with CBOR tag 24"));
    }
    let first = byte(source).await?;
    string_head(source, first).await
}

async fn string_head(source: &mut (impl AsyncRead + Unpin), first: u8) -> Result<Length> {
    if first >> 5 != BYTES {
        return Err(Error::bad_input("CBOR tag 24 must be around a byte string"));
    }
    match argument(source, first).await? {
        None => Ok(Length::Chunks),
        Some(length) => {
            bounded(usize::try_from(length).unwrap_or(usize::MAX)).map(Length::Definite)
        }
    }
}

/// Reads the byte string of a frame.
pub(crate) async fn read_payload(
    source: &mut (impl AsyncRead + Unpin),
    length: Length,
) -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    if let Length::Definite(length) = length {
        take(source, &mut payload, length).await?;
        return Ok(payload);
    }
    loop {
        let first = byte(source).await?;
        if first == BREAK {
            return Ok(payload);
        }
        let Length::Definite(length) = string_head(source, first).await? else {
            return Err(Error::bad_input("a chunk of a CBOR string must have a length"));
        };
        // A chunk of no bytes would let a frame go on for ever.
        if length == 0 {
            return Err(Error::bad_input("a chunk of a CBOR string must not be empty"));
        }
        bounded(payload.len().saturating_add(length))?;
        take(source, &mut payload, length).await?;
    }
}

/// Reads so many bytes, whose room is taken as they come.
async fn take(
    source: &mut (impl AsyncRead + Unpin),
    payload: &mut Vec<u8>,
    length: usize,
) -> Result<()> {
    payload.reserve(length.min(TRUSTED));
    let read = source.take(length as u64).read_to_end(payload).await.map_err(broken)?;
    if read < length {
        return Err(broken(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(())
}

fn bounded(length: usize) -> Result<usize> {
    if length > limits::RPC_REQUEST_BYTES_MAX {
        return Err(Error::too_large("message in bytes", length, limits::RPC_REQUEST_BYTES_MAX));
    }
    Ok(length)
}

async fn byte(source: &mut (impl AsyncRead + Unpin)) -> Result<u8> {
    source.read_u8().await.map_err(broken)
}

/// Reads the number that goes with the first byte of an item; none is an indefinite length.
async fn argument(source: &mut (impl AsyncRead + Unpin), first: u8) -> Result<Option<u64>> {
    let number = match first & 0x1f {
        small @ 0..24 => u64::from(small),
        24 => u64::from(byte(source).await?),
        25 => u64::from(source.read_u16().await.map_err(broken)?),
        26 => u64::from(source.read_u32().await.map_err(broken)?),
        27 => source.read_u64().await.map_err(broken)?,
        31 => return Ok(None),
        _ => return Err(Error::bad_input("malformed CBOR: a reserved length")),
    };
    Ok(Some(number))
}

fn broken(error: io::Error) -> Error {
    Error::bad_input(format!("the message is broken off: {error}"))
}

/// A frame that is being written: its message comes after room for the start.
pub(crate) fn begin() -> Vec<u8> {
    vec![0; HEAD_MAX]
}

/// Puts the start before a message, and gives the place where the frame begins.
pub(crate) fn finish(frame: &mut [u8]) -> usize {
    let length = frame.len().saturating_sub(HEAD_MAX);
    let mut head = vec![0xd8, 0x18];
    match length {
        0..24 => head.push(0x40 | length as u8),
        24..0x100 => head.extend([0x58, length as u8]),
        0x100..0x1_0000 => {
            head.push(0x59);
            head.extend((length as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            head.push(0x5a);
            head.extend((length as u32).to_be_bytes());
        }
        _ => {
            head.push(0x5b);
            head.extend((length as u64).to_be_bytes());
        }
    }
    let start = HEAD_MAX - head.len();
    if let Some(place) = frame.get_mut(start..HEAD_MAX) {
        place.copy_from_slice(&head);
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> Result<Vec<u8>> {
        read_frame(&mut bytes).await
    }

    #[tokio::test]
    async fn frames_are_read_in_every_form() {
        let forms: [&[u8]; 6] = [
            &[0xd8, 24, 0x42, 1, 2],
            &[0xd9, 0, 24, 0x58, 2, 1, 2],
            &[0xda, 0, 0, 0, 24, 0x59, 0, 2, 1, 2],
            &[0xd8, 24, 0x5b, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 99],
            &[0xd8, 24, 0x5f, 0x42, 1, 2, 0xff],
            &[0xd8, 24, 0x5f, 0x41, 1, 0x58, 1, 2, 0xff],
        ];
        for form in forms {
            assert_eq!(read(form).await.unwrap(), [1, 2], "{form:x?}");
        }
        assert_eq!(read(&[0xd8, 24, 0x5f, 0xff]).await.unwrap(), [0; 0]);
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let forms: [&[u8]; 9] = [
            b"GET / HTTP/1.1\r\n\r\n",
            &[0xd8, 25, 0x41, 1],
            &[0xd8, 24, 0x61, b'a'],
            &[0xd8, 24, 0x42, 1],
            &[0xd8, 24, 0x5c],
            &[0xd8],
            &[],
            &[0xd8, 24, 0x5f, 0x5f, 0xff, 0xff],
            &[0xd8, 24, 0x5f, 0x40, 0xff],
        ];
        for form in forms {
            assert!(matches!(read(form).await, Err(Error::BadInput(_))), "{form:x?}");
        }
    }

    #[tokio::test]
    async fn long_frames_are_refused_unread() {
        let lie = [0xd8, 24, 0x5b, 0x7f, 255, 255, 255, 255, 255, 255, 255];
        assert!(matches!(read(&lie).await, Err(Error::TooLarge { .. })));
        let mut chunks = vec![0xd8, 24, 0x5f];
        for _ in 0..17 {
            chunks.extend([0x5a, 0, 0x10, 0, 0]);
            chunks.resize(chunks.len() + (1 << 20), 7);
        }
        assert!(matches!(read(&chunks).await, Err(Error::TooLarge { .. })));
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        for length in [0, 1, 23, 24, 255, 256, 65_535, 65_536, 70_000] {
            let mut frame = begin();
            frame.resize(HEAD_MAX + length, 7);
            let start = finish(&mut frame);
            assert_eq!(read(&frame[start..]).await.unwrap(), vec![7; length]);
        }
    }
}
