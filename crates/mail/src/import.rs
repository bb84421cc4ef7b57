//! What other programs remember of mail that they kept in step, so that it need not be found out
//! again.
//!
//! Nothing of it is believed before it was held against the mail itself; what does not fit is left
//! to the first round, which pairs it by content.

mod mbsync;
mod offlineimap;

use std::{
    fs,
    path::{Path, PathBuf},
};

use model::{Error, Result};

use crate::{Flags, FolderName, driver::maildir::name::FileName, limits::FOREIGN_BYTES_MAX};

/// What a program remembers of one folder of a Maildir and one of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// What UIDVALIDITY it knows; none if it does not tell, several if that is not certain.
    pub epochs: Vec<u32>,
    /// Bytes of the header field that it adds to a copy.
    pub tracer_bytes: u64,
    /// The messages that both sides had.
    pub pairs: Vec<Known>,
}

/// A message that both sides had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The UID that the server gave it.
    pub uid: u32,
    /// The number in the name of its file, after `U=`.
    pub number: u32,
    /// The flags that both had.
    pub flags: Flags,
}

/// Finds the number that a program has written into the name of a message's file.
pub fn number_of(name: &str) -> Option<u32> {
    let (_, rest) = name.split_once(",U=")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// Where mbsync keeps what it remembers.
#[derive(Clone, Debug)]
pub struct Mbsync {
    /// Folders with files for all folders of mail, besides those that lie in the Maildir.
    pub places: Vec<PathBuf>,
}

impl Mbsync {
    /// Reads what is remembered of a folder, whose messages are in a directory.
    ///
    /// # Errors
    /// If there is a file and it is none of mbsync's, or a run of mbsync was cut off.
    pub fn read(&self, folder: &FolderName, directory: &Path) -> Result<Option<Remembered>> {
        mbsync::read(&self.places, folder, directory)
    }
}

/// Where offlineimap keeps what it remembers of an account.
#[derive(Clone, Debug)]
pub struct Offlineimap {
    /// The folder of the account, such as `~/.offlineimap/Account-Home`.
    pub account: PathBuf,
}

impl Offlineimap {
    /// Reads what is remembered of a folder.
    ///
    /// # Errors
    /// If there is a file and it is none of offlineimap's.
    pub fn read(&self, folder: &FolderName) -> Result<Option<Remembered>> {
        offlineimap::read(&self.account, folder)
    }
}

/// Reads a file of text, if it is there.
fn text(path: &Path) -> Result<Option<String>> {
    let failed = |error: std::io::Error| Error::Unavailable(format!("{}: {error}", path.display()));
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(found) if found.len() > FOREIGN_BYTES_MAX => {
            let what = path.display().to_string();
            return Err(Error::TooLarge { what, size: found.len(), limit: FOREIGN_BYTES_MAX });
        }
        Ok(_) => {}
    }
    let bytes = fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map(Some).map_err(|_| strange(path, "it is no text"))
}

/// Says that a file is not what it was taken for.
fn strange(path: &Path, why: &str) -> Error {
    Error::bad_input(format!("{} cannot be read: {why}", path.display()))
}

/// Reads flags as they stand in names of files.
fn flags(letters: &str) -> Option<Flags> {
    let plain = letters.chars().all(|letter| "DFPRST".contains(letter));
    plain.then(|| FileName { base: "x", letters }.flags(&[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_names() {
        assert_eq!(number_of("1.2.host,U=17"), Some(17));
        assert_eq!(number_of("1.2.host,U=17,FMD5=7e33"), Some(17));
        for name in ["1.2.host", "1,U=", "1,U=x", "1,U=99999999999"] {
            assert_eq!(number_of(name), None, "{name:?}");
        }
    }
}
