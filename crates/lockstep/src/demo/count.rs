//! Finding files and counting what is in them.

use std::{
    fmt,
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// What a file has in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Its bytes.
    pub(crate) bytes: u64,
    /// Its line ends.
    pub(crate) lines: u64,
    /// The hex SHA-256 of its bytes.
    pub(crate) sha256: String,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {} lines, SHA-256 {}", self.bytes, self.lines, self.sha256)
    }
}

/// Reads a file, a part at a time.
pub(crate) fn read(path: &Path) -> io::Result<Figures> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    let (mut bytes, mut lines, mut hash) = (0, 0, Sha256::new());
    loop {
        let part = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => buffer.get(..length).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        bytes += part.len() as u64;
        lines += part.iter().filter(|byte| **byte == b'\n').count() as u64;
        hash.update(part);
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Figures { bytes, lines, sha256 })
}

/// A file to be read by the workers.
pub(crate) struct Found {
    /// Its path below the folder.
    pub(crate) name: String,
    /// Its whole path.
    pub(crate) path: PathBuf,
    /// What it held when it was found.
    pub(crate) figures: Figures,
    stamp: Stamp,
}

/// What shows that a file was written to.
#[derive(PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { length: metadata.len(), modified: metadata.modified().ok() }
    }
}

impl Found {
    /// Tells whether the file was changed or removed since it was found.
    pub(crate) fn has_changed(&self) -> bool {
        fs::symlink_metadata(&self.path).map_or(true, |metadata| Stamp::of(&metadata) != self.stamp)
    }
}

/// The regular files below a folder, in name order, and what was left out and why.
#[derive(Default)]
pub(crate) struct Walk {
    /// The files.
    pub(crate) files: Vec<Found>,
    /// Notes on what was left out.
    pub(crate) skipped: Vec<String>,
}

/// Folders that hold no work of people.
const IGNORED: [&str; 2] = [".git", "target"];

/// Finds and counts every regular file below a folder, except in `.git` and `target`.
pub(crate) fn walk(folder: &Path) -> Result<Walk> {
    let folder = folder
        .canonicalize()
        .with_context(|| format!("cannot use the folder {}", folder.display()))?;
    let mut walk = Walk::default();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        let entries =
            fs::read_dir(&next).with_context(|| format!("cannot list {}", next.display()))?;
        for entry in entries {
            let path = entry?.path();
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) => {
                    walk.skipped.push(format!("{}: {error}", path.display()));
                    continue;
                }
            };
            if metadata.is_dir() {
                let ignored = path.file_name().is_some_and(|n| IGNORED.iter().any(|i| n == *i));
                if !ignored {
                    folders.push(path);
                }
            } else if metadata.is_file() {
                walk.add(&folder, path, &metadata);
            }
        }
    }
    walk.files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(walk)
}

impl Walk {
    fn add(&mut self, folder: &Path, path: PathBuf, metadata: &Metadata) {
        let name = path.strip_prefix(folder).ok().and_then(Path::to_str).map(str::to_owned);
        let found = match (name, read(&path)) {
            // Data travels as JSON, which has no bytes.
            (None, _) => Err("its name is not UTF-8".to_owned()),
            // What a few lines of shell can read out of JSON has its bounds.
            (Some(name), _) if name.contains(char::is_control) => {
                Err("its name has control characters".to_owned())
            }
            (Some(name), _) if name.len() > model::limits::NAME_BYTES_MAX => {
                Err("its name is too long".to_owned())
            }
            (Some(_), Err(error)) => Err(error.to_string()),
            (Some(name), Ok(figures)) => Ok((name, figures)),
        };
        match found {
            Ok((name, figures)) => {
                self.files.push(Found { name, path, figures, stamp: Stamp::of(metadata) });
            }
            Err(why) => self.skipped.push(format!("{}: {why}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        for ignored in IGNORED {
            fs::create_dir(folder.path().join(ignored)).unwrap();
            fs::write(folder.path().join(ignored).join("x"), "x").unwrap();
        }
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/c"), "one\ntwo").unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();

        let walk = walk(folder.path()).unwrap();
        let names: Vec<_> = walk.files.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["a", "b/c"]);
        let figures = &walk.files[1].figures;
        assert_eq!((figures.bytes, figures.lines), (7, 1));
        // What sha256sum prints for it.
        let sum = "21066d108d5319ecb5a1fc4454f42ef22fc5f1c7df49c31d90294950e0ea8b2c";
        assert_eq!(figures.sha256, sum);
        assert!(!walk.files[1].has_changed());
        fs::write(folder.path().join("b/c"), "one").unwrap();
        assert!(walk.files[1].has_changed());
    }
}
