//! The files of offlineimap: a database or a text for each folder, with the UID of each message,
//! which is also in the name of its file.

use std::path::Path;

use model::{Error, Result};
use rusqlite::{Connection, OpenFlags};

use super::{Known, Remembered, flags, strange, text};
use crate::{FolderName, limits::MESSAGES_MAX};

/// What texts begin with, before the number of their format.
const MAGIC: &str = "OFFLINEIMAP LocalStatus CACHE DATA - DO NOT MODIFY - FORMAT ";
/// The UIDVALIDITY that it writes for a Maildir, which has none.
const OF_MAILDIR: u32 = 42;

/// Reads what is remembered of a folder.
pub(super) fn read(account: &Path, folder: &FolderName) -> Result<Option<Remembered>> {
    let name = folder.as_str().replace('/', ".");
    let database = account.join("LocalStatus-sqlite").join(&name);
    let plain = account.join("LocalStatus").join(&name);
    let pairs = if database.exists() {
        rows(&database).map_err(|error| strange(&database, &error.to_string()))?
    } else if let Some(text) = text(&plain)? {
        lines(&text).ok_or_else(|| strange(&plain, "offlineimap did not write it"))?
    } else {
        return Ok(None);
    };
    // A copy that a server did not give a number for has a field more; it is left to the first
    // round.
    Ok(Some(Remembered { epochs: epochs(account, &name)?, tracer_bytes: 0, pairs }))
}

fn rows(path: &Path) -> rusqlite::Result<Vec<Known>> {
    let how = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, how)?;
    let mut statement = connection.prepare("SELECT id, flags FROM status LIMIT ?1")?;
    let rows = statement.query_map([MESSAGES_MAX as i64], |row| {
        let letters: Option<String> = row.get(1)?;
        Ok((row.get::<_, i64>(0)?, letters.unwrap_or_default()))
    })?;
    let rows: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(rows.into_iter().filter_map(|(id, letters)| known(id, &letters)).collect())
}

fn lines(text: &str) -> Option<Vec<Known>> {
    let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
    let between = match head.trim_end().strip_prefix(MAGIC)? {
        "1" => ':',
        "2" => '|',
        _ => return None,
    };
    let mut pairs = Vec::new();
    for line in rest.lines() {
        let mut words = line.split(between);
        let (id, letters) = (words.next()?.trim().parse().ok()?, words.next()?.trim());
        pairs.extend(known(id, letters));
    }
    Some(pairs)
}

/// Makes a message of a row; those with other numbers are still to be copied.
fn known(id: i64, letters: &str) -> Option<Known> {
    let uid = u32::try_from(id).ok().filter(|uid| *uid > 0)?;
    Some(Known { uid, number: uid, flags: flags(letters)? })
}

/// Finds what UIDVALIDITY the servers had, whatever they were called.
fn epochs(account: &Path, name: &str) -> Result<Vec<u32>> {
    let Some(metadata) = account.parent() else { return Ok(Vec::new()) };
    let failed =
        |error: std::io::Error| Error::Unavailable(format!("{}: {error}", metadata.display()));
    let mut epochs = Vec::new();
    for entry in metadata.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b"Repository-") {
            continue;
        }
        let text = text(&entry.path().join("FolderValidity").join(name))?;
        let number = text.and_then(|text| text.trim().parse::<u32>().ok());
        epochs.extend(number.filter(|number| *number != OF_MAILDIR));
    }
    Ok(epochs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_both_formats_are_read() {
        let one = lines(&format!("{MAGIC}1\n1:S\n2:\n-3:S\n")).unwrap();
        assert_eq!(one.iter().map(|known| known.uid).collect::<Vec<_>>(), [1, 2]);
        let two = lines(&format!("{MAGIC}2\n7|FS|0|\n")).unwrap();
        assert_eq!((two[0].uid, two[0].number), (7, 7));
        assert_eq!(lines("something else\n1:S\n"), None);
        assert_eq!(lines(&format!("{MAGIC}2\nx|S|0|\n")), None);
    }
}
