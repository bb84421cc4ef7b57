//! Where folders are: as directories in directories, or all beside each other with dots.

use std::path::{Path, PathBuf};

use model::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::FolderName;

/// How folders are laid out below the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// A folder in a folder is a directory in a directory.
    #[default]
    Nested,
    /// Maildir++: the root is the inbox, and every other folder is a directory in it whose name
    /// begins with a dot and has dots between its parts.
    Dotted,
}

/// The directories of every folder.
pub(super) const OWN: [&str; 3] = ["cur", "new", "tmp"];

impl Layout {
    /// Gives the directory of a folder, which is always below the root.
    ///
    /// # Errors
    /// If this layout has no place for that name.
    pub(super) fn path(self, root: &Path, folder: &FolderName) -> Result<PathBuf> {
        let refuse = |why: &str| {
            Err(Error::bad_input(format!("folder {folder} cannot be a directory here: {why}")))
        };
        match self {
            Self::Nested => {
                let mut path = root.to_path_buf();
                for part in folder.parts() {
                    if OWN.contains(&part) {
                        return refuse("every folder has directories of that name");
                    }
                    if part.starts_with('.') {
                        return refuse("a part of its name begins with a dot");
                    }
                    path.push(part);
                }
                Ok(path)
            }
            Self::Dotted if folder.is_inbox() => Ok(root.to_path_buf()),
            Self::Dotted => {
                let parts: Vec<&str> = folder.parts().collect();
                if parts.iter().any(|part| part.contains('.')) {
                    return refuse("a part of its name has a dot in it");
                }
                let name = format!(".{}", parts.join("."));
                if name.len() > 255 {
                    return refuse("its name is too long");
                }
                Ok(root.join(name))
            }
        }
    }

    /// Gives the folder of a directory beside the root's own, if it can be one.
    pub(super) fn dotted(name: &str) -> Option<Result<FolderName>> {
        let rest = name.strip_prefix('.').filter(|rest| !rest.is_empty())?;
        Some(FolderName::from_parts(rest.split('.')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_outside_the_root() {
        let root = Path::new("/mail");
        let names = ["INBOX", "a/b", "a.b", "cur", "x/tmp", ".hidden", "a/.b", "~", "-", "a b"];
        for name in names {
            let folder = FolderName::new(name).unwrap();
            for layout in [Layout::Nested, Layout::Dotted] {
                if let Ok(path) = layout.path(root, &folder) {
                    assert!(path.starts_with(root), "{name:?}");
                    let parts = path.components();
                    assert!(parts.into_iter().all(|part| part.as_os_str() != ".."), "{name:?}");
                }
            }
        }
        let path = |layout: Layout, name| layout.path(root, &FolderName::new(name).unwrap());
        assert_eq!(path(Layout::Nested, "a/b").unwrap(), Path::new("/mail/a/b"));
        assert_eq!(path(Layout::Dotted, "a/b").unwrap(), Path::new("/mail/.a.b"));
        assert_eq!(path(Layout::Dotted, "INBOX").unwrap(), root);
        for (layout, name) in [
            (Layout::Nested, "cur"),
            (Layout::Nested, "a/new/b"),
            (Layout::Nested, ".retained"),
            (Layout::Dotted, "a.b"),
        ] {
            assert!(path(layout, name).is_err(), "{name:?}");
        }
    }
}
