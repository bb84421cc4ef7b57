//! The mark by which a directory is known again: without it, an empty directory may be a disk that
//! is not mounted.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use model::{Error, Result};
use smol_str::SmolStr;

use super::disk::{failed, if_there, rename_new, sync_directory};

/// The file that has the mark.
pub(super) const FILE: &str = ".sync-id";
const BYTES_MAX: usize = 64;

/// Reads the mark of a directory, if it has one.
pub(super) fn read(directory: &Path) -> Result<Option<SmolStr>> {
    let path = directory.join(FILE);
    let Some(text) = if_there(&path, fs::read(&path))? else { return Ok(None) };
    let text = std::str::from_utf8(&text).unwrap_or_default().trim();
    let is_good = |byte: u8| byte.is_ascii_alphanumeric();
    if text.is_empty() || text.len() > BYTES_MAX || !text.bytes().all(is_good) {
        return Err(Error::Unavailable(format!(
            "{} is damaged, so it cannot be told whether this is the same directory: restore it, \
             or remove it to begin anew",
            path.display()
        )));
    }
    Ok(Some(text.into()))
}

/// Reads the mark of a directory, and gives it one if it has none.
pub(super) fn make(directory: &Path) -> Result<SmolStr> {
    if let Some(mark) = read(directory)? {
        return Ok(mark);
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Error::Unavailable(format!("no random numbers: {error}")))?;
    let mark: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = directory.join(format!("{FILE}.{mark}"));
    let write = || {
        let mut file = File::create_new(&draft)?;
        file.write_all(format!("{mark}\n").as_bytes())?;
        file.sync_all()?;
        let is_ours = rename_new(&draft, &directory.join(FILE))?;
        if !is_ours {
            // Somebody else marked it at the same moment, and that mark is as good.
            fs::remove_file(&draft)?;
        }
        Ok(())
    };
    write().map_err(|error| failed(directory, &error))?;
    sync_directory(directory)?;
    read(directory)?.ok_or_else(|| {
        Error::Unavailable(format!("{} does not keep its mark", directory.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_mark_and_another_has_another() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(read(one.path()).unwrap(), None);
        let mark = make(one.path()).unwrap();
        assert_eq!(make(one.path()).unwrap(), mark);
        assert_eq!(read(one.path()).unwrap(), Some(mark.clone()));
        assert_ne!(make(other.path()).unwrap(), mark);
        fs::write(one.path().join(FILE), "../etc").unwrap();
        assert!(matches!(read(one.path()), Err(Error::Unavailable(_))));
    }
}
