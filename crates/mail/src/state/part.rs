//! The agreed state in parts: an image of a database, and changes since.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use model::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Change, Database};

/// A part as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    /// Changes, in order.
    Changes(Vec<Change>),
    /// A piece of a part that is too long for one, after which so many more come.
    Text(usize, String),
    /// A piece of an image, after which so many more come.
    Image(usize, String),
}

/// A part as it is written.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Written<'a> {
    Changes(&'a [&'a Change]),
    Text(usize, String),
    Image(usize, String),
}

/// Writes changes as parts of at most so many bytes, which is one if they are few.
///
/// # Errors
/// If they cannot be written.
pub fn changes_parts(changes: &[&Change], bytes_max: usize) -> Result<Vec<String>> {
    let whole = text(&Written::Changes(changes))?;
    if whole.len() <= bytes_max {
        return Ok(vec![whole]);
    }
    pieces(whole.as_bytes(), bytes_max, Written::Text)
}

/// Writes an image as parts of at most so many bytes.
///
/// # Errors
/// If it cannot be written.
pub fn image_parts(image: &[u8], bytes_max: usize) -> Result<Vec<String>> {
    pieces(image, bytes_max, Written::Image)
}

fn pieces<'a>(
    bytes: &[u8],
    bytes_max: usize,
    written: fn(usize, String) -> Written<'a>,
) -> Result<Vec<String>> {
    // Three bytes are written as four characters, and the rest of a part is short.
    let piece = (bytes_max.saturating_sub(64) / 4 * 3).max(1);
    let pieces = bytes.chunks(piece);
    let count = pieces.len();
    let part =
        |(at, bytes): (usize, &[u8])| text(&written(count - at - 1, STANDARD_NO_PAD.encode(bytes)));
    pieces.enumerate().map(part).collect()
}

/// Makes the database again that parts were written of.
///
/// # Errors
/// If they are not the whole of one.
pub fn restored(parts: impl IntoIterator<Item = String>) -> Result<Database> {
    let (mut database, mut image, mut long) = (None, Vec::new(), Vec::new());
    for part in parts {
        let mut part = read(part.as_bytes())?;
        if let Part::Text(left, text) = part {
            long.extend(decoded(&text)?);
            if left > 0 {
                continue;
            }
            part = read(&std::mem::take(&mut long))?;
        }
        match (part, &mut database) {
            (Part::Text(..), _) => return Err(damaged("a piece is in a piece")),
            (Part::Changes(changes), Some(database)) => Database::record(database, &changes)?,
            (Part::Changes(changes), none @ None) if image.is_empty() => {
                none.insert(Database::in_memory()?).record(&changes)?;
            }
            (Part::Changes(_), None) => return Err(damaged("an image breaks off")),
            // It was begun, and not ended, when another image or none had been there before.
            (Part::Image(..), Some(_)) => {}
            (Part::Image(left, text), none @ None) => {
                image.extend(decoded(&text)?);
                if left == 0 {
                    *none = Some(Database::of_image(&std::mem::take(&mut image))?);
                }
            }
        }
    }
    match database {
        Some(database) => Ok(database),
        None if image.is_empty() => Database::in_memory(),
        None => Err(damaged("an image breaks off")),
    }
}

fn text(part: &Written<'_>) -> Result<String> {
    serde_json::to_string(part).map_err(|error| Error::Internal(error.to_string()))
}

fn read(text: &[u8]) -> Result<Part> {
    serde_json::from_slice(text).map_err(|error| damaged(&error.to_string()))
}

fn decoded(text: &str) -> Result<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).map_err(|error| damaged(&error.to_string()))
}

fn damaged(why: &str) -> Error {
    Error::Internal(format!("a part of the state of a mail account is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use model::Time;

    use super::*;
    use crate::{Flags, FolderName, Identity, Key, Sides};

    fn pair(number: u32) -> Change {
        Change::AddPair {
            folder: FolderName::inbox(),
            keys: Sides { left: Key::Uid(number), right: Key::name(&format!("{number}")).unwrap() },
            stamps: Sides { left: None, right: Some(u64::MAX) },
            flags: Flags::default(),
            identity: Some(Identity([7; 16])),
        }
    }

    fn dump(database: &Database) -> String {
        let inbox = FolderName::inbox();
        let overview = database.overview(Time(0)).unwrap();
        format!("{overview:?} {:?}", database.snapshot(&inbox).unwrap())
    }

    #[test]
    fn a_state_is_the_same_after_it_was_kept_in_parts() {
        let mut database = Database::in_memory().unwrap();
        let mut parts = Vec::new();
        let keep = |database: &mut Database, parts: &mut Vec<String>, changes: Vec<Change>| {
            database.record(&changes).unwrap();
            parts.extend(changes_parts(&changes.iter().collect::<Vec<_>>(), 400).unwrap());
        };
        let inbox = FolderName::inbox();
        let first = vec![Change::AddFolder(inbox.clone()), pair(1), pair(2), pair(3)];
        keep(&mut database, &mut parts, first);
        keep(&mut database, &mut parts, vec![Change::DropPair(3), pair(4)]);
        assert_eq!(dump(&restored(parts.clone()).unwrap()), dump(&database));
        let image = image_parts(&database.image().unwrap(), 8_000).unwrap();
        assert!(image.len() > 1 && image.iter().all(|part| part.len() <= 8_000));
        // An image that was begun is no matter, as long as it is not where the state begins.
        parts.extend(image.iter().take(1).cloned());
        assert_eq!(dump(&restored(parts).unwrap()), dump(&database));
        assert!(restored(image.iter().take(1).cloned()).is_err());
        let mut parts = image;
        keep(&mut database, &mut parts, vec![Change::DropPair(3), Change::Proved(inbox, Time(9))]);
        assert_eq!(dump(&restored(parts).unwrap()), dump(&database));
    }
}
