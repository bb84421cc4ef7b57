//! The driver: file work on threads that may wait, one piece at a time.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{BoxFuture, Error, Result};
use smol_str::SmolStr;
use tokio::task::spawn_blocking;

use super::{
    body,
    disk::{failed, if_there, stamp},
    folders::token,
    layout::Layout,
    mark,
    scan::Scan,
    watch::Watch,
};
use crate::{
    Checkpoint, Driver, FolderName, Identified, Key, Part, Pouring, Seen,
    driver::{At, Connect, Listing, Rest, refuse_change},
};

/// Where a store of directories is, and how it is treated.
#[derive(Clone, Debug)]
pub struct MaildirSettings {
    /// The directory in which everything is.
    pub root: PathBuf,
    /// How folders are laid out in it.
    pub layout: Layout,
    /// Whether everything that would change it is refused.
    pub read_only: bool,
}

/// A store of directories, of which any number of drivers can be made.
#[derive(Clone, Debug)]
pub struct MaildirStore {
    settings: Arc<MaildirSettings>,
}

impl MaildirStore {
    /// Describes a store; nothing is looked at yet.
    pub fn new(settings: MaildirSettings) -> Self {
        Self { settings: Arc::new(settings) }
    }

    /// Gives the directory of a folder, whether it is there or not.
    ///
    /// # Errors
    /// If this layout has no place for that name.
    pub fn path_of(&self, folder: &FolderName) -> Result<PathBuf> {
        self.settings.layout.path(&self.settings.root, folder)
    }

    /// Makes a driver.
    pub fn driver(&self) -> MaildirDriver {
        MaildirDriver { settings: Arc::clone(&self.settings), core: None, watch: None }
    }
}

impl Connect for MaildirStore {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Driver>>> {
        Box::pin(async { Ok(Box::new(self.driver()) as Box<dyn Driver>) })
    }

    fn directory(&self, folder: &FolderName) -> Option<PathBuf> {
        self.path_of(folder).ok()
    }
}

/// One worker on a store of directories.
pub struct MaildirDriver {
    settings: Arc<MaildirSettings>,
    /// Not there while a thread has it, or after that was given up.
    core: Option<Core>,
    pub(super) watch: Option<Watch>,
}

/// What the file work needs.
pub(super) struct Core {
    pub(super) settings: Arc<MaildirSettings>,
    /// The folder that was looked at last.
    scan: Option<(FolderName, Scan)>,
}

impl Core {
    /// Gives the root, if it is there.
    pub(super) fn root(&self) -> Result<PathBuf> {
        let root = &self.settings.root;
        if root.is_dir() {
            return Ok(root.clone());
        }
        Err(Error::Unavailable(format!(
            "there is no directory {}: is the disk mounted?",
            root.display()
        )))
    }

    /// Gives the directory of a folder.
    pub(super) fn directory(&self, folder: &FolderName) -> Result<PathBuf> {
        self.settings.layout.path(&self.settings.root, folder)
    }

    /// Gives the directory of a folder that is still the one that was listed.
    pub(super) fn open(&self, at: &At) -> Result<PathBuf> {
        let directory = self.directory(&at.folder)?;
        if !at.epoch.is_empty() && mark::read(&directory)?.as_ref() != Some(&at.epoch) {
            return Err(Error::Gone);
        }
        Ok(directory)
    }

    /// Gives the files of a folder, as they were when it was looked at last.
    pub(super) fn scan(&mut self, folder: &FolderName) -> Result<&mut Scan> {
        if self.scan.as_ref().is_none_or(|(scanned, _)| scanned != folder) {
            self.look_again(folder)?;
        }
        self.scanned()
    }

    /// Gives the files of the folder that was looked at last.
    pub(super) fn scanned(&mut self) -> Result<&mut Scan> {
        let scan = self.scan.as_mut().map(|(_, scan)| scan);
        scan.ok_or_else(|| Error::Internal("no folder was looked at".to_owned()))
    }

    /// Looks at a folder.
    pub(super) fn look_again(&mut self, folder: &FolderName) -> Result<()> {
        self.scan = None;
        let scan = Scan::of(&self.directory(folder)?)?;
        self.scan = Some((folder.clone(), scan));
        Ok(())
    }

    /// Forgets a folder that is not what it was.
    pub(super) fn forget(&mut self, folder: &FolderName) {
        self.scan.take_if(|(scanned, _)| scanned == folder || scanned.is_below(folder));
    }

    /// Reads the mark of the root, and makes one if there is none and one is wanted.
    pub(super) fn identity(&mut self, create: bool) -> Result<Option<SmolStr>> {
        let create = create && !self.settings.read_only;
        let root = &self.settings.root;
        if create && if_there(root, fs::metadata(root))?.is_none() {
            fs::create_dir_all(root).map_err(|error| failed(root, &error))?;
        }
        let root = self.root()?;
        if create { mark::make(&root).map(Some) } else { mark::read(&root) }
    }

