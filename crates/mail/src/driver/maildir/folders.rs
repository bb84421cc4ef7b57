//! Folders: found, made, removed and renamed.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use model::{Error, Result};
use smol_str::{SmolStr, format_smolstr};

use super::{
    deliver::make_directories,
    disk::{failed, if_there, rename_new, settled, sync_directory},
    keywords,
    layout::{Layout, OWN},
    mark,
    scan::Scan,
    store::Core,
};
use crate::{
    Checkpoint, FolderName,
    driver::{Folder, Folders},
    limits::{FOLDER_PARTS_MAX, FOLDERS_MAX},
};

impl Core {
    /// Finds the folders.
    pub(super) fn folders(&mut self) -> Result<Folders> {
        let root = self.root()?;
        let mut found = Folders::default();
        match self.settings.layout {
            Layout::Nested => self.nested(&root, &mut Vec::new(), &mut found)?,
            Layout::Dotted => self.dotted(&root, &mut found)?,
        }
        found.folders.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    fn dotted(&mut self, root: &Path, found: &mut Folders) -> Result<()> {
        if root.join("cur").is_dir() {
            found.folders.push(self.folder(FolderName::inbox(), root)?);
        }
        for (name, path) in directories(root, &mut found.skipped)? {
            match Layout::dotted(&name) {
                Some(Ok(folder)) if path.join("cur").is_dir() && !folder.is_inbox() => {
                    found.folders.push(self.folder(folder, &path)?);
                }
                Some(Err(error)) => found.skipped.push(error.to_string()),
                Some(Ok(_)) | None => {}
            }
            check_count(found)?;
        }
        Ok(())
    }

    fn nested(
        &mut self,
        directory: &Path,
        parts: &mut Vec<String>,
        found: &mut Folders,
    ) -> Result<()> {
        for (name, path) in directories(directory, &mut found.skipped)? {
            if OWN.contains(&name.as_str()) || name.starts_with('.') {
                continue;
            }
            parts.push(name);
            if path.join("cur").is_dir() {
                match FolderName::from_parts(parts.iter().map(String::as_str)) {
                    // "Inbox" beside "INBOX" would be one folder in two places.
                    Ok(folder)
                        if self.settings.layout.path(directory, &folder).is_ok()
                            && self.directory(&folder)? == path =>
                    {
                        found.folders.push(self.folder(folder, &path)?);
                    }
                    Ok(folder) => {
                        found.skipped.push(format!("{}: write it {folder}", path.display()))
                    }
                    Err(error) => found.skipped.push(error.to_string()),
                }
            }
            check_count(found)?;
            if parts.len() < FOLDER_PARTS_MAX {
                self.nested(&path, parts, found)?;
            }
            parts.pop();
        }
        Ok(())
    }

    fn folder(&self, name: FolderName, path: &Path) -> Result<Folder> {
        let metadata = fs::metadata(path).map_err(|error| failed(path, &error))?;
        let epoch = mark::read(path)?.unwrap_or_default();
        let id =
            (!name.is_inbox()).then(|| format_smolstr!("{}.{}", metadata.dev(), metadata.ino()));
        let checkpoint = Some(Checkpoint { epoch, token: token(path)? });
        Ok(Folder { name, checkpoint, id, purpose: None })
    }

    /// Makes a folder, and marks it.
    pub(super) fn create_folder(&mut self, folder: &FolderName) -> Result<()> {
        self.root()?;
        let directory = self.directory(folder)?;
        fs::create_dir_all(&directory).map_err(|error| failed(&directory, &error))?;
        make_directories(&directory)?;
        mark::make(&directory)?;
        self.sync_to_root(&directory)
    }

    /// Removes a folder without messages, with what programs left in it.
    pub(super) fn delete_folder(&mut self, folder: &FolderName) -> Result<()> {
        let directory = self.directory(folder)?;
        if !directory.join("cur").is_dir() {
            return Ok(());
        }
        if directory == self.root()? {
            return Err(Error::LockConflict("the inbox cannot be removed".to_owned()));
        }
        let count = Scan::of(&directory)?.entries.len();
        if count > 0 {
            return Err(Error::LockConflict(format!(
                "folder {folder} is not removed because it holds {count} messages"
            )));
        }
        self.forget(folder);
        remove_drafts(&directory.join("tmp"))?;
        for name in OWN {
            let path = directory.join(name);
            // A message that arrived at this moment makes this fail, and stays.
            if_there(&path, fs::remove_dir(&path))?;
        }
        let is_ours = |name: &str| {
            name.starts_with("dovecot") || [mark::FILE, "maildirfolder"].contains(&name)
        };
        for entry in fs::read_dir(&directory).map_err(|error| failed(&directory, &error))? {
            let entry = entry.map_err(|error| failed(&directory, &error))?;
            if entry.file_name().to_str().is_some_and(is_ours) {
                if_there(&entry.path(), fs::remove_file(entry.path()))?;
            }
        }
        // With folders below it, or files of others, the directory itself stays.
        if let Err(error) = fs::remove_dir(&directory)
            && error.kind() != std::io::ErrorKind::DirectoryNotEmpty
        {
            return Err(failed(&directory, &error));
        }
        self.sync_to_root(directory.parent().unwrap_or(&directory))
    }

    /// Renames a folder with those below it.
    pub(super) fn rename_folder(&mut self, from: &FolderName, to: &FolderName) -> Result<()> {
        let root = self.root()?;
        let mut moves = vec![(self.directory(from)?, self.directory(to)?)];
        if moves.iter().any(|(old, _)| *old == root) || to.is_inbox() {
            return Err(Error::bad_input("the inbox cannot be renamed, nor replaced"));
        }
        if self.settings.layout == Layout::Dotted {
            for (name, _) in directories(&root, &mut Vec::new())? {
                if let Some(Ok(folder)) = Layout::dotted(&name)
                    && let Some(rest) = folder
                        .as_str()
                        .strip_prefix(from.as_str())
                        .filter(|rest| rest.starts_with('/'))
                {
                    let new = FolderName::new(&format!("{to}{rest}"))?;
                    moves.push((self.directory(&folder)?, self.directory(&new)?));
                }
            }
        }
        for (old, new) in moves {
            let parent = new.parent().unwrap_or(&root).to_path_buf();
            fs::create_dir_all(&parent).map_err(|error| failed(&parent, &error))?;
            if !rename_new(&old, &new).map_err(|error| failed(&old, &error))? {
                return Err(Error::LockConflict(format!("folder {to} is there already")));
            }
            sync_directory(&parent)?;
            sync_directory(old.parent().unwrap_or(&root))?;
        }
        self.forget(from);
        self.forget(to);
        Ok(())
    }

    fn sync_to_root(&self, directory: &Path) -> Result<()> {
        let mut path = Some(directory);
        while let Some(directory) = path.filter(|path| path.starts_with(&self.settings.root)) {
            sync_directory(directory)?;
            path = directory.parent();
        }
        Ok(())
    }
}

/// Says what a folder is at, if no change of the same moment could still follow unseen.
pub(super) fn token(directory: &Path) -> Result<Option<SmolStr>> {
    let time =
        |path: PathBuf| Ok(if_there(&path, fs::metadata(&path))?.map(|found| settled(&found)));
    let (cur, new) = (time(directory.join("cur"))?, time(directory.join("new"))?);
    let keywords = time(directory.join(keywords::FILE))?;
    let mut token = String::new();
    for part in [cur, new, keywords] {
        match part {
            None => token.push_str("-."),
            Some(Some(time)) => token.push_str(&format!("{time}.")),
            Some(None) => return Ok(None),
        }
    }
    Ok(Some(token.into()))
}

/// Gives the directories in a directory. Links are left out: they lead elsewhere, or in circles.
fn directories(directory: &Path, skipped: &mut Vec<String>) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| failed(directory, &error))? {
        let entry = entry.map_err(|error| failed(directory, &error))?;
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_symlink() && path.join("cur").is_dir() {
            skipped.push(format!("{}: it is a link, which is not followed", path.display()));
        } else if kind.is_dir() {
            match entry.file_name().into_string() {
                Ok(name) => found.push((name, path)),
                Err(_) => skipped.push(format!("{}: its name is no text", path.display())),
            }
        }
    }
    Ok(found)
}

fn check_count(found: &Folders) -> Result<()> {
    if found.folders.len() > FOLDERS_MAX {
        return Err(Error::too_large("the number of folders", found.folders.len(), FOLDERS_MAX));
    }
    Ok(())
}

/// Removes the drafts of a folder that is being removed.
fn remove_drafts(tmp: &Path) -> Result<()> {
    let Some(entries) = if_there(tmp, fs::read_dir(tmp))? else { return Ok(()) };
    for entry in entries {
        let path = entry.map_err(|error| failed(tmp, &error))?.path();
        if_there(&path, fs::remove_file(&path))?;
    }
    Ok(())
}
