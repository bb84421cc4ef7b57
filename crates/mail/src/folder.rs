//! Names of folders.

use std::fmt;

use model::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, de};
use smol_str::SmolStr;

use crate::limits::{FOLDER_BYTES_MAX, FOLDER_PART_BYTES_MAX, FOLDER_PARTS_MAX};

/// The name of a folder: parts of UTF-8 text with `/` between them, the same on every store.
///
/// The first part is `INBOX` in capitals where it is that in any case. What exists is safe to
/// show, and no part is empty, `.`, `..` or has control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct FolderName(SmolStr);

impl FolderName {
    /// Checks a name.
    ///
    /// # Errors
    /// If a part cannot be the name of a folder, or the name is too long.
    pub fn new(name: &str) -> Result<Self> {
        let refuse = |why: &str| {
            let shown: String = name.chars().take(80).collect();
            Err(Error::bad_input(format!("{shown:?} cannot be a folder's name: {why}")))
        };
        if name.len() > FOLDER_BYTES_MAX {
            return Err(Error::too_large("a folder's name", name.len(), FOLDER_BYTES_MAX));
        }
        if name.split('/').count() > FOLDER_PARTS_MAX {
            return refuse("it has too many parts");
        }
        for part in name.split('/') {
            if part.is_empty() {
                return refuse("a part of it is empty");
            }
            if part == "." || part == ".." {
                return refuse("a part of it leads elsewhere");
            }
            if part.len() > FOLDER_PART_BYTES_MAX {
                return refuse("a part of it is too long");
            }
            if part.chars().any(char::is_control) {
                return refuse("it has control characters");
            }
        }
        let (first, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
        if first.eq_ignore_ascii_case("INBOX") {
            return Ok(Self(format!("INBOX{rest}").into()));
        }
        Ok(Self(name.into()))
    }

    /// Makes a name of its parts.
    ///
    /// # Errors
    /// If a part has a `/` in it, or as [`FolderName::new`].
    pub fn from_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let parts: Vec<&str> = parts.into_iter().collect();
        if let Some(part) = parts.iter().find(|part| part.contains('/')) {
            return Err(Error::bad_input(format!("{part:?} cannot be a part of a folder's name")));
        }
        Self::new(&parts.join("/"))
    }

    /// Gives the one folder that every account has.
    pub fn inbox() -> Self {
        Self(SmolStr::new_static("INBOX"))
    }

    /// Tells whether this is the inbox itself.
    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    /// Borrows the whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gives the parts, outermost first.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Gives the folder around this one.
    pub fn parent(&self) -> Option<Self> {
        self.0.rfind('/').and_then(|at| self.0.get(..at)).map(|name| Self(name.into()))
    }

    /// Tells whether this folder is somewhere below another.
    pub fn is_below(&self, other: &Self) -> bool {
        self.0.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FolderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&SmolStr::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", "/", "a//b", "a/../b", "..", ".", "a/", "/a", "a\nb", "a\0b", "a\u{7f}"] {
            assert!(FolderName::new(name).is_err(), "{name:?}");
        }
        assert!(FolderName::new(&"a".repeat(241)).is_err());
        assert!(FolderName::new(&vec!["a"; 33].join("/")).is_err());
        assert!(FolderName::from_parts(["a/b"]).is_err());
    }

    #[test]
    fn the_inbox_is_one_folder_however_it_is_written() {
        assert!(FolderName::new("Inbox").unwrap().is_inbox());
        assert_eq!(FolderName::new("iNbOx/Sub").unwrap().as_str(), "INBOX/Sub");
        assert_eq!(FolderName::new("INBOXes").unwrap().as_str(), "INBOXes");
    }

    #[test]
    fn families_are_told_by_whole_parts() {
        let name = |text| FolderName::new(text).unwrap();
        assert_eq!(name("a/b/c").parent(), Some(name("a/b")));
        assert_eq!(name("a").parent(), None);
        assert!(name("a/b/c").is_below(&name("a/b")));
        assert!(!name("a/bc").is_below(&name("a/b")));
    }
}
