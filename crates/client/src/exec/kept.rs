//! What is kept of a program's output.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Which part is kept.
pub(super) enum Keep {
    /// So many bytes from the start.
    First(usize),
    /// So many bytes before the end.
    Last(usize),
}

/// A bounded part of a stream, all of which is read.
pub(super) struct Kept {
    keep: Keep,
    bytes: Vec<u8>,
    cut: bool,
}

impl Kept {
    pub(super) fn new(keep: Keep) -> Self {
        Self { keep, bytes: Vec::new(), cut: false }
    }

    pub(super) async fn read(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = vec![0; 16 << 10];
        // A pipe that breaks has ended.
        while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
            self.take(buffer.get(..count).unwrap_or_default());
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        match self.keep {
            Keep::First(max) => {
                let room = max.saturating_sub(self.bytes.len()).min(bytes.len());
                self.cut |= room < bytes.len();
                self.bytes.extend_from_slice(bytes.get(..room).unwrap_or_default());
            }
            Keep::Last(max) => {
                self.bytes.extend_from_slice(bytes);
                let over = self.bytes.len().saturating_sub(max);
                self.cut |= over > 0;
                self.bytes.drain(..over);
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    pub(super) fn last_lines(&self, count: usize) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_start_or_the_end_is_kept() {
        let text = b"one\ntwo\nthree\n";
        let mut first = Kept::new(Keep::First(5));
        first.read(Some(&text[..])).await;
        assert_eq!((first.bytes(), first.is_cut()), (&b"one\nt"[..], true));
        let mut last = Kept::new(Keep::Last(10));
        last.read(Some(&text[..])).await;
        assert_eq!((last.bytes(), last.is_cut()), (&b"two\nthree\n"[..], true));
        assert_eq!(last.last_lines(1), "three");
        assert_eq!(last.last_lines(9), "two\nthree");
    }
}
