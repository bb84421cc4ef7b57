//! Folder names of IMAP servers that write them in modified UTF-7 (RFC 3501, 5.1.3).

use model::{Error, Result};

use super::Control;
use crate::FolderName;

/// Reads and writes the folder names of a store in modified UTF-7.
#[derive(Clone, Copy, Debug)]
pub struct Utf7;

impl Control for Utf7 {
    fn inward(&self, folder: &FolderName) -> Result<FolderName> {
        FolderName::new(&encode(folder.as_str()))
    }

    fn outward(&self, folder: &FolderName) -> Result<FolderName> {
        let name = decode(folder.as_str()).and_then(|name| {
            // Only one writing of each name is allowed, so that there is a way back.
            (encode(&name) == folder.as_str()).then_some(name)
        });
        let wrong = || Error::bad_input(format!("{folder:?} is not modified UTF-7"));
        let parts = folder.parts().count();
        let name = FolderName::new(&name.ok_or_else(wrong)?)?;
        // A slash must not come out of the encoding.
        if name.parts().count() == parts { Ok(name) } else { Err(wrong()) }
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~')
}

/// Writes a text in modified UTF-7.
fn encode(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let plain = is_plain(first);
        let end = rest.find(|c| is_plain(c) != plain).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        if plain {
            out.push_str(&run.replace('&', "&-"));
            continue;
        }
        out.push('&');
        let (mut bits, mut held) = (0_u32, 0_u32);
        for unit in run.encode_utf16() {
            held = held << 16 | u32::from(unit);
            bits += 16;
            while bits >= 6 {
                bits -= 6;
                out.push(letter(held >> bits));
                held &= (1 << bits) - 1;
            }
        }
        if bits > 0 {
            out.push(letter(held << (6 - bits)));
        }
        out.push('-');
    }
    out
}

/// Reads modified UTF-7; none if it is something else.
fn decode(text: &str) -> Option<String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        out.push_str(rest.get(..at)?);
        let (run, after) = rest.get(at + 1..)?.split_once('-')?;
        rest = after;
        if run.is_empty() {
            out.push('&');
            continue;
        }
        let (mut units, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
        for byte in run.bytes() {
            let value = LETTERS.iter().position(|letter| *letter == byte)?;
            held = held << 6 | u32::try_from(value).ok()?;
            bits += 6;
            if bits >= 16 {
                bits -= 16;
                units.push(u16::try_from(held >> bits).ok()?);
                held &= (1 << bits) - 1;
            }
        }
        if bits >= 6 || held != 0 {
            return None;
        }
        out.push_str(&String::from_utf16(&units).ok()?);
    }
    out.push_str(rest);
    Some(out)
}

fn letter(value: u32) -> char {
    char::from(LETTERS.get((value & 63) as usize).copied().unwrap_or(b'A'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_names_are_read_and_written() {
        let known = [
            ("Entwürfe", "Entw&APw-rfe"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("a&b", "a&-b"),
            ("😀", "&2D3eAA-"),
        ];
        for (name, written) in known {
            assert_eq!(encode(name), written);
            assert_eq!(decode(written).as_deref(), Some(name));
        }
    }

    #[test]
    fn other_writings_and_slashes_in_disguise_are_refused() {
        for bad in ["&", "&AA", "&QQ-", "&!!-", "&AGE-", "a&AC8-b", "&2D0-", "&APw-&APw-"] {
            assert!(Utf7.outward(&FolderName::new(bad).unwrap()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(parts in prop::collection::vec("[^/\\p{C}]{1,20}", 1..4)) {
            if let Ok(name) = FolderName::new(&parts.join("/"))
                && let Ok(there) = Utf7.inward(&name)
            {
                prop_assert_eq!(Utf7.outward(&there).unwrap(), name);
            }
        }
    }
}