    /// Lists a folder, if it may have changed.
    pub(super) fn list(
        &mut self,
        folder: &FolderName,
        since: Option<&Checkpoint>,
    ) -> Result<Listing> {
        let directory = self.directory(folder)?;
        let cur = directory.join("cur");
        if !cur.is_dir() {
            self.root()?;
            return Err(Error::Unavailable(format!(
                "there is no directory {}: is the disk mounted?",
                cur.display()
            )));
        }
        let known = since.map(|since| since.epoch.as_str()).filter(|epoch| !epoch.is_empty());
        let epoch = match mark::read(&directory)? {
            Some(mark) => mark,
            None if known.is_some() => return Err(unmarked(&directory)),
            None if self.settings.read_only => SmolStr::default(),
            None => mark::make(&directory)?,
        };
        if known.is_some_and(|known| known != epoch) {
            return Err(unmarked(&directory));
        }
        let token = token(&directory)?;
        let is_same = token.is_some() && since.is_some_and(|since| since.token == token);
        let checkpoint = Checkpoint { epoch, token };
        if is_same && known.is_some() {
            let storable = super::keywords::Table::read(&directory)?.storable();
            let rest = Rest::SameExcept(Vec::new());
            return Ok(Listing { checkpoint, messages: Vec::new(), rest, storable });
        }
        self.look_again(folder)?;
        let scan = self.scanned()?;
        let messages = scan.entries.iter().map(|(key, entry)| Seen {
            key: key.clone(),
            flags: entry.flags(&scan.keywords),
            size: None,
            date: None,
            stamp: None,
        });
        let messages = messages.collect();
        let storable = scan.keywords.storable();
        Ok(Listing { checkpoint, messages, rest: Rest::Gone, storable })
    }

    /// Looks for messages once more.
    pub(super) fn confirm_gone(&mut self, at: &At, suspects: Vec<Key>) -> Result<Vec<Key>> {
        self.open(at)?;
        self.look_again(&at.folder)?;
        let scan = self.scanned()?;
        Ok(suspects.into_iter().filter(|key| !scan.entries.contains_key(key)).collect())
    }

    /// Tells what stays when messages are renamed.
    pub(super) fn stamps(&mut self, at: &At, keys: Vec<Key>) -> Result<HashMap<Key, u64>> {
        let mut stamps = HashMap::with_capacity(keys.len());
        self.each(at, &keys, |path, key| {
            let found = if_there(path, fs::metadata(path))?;
            let is_there = found.is_some();
            stamps.extend(found.map(|metadata| (key.clone(), stamp(&metadata))));
            Ok(is_there)
        })?;
        Ok(stamps)
    }

    /// Learns what tells messages apart.
    pub(super) fn identify(&mut self, at: &At, keys: &[Key]) -> Result<Vec<Identified>> {
        let mut identified = Vec::new();
        self.each(at, keys, |path, key| {
            let found = body::identify(path, key)?;
            let is_there = found.is_some();
            identified.extend(found);
            Ok(is_there)
        })?;
        Ok(identified)
    }

    /// Pours messages.
    pub(super) fn fetch(&mut self, at: &At, keys: &[Key], into: &Pouring) -> Result<()> {
        let lost = self.each(at, keys, |path, key| body::pour(path, key, into))?;
        for key in lost {
            into.send_blocking(Part::Lost(key))?;
        }
        Ok(())
    }

    /// Does something with the file of each message, and gives those that have none. A file that
    /// is not where it was is looked for once more.
    fn each(
        &mut self,
        at: &At,
        keys: &[Key],
        mut act: impl FnMut(&Path, &Key) -> Result<bool>,
    ) -> Result<Vec<Key>> {
        let directory = self.open(at)?;
        let mut missing = Vec::new();
        for key in keys {
            let entry = self.scan(&at.folder)?.entries.get(key);
            let path = entry.map(|entry| entry.path(&directory));
            let is_there = match path {
                Some(path) => act(&path, key)?,
                None => false,
            };
            if !is_there {
                missing.push(key.clone());
            }
        }
        if missing.is_empty() {
            return Ok(missing);
        }
        self.look_again(&at.folder)?;
        let mut lost = Vec::new();
        for key in missing {
            let entry = self.scanned()?.entries.get(&key);
            let path = entry.map(|entry| entry.path(&directory));
            let is_there = match path {
                Some(path) => act(&path, &key)?,
                None => false,
            };
            if !is_there {
                lost.push(key);
            }
        }
        Ok(lost)
    }
}

fn unmarked(directory: &Path) -> Error {
    Error::Unavailable(format!(
        "{} is not the directory that it was, or has lost its mark: is the disk mounted? Nothing \
         is taken for removed",
        directory.display()
    ))
}

impl MaildirDriver {
    /// Gives the directory in which everything is.
    pub fn root(&self) -> PathBuf {
        self.settings.root.clone()
    }

    /// Does file work on a thread that may wait.
    pub(super) async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Core) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut core = self
            .core
            .take()
            .unwrap_or_else(|| Core { settings: Arc::clone(&self.settings), scan: None });
        let done = spawn_blocking(move || {
            let result = work(&mut core);
            (core, result)
        });
        let (core, result) = done
            .await
            .map_err(|error| Error::Internal(format!("file work ended early: {error}")))?;
        self.core = Some(core);
        result
    }

    /// Does file work that changes something.
    pub(super) async fn change<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Core) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.settings.read_only {
            return refuse_change();
        }
        self.run(work).await
    }

    pub(super) fn settings(&self) -> &MaildirSettings {
        &self.settings
    }
}
