//! How asks and answers travel: the length as four bytes, the least significant first, then JSON.

use std::io::{self, Read, Write};

use crate::limits;

/// Bytes of one frame: a batch of asks is kept below this.
pub const FRAME_BYTES_MAX: usize = 4 * limits::VALUE_BYTES_MAX;

/// What a child says first, so that nothing else is taken for one.
pub const GREETING: [u8; 8] = *b"lsexpr1\n";

/// Puts a length in front of bytes.
pub fn framed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut frame = Vec::with_capacity(bytes.len() + 4);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(bytes);
    Ok(frame)
}

/// Says how long a frame is by its first bytes.
pub fn length(bytes: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(length) }
}

/// Writes one frame, which may wait in the writer for others.
pub fn write(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&framed(bytes)?)
}

/// Reads one frame; nothing is the end.
pub fn read(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = vec![0; length(head)?];
    from.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}
