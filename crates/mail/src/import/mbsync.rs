//! The files of mbsync: a head, and a line for each message with its number on either side.

use std::path::{Path, PathBuf};

use model::{Error, Result};

use super::{Known, Remembered, flags, strange, text};
use crate::FolderName;

/// The file in the directory of a folder.
const OWN: &str = ".mbsyncstate";
/// Bytes of `X-TUID: ` with twelve letters and a line end.
const TRACER_BYTES: u64 = 22;

/// Reads what is remembered of a folder.
pub(super) fn read(
    places: &[PathBuf],
    folder: &FolderName,
    directory: &Path,
) -> Result<Option<Remembered>> {
    for path in files(places, folder, directory)? {
        let Some(text) = text(&path)? else { continue };
        let mut journal = path.clone().into_os_string();
        journal.push(".journal");
        if Path::new(&journal).exists() {
            return Err(Error::LockConflict(format!(
                "a run of mbsync was cut off, or is under way, as {} says: let it come to its end",
                Path::new(&journal).display()
            )));
        }
        if directory.join(".isyncuidmap.db").exists() {
            return Err(strange(&path, "mbsync keeps the numbers of this folder in a database"));
        }
        return parse(&text).map(Some).ok_or_else(|| strange(&path, "mbsync did not write it"));
    }
    Ok(None)
}

/// Gives the files in which something may be remembered of a folder, the likeliest first.
fn files(places: &[PathBuf], folder: &FolderName, directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![directory.join(OWN)];
    let name = folder.as_str().replace('/', "!");
    for place in places {
        let failed = |error: std::io::Error| strange(place, &error.to_string());
        let mut found = Vec::new();
        for entry in place.read_dir().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // The names of both stores and folders, or what the channel says and the folder.
            let is_it = entry.file_name().to_str().is_some_and(|file| {
                file.rsplit_once(':').map_or(file == name, |(_, near)| near == name)
            });
            if is_it {
                found.push(entry.path());
            }
        }
        if found.len() > 1 {
            let why = format!("several of its files are for {folder}: name one folder for each");
            return Err(strange(place, &why));
        }
        files.append(&mut found);
    }
    Ok(files)
}

/// Reads a file; none if it is something else.
fn parse(text: &str) -> Option<Remembered> {
    let mut lines = text.lines();
    let mut epoch = None;
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(' ')?;
        let value: u32 = value.parse().ok()?;
        // Older versions have other words for the sides.
        if ["FarUidValidity", "MasterUidValidity"].contains(&name) {
            epoch = Some(value);
        }
    }
    let mut pairs = Vec::new();
    for line in lines {
        let mut words = line.split(' ');
        let (uid, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let letters = words.next().unwrap_or_default();
        // Other signs say that one side has only a placeholder, or not even that.
        if let Some(flags) = flags(letters).filter(|_| uid > 0 && number > 0) {
            pairs.push(Known { uid, number, flags });
        }
    }
    Some(Remembered { epochs: vec![epoch?], tracer_bytes: TRACER_BYTES, pairs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Flags;

    #[test]
    fn files_are_read_and_others_are_refused() {
        let text = "FarUidValidity 17\nNearUidValidity 18\nMaxPulledUid 9\nMaxPushedUid 9\n\n\
                    1 2 FS\n3 4 \n5 0 S\n0 6 \n7 8 >S\n9 10 ~S\n11 12\n";
        let read = parse(text).unwrap();
        let known: Vec<_> = read.pairs.iter().map(|known| (known.uid, known.number)).collect();
        assert_eq!((read.epochs, known), (vec![17], vec![(1, 2), (3, 4), (11, 12)]));
        assert_eq!(read.pairs[0].flags, Flags::from_names(["\\Flagged", "\\Seen"]));
        let old = "MasterUidValidity 17\nSlaveUidValidity 18\n\n1 1 S\n";
        assert_eq!(parse(old).unwrap().pairs.len(), 1);
        for other in ["", "hello\n", "FarUidValidity x\n\n", "NearUidValidity 1\n\n1 1 S\n"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
        assert_eq!(parse("FarUidValidity 1\n\n1 x\n"), None);
    }
}
