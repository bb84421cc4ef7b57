//! Messages like those that people have, the same on every machine.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Result;

/// A small generator of numbers that a seed determines.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Writes a folder of messages, and gives their files.
pub(super) fn make(folder: &Path, messages: usize) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let mut dice = Dice(messages as u64);
    // A hundred thousand are shorter, so that the disk has room for them and all their copies.
    let is_short = messages > 20_000;
    let mut files = Vec::with_capacity(messages);
    for number in 0..messages {
        let path = folder.join(format!("{number:06}"));
        fs::write(&path, message(number as u64, length(&mut dice, is_short)))?;
        files.push(path);
    }
    Ok(files)
}

/// Chooses a length: a median of some kilobytes, and one in seven with something attached.
fn length(dice: &mut Dice, is_short: bool) -> usize {
    let bytes = if dice.roll(7) == 0 {
        40_000 + dice.roll(160_000)
    } else {
        1_000 + dice.roll(4_000) + dice.roll(9_000)
    };
    usize::try_from(if is_short { bytes / 8 } else { bytes }).unwrap_or(usize::MAX)
}

/// Writes a message with a number in it.
pub(super) fn message(number: u64, bytes: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(bytes + 400);
    // Writing to memory cannot fail.
    let _ = write!(
        message,
        "Received: from a.example.org by b.example.org; Sun, 22 Nov 2026 10:00:00 +0000\r\n\
         From: \"Someone {}\" <someone{}@example.org>\r\nTo: me@example.org\r\n\
         Subject: About number {number}\r\nDate: Sun, 22 Nov 2026 {:02}:{:02}:{:02} +0000\r\n\
         Message-ID: <{number:012}@example.org>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\n",
        number % 97,
        number % 97,
        number / 3_600 % 24,
        number / 60 % 60,
        number % 60,
    );
    let mut line = 0_u64;
    while message.len() < bytes {
        let _ =
            write!(message, "{number:>10} {line:>10} and so on, line after line, to the end\r\n");
        line += 1;
    }
    message
}
