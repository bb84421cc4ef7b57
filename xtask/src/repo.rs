//! The repository's files, read once, so that every check is a function of text.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 7] =
    [".git", "target", "__pycache__", ".venv", ".mypy_cache", "node_modules", "dist"];

/// Gives the folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Text files by their path, with `/` between its parts.
#[derive(Debug, Default)]
pub(crate) struct Repo {
    files: BTreeMap<String, String>,
}

impl Repo {
    /// Reads every text file below a folder.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut repo = Self::default();
        repo.read_folder(root, "")?;
        Ok(repo)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                self.read_folder(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).with_context(|| path.clone())?;
                if let Ok(text) = String::from_utf8(bytes) {
                    self.files.insert(path, text);
                }
            }
        }
        Ok(())
    }

    /// Makes a repository out of pairs of path and text.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let pair = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(pair).collect() }
    }

    /// Gives the text of a file.
    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Tells whether a path is a file or a folder with files in it.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        self.files.contains_key(path) || self.files.keys().any(|file| file.starts_with(&folder))
    }

    /// Lists path and text of all files.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Lists path and text of the files with an extension.
    pub(crate) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.all().filter(move |(path, _)| path.ends_with(end))
    }

    /// Lists the names of the crates: the folders below `crates` that have a manifest.
    pub(crate) fn crates(&self) -> Vec<&str> {
        let name = |path: &'_ str| -> Option<(usize, usize)> {
            let rest = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
            (!rest.contains('/')).then(|| (7, 7 + rest.len()))
        };
        self.files
            .keys()
            .filter_map(|path| name(path).and_then(|(from, to)| path.get(from..to)))
            .collect()
    }
}
