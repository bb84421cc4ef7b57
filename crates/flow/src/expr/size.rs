//! How large something is as JSON, without writing it down.

use std::io::{self, Write};

use serde::Serialize;

/// Gives the number of bytes.
pub fn size(of: &impl Serialize) -> usize {
    let mut count = Count(0);
    // What cannot be written counts as far as it can.
    let _counted = serde_json::to_writer(&mut count, of);
    count.0
}

struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
