//! How far an import got, in a file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What was carried over, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    /// Namespaces.
    pub(super) namespaces: u64,
    /// Work specs.
    pub(super) specs: u64,
    /// Work units that are ready or delayed.
    pub(super) units_open: u64,
    /// Work units with a lease that goes on.
    pub(super) units_pending: u64,
    /// Work units that are finished.
    pub(super) units_finished: u64,
    /// Work units that have failed.
    pub(super) units_failed: u64,
    /// Workers.
    pub(super) workers: u64,
    /// Pending units whose lease was over, which are ready again.
    pub(super) leases_over: u64,
    /// Units that were gone when they were looked at.
    pub(super) units_vanished: u64,
    /// Namespaces whose workers could not be listed, so that only those who hold a unit came along.
    pub(super) namespaces_without_worker_list: u64,
}

/// How far an import got.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Where from.
    source: String,
    /// What was done in all runs together.
    pub(super) report: Report,
    /// Namespaces that are done.
    pub(super) namespaces: Vec<String>,
    /// Work specs of the namespace at hand that are done.
    pub(super) specs: Vec<String>,
    /// The escaped name of the last unit of the spec at hand that is done.
    pub(super) after: Option<String>,
    /// The spec at hand.
    pub(super) spec: Option<String>,
    /// Workers of the namespace at hand that were seen.
    pub(super) workers: Vec<String>,
}

/// The file with what is in it.
pub(super) struct Place {
    path: PathBuf,
    resumes: bool,
    pub(super) progress: Progress,
}

impl Place {
    /// Reads the file, if there is one.
    pub(super) fn open(path: PathBuf, source: &str) -> Result<Self> {
        let begun = match fs::read(&path) {
            Ok(bytes) => {
                let damaged = || format!("{} does not say how far an import got", path.display());
                Some(serde_json::from_slice::<Progress>(&bytes).with_context(damaged)?)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let resumes = begun.is_some();
        let progress =
            begun.unwrap_or_else(|| Progress { source: source.to_owned(), ..Progress::default() });
        if progress.source != source {
            let message = format!("{} is about an import from {}", path.display(), progress.source);
            let hint = "finish that one, remove the file, or give another one with --progress";
            return Err(Failure::usage(message, hint).into());
        }
        Ok(Self { path, resumes, progress })
    }

    /// Tells whether an earlier run is gone on with.
    pub(super) fn resumes(&self) -> bool {
        self.resumes
    }

    /// Gives the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file as a whole or not at all.
    pub(super) fn save(&self) -> Result<()> {
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let context = || format!("cannot write {}", self.path.display());
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).with_context(context)?;
        }
        fs::write(&new, serde_json::to_vec(&self.progress)?).with_context(context)?;
        fs::rename(&new, &self.path).with_context(context)
    }

    /// Removes the file, for the import is done.
    pub(super) fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}
