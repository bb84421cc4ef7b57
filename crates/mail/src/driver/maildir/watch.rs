//! Waiting until something changes, as the kernel tells.

use std::{collections::HashMap, path::PathBuf};

use model::{Error, Result};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::store::MaildirDriver;
use crate::FolderName;

/// How many tidings may wait; more say no more than these.
const TIDINGS: usize = 1024;

/// What is watched. It stays between waits, so that nothing is missed in between.
pub(super) struct Watch {
    folders: HashMap<PathBuf, FolderName>,
    tidings: mpsc::Receiver<Vec<PathBuf>>,
    /// Watches as long as it is kept.
    _watcher: RecommendedWatcher,
}

impl MaildirDriver {
    /// Waits until something changed in one of these folders.
    pub(super) async fn wait_for_change(
        &mut self,
        folders: &[FolderName],
    ) -> Result<Vec<FolderName>> {
        let is_other = |watch: &Watch| !folders.iter().all(|folder| watch.has(folder));
        if self.watch.as_ref().is_none_or(is_other) {
            self.watch = Some(Watch::new(self, folders)?);
            // Something may have changed before the kernel was asked.
            return Ok(Vec::new());
        }
        match &mut self.watch {
            Some(watch) => Ok(watch.changed().await),
            None => Ok(Vec::new()),
        }
    }
}

impl Watch {
    fn new(driver: &MaildirDriver, folders: &[FolderName]) -> Result<Self> {
        let (sender, tidings) = mpsc::channel(TIDINGS);
        let take = move |event: notify::Result<Event>| {
            // An error says that tidings were lost, so that anything may have changed.
            let paths = match event {
                Ok(Event { kind: EventKind::Access(_), .. }) => return,
                Ok(event) if event.need_rescan() => Vec::new(),
                Ok(event) => event.paths,
                Err(_) => Vec::new(),
            };
            // If there is no room, so much waits already that this would say nothing new.
            drop(sender.try_send(paths));
        };
        let mut watcher = notify::recommended_watcher(take).map_err(|error| failed(&error))?;
        let settings = driver.settings();
        let mut watched = HashMap::new();
        for folder in folders {
            let directory = settings.layout.path(&settings.root, folder)?;
            for path in [directory.join("cur"), directory.join("new")] {
                if path.is_dir() {
                    watcher
                        .watch(&path, RecursiveMode::NonRecursive)
                        .map_err(|error| failed(&error))?;
                }
                watched.insert(path, folder.clone());
            }
        }
        Ok(Self { folders: watched, tidings, _watcher: watcher })
    }

    fn has(&self, folder: &FolderName) -> bool {
        self.folders.values().any(|watched| watched == folder)
    }

    /// Waits for tidings, and takes all that are there.
    async fn changed(&mut self) -> Vec<FolderName> {
        let mut changed = Vec::new();
        let mut next = self.tidings.recv().await;
        while let Some(paths) = next {
            let folders = paths.iter().map(|path| self.folders.get(path.parent()?));
            let Some(folders) = folders.collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())
            else {
                return Vec::new();
            };
            for folder in folders {
                if !changed.contains(folder) {
                    changed.push(folder.clone());
                }
            }
            next = self.tidings.try_recv().ok();
        }
        changed
    }
}

fn failed(error: &notify::Error) -> Error {
    let hint = if matches!(error.kind, notify::ErrorKind::MaxFilesWatch) {
        " (raise fs.inotify.max_user_watches)"
    } else {
        ""
    };
    Error::Unavailable(format!("cannot watch directories: {error}{hint}"))
}
