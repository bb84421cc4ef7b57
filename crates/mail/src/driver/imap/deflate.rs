//! Compression of a connection (RFC 4978), in memory that no server can make larger.

use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Both directions of a compressed connection.
pub(super) struct Deflated {
    pack: Compress,
    unpack: Decompress,
    /// What came and is not unpacked yet.
    pub(super) packed: Vec<u8>,
    at: usize,
}

impl Deflated {
    /// Begins with what has come already.
    pub(super) fn new(packed: Vec<u8>) -> Self {
        let (pack, unpack) = (Compress::new(Compression::fast(), false), Decompress::new(false));
        Self { pack, unpack, packed, at: 0 }
    }

    /// Packs bytes so that all of them can be sent now.
    pub(super) fn pack(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut packed = Vec::with_capacity(bytes.len() / 2 + 64);
        let start = self.pack.total_in();
        loop {
            let done = usize::try_from(self.pack.total_in() - start).unwrap_or(usize::MAX);
            let rest = bytes.get(done..).unwrap_or_default();
            self.pack.compress_vec(rest, &mut packed, FlushCompress::Sync)?;
            // Room that is left says that nothing waits for more.
            if packed.len() < packed.capacity() {
                return Ok(packed);
            }
            packed.reserve(packed.len().max(64));
        }
    }

    /// Unpacks as much as there is room for, and tells how much that was; nothing says that more
    /// has to come first, which goes into `packed`.
    pub(super) fn unpack(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let before = into.len();
        let start = self.unpack.total_in();
        let packed = self.packed.get(self.at..).unwrap_or_default();
        let status = self.unpack.decompress_vec(packed, into, FlushDecompress::Sync)?;
        self.at += usize::try_from(self.unpack.total_in() - start).unwrap_or(usize::MAX);
        let unpacked = into.len() - before;
        if status == Status::StreamEnd && unpacked == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the compression ended"));
        }
        if self.at >= self.packed.len() {
            self.packed.clear();
            self.at = 0;
        }
        Ok(unpacked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_however_they_are_cut() {
        let text = "all work and no play\r\n".repeat(5_000).into_bytes();
        let mut sender = Deflated::new(Vec::new());
        let mut receiver = Deflated::new(Vec::new());
        let mut out = Vec::new();
        for some in text.chunks(7_001) {
            for piece in sender.pack(some).unwrap().chunks(13) {
                receiver.packed.extend_from_slice(piece);
                let mut room = Vec::with_capacity(100);
                while receiver.unpack(&mut room).unwrap() > 0 {
                    assert!(room.len() <= 100, "no more than there is room for");
                    out.append(&mut room);
                }
            }
        }
        assert_eq!(out, text);
    }

    #[test]
    fn what_is_not_compressed_is_an_error() {
        let mut receiver = Deflated::new(b"* OK hello, hello, hello\r\n".to_vec());
        let mut room = Vec::with_capacity(1_000);
        let mut outcome = Ok(1);
        while outcome.as_ref().is_ok_and(|count| *count > 0) {
            outcome = receiver.unpack(&mut room);
        }
        assert!(outcome.is_err());
    }
}
