//! What all controllers over a driver share: they see every operation on its way, and can refuse
//! it, hold it up, or give folders other names.

use std::{collections::HashMap, fmt, future, path::Path, sync::Arc};

use futures_util::future as join;
use model::{BoxFuture, Result};
use smol_str::SmolStr;
use tokio::sync::mpsc;

use crate::{
    Checkpoint, Driver, FolderName, Identified, Key, Part, Pouring,
    driver::{Append, Appended, At, Capabilities, Connect, FlagGroup, Folder, Folders, Listing},
    pipe,
};

/// An operation of a driver, without what it works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Asks which store it is, and may mark it.
    Identity,
    /// Lists the folders.
    Folders,
    /// Lists what changed.
    List,
    /// Looks again for what is missing.
    ConfirmGone,
    /// Tells messages apart.
    Identify,
    /// Reads so many messages.
    Fetch(usize),
    /// Adds so many messages.
    Append(usize),
    /// Changes flags.
    Flag,
    /// Removes so many messages.
    Remove(usize),
    /// Moves so many messages.
    Relocate(usize),
    /// Makes a folder.
    CreateFolder,
    /// Removes a folder.
    DeleteFolder,
    /// Renames a folder.
    RenameFolder,
    /// Waits for changes.
    Watch,
}

impl Operation {
    /// Tells whether it changes the store.
    pub fn is_change(self) -> bool {
        match self {
            Self::Identity
            | Self::Folders
            | Self::List
            | Self::ConfirmGone
            | Self::Identify
            | Self::Fetch(_)
            | Self::Watch => false,
            Self::Append(_)
            | Self::Flag
            | Self::Remove(_)
            | Self::Relocate(_)
            | Self::CreateFolder
            | Self::DeleteFolder
            | Self::RenameFolder => true,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a controller does; what it leaves out passes unchanged.
pub trait Control: Send + Sync {
    /// Gives the store's name of a folder.
    ///
    /// # Errors
    /// If the store cannot have such a folder.
    fn inward(&self, folder: &FolderName) -> Result<FolderName> {
        Ok(folder.clone())
    }

    /// Gives the engine's name of a folder of the store.
    ///
    /// # Errors
    /// If it cannot be told apart from others, or leads nowhere; the folder is left out.
    fn outward(&self, folder: &FolderName) -> Result<FolderName> {
        Ok(folder.clone())
    }

    /// Comes before each operation.
    fn before(&self, operation: Operation) -> BoxFuture<'_, Result<()>> {
        let _passes = operation;
        Box::pin(future::ready(Ok(())))
    }

    /// Comes before so many bytes of a message are passed on.
    fn bytes(&self, count: usize) -> Option<BoxFuture<'_, ()>> {
        let _passes = count;
        None
    }

    /// Changes what the store says that it can do.
    fn capabilities(&self, of_store: Capabilities) -> Capabilities {
        of_store
    }
}

/// A store with a controller over it.
pub struct Controlled<C> {
    store: Arc<dyn Connect>,
    control: Arc<C>,
}

impl<C: Control> Controlled<C> {
    /// Puts a controller over a store.
    pub fn new(store: Arc<dyn Connect>, control: C) -> Self {
        Self { store, control: Arc::new(control) }
    }
}

impl<C: Control + 'static> Connect for Controlled<C> {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Driver>>> {
        Box::pin(async {
            let driver = self.store.connect().await?;
            let control = Arc::clone(&self.control);
            Ok(Box::new(Layer { driver, control }) as Box<dyn Driver>)
        })
    }
}

struct Layer<C> {
    driver: Box<dyn Driver>,
    control: Arc<C>,
}

impl<C: Control> Layer<C> {
    fn at(&self, at: &At) -> Result<At> {
        Ok(At { folder: self.control.inward(&at.folder)?, epoch: at.epoch.clone() })
    }
}

/// Passes parts on, as fast as the controller lets them.
async fn pass<C: Control>(
    control: &C,
    mut from: mpsc::Receiver<Part>,
    into: Pouring,
) -> Result<()> {
    while let Some(part) = from.recv().await {
        if let Part::Bytes(bytes) = &part
            && let Some(wait) = control.bytes(bytes.len())
        {
            wait.await;
        }
        into.send(part).await?;
    }
    Ok(())
}

impl<C: Control> Driver for Layer<C> {
    fn capabilities(&self) -> Capabilities {
        self.control.capabilities(self.driver.capabilities())
    }

    fn identity(&mut self, create: bool) -> BoxFuture<'_, Result<Option<SmolStr>>> {
        Box::pin(async move {
            self.control.before(Operation::Identity).await?;
            let create = create && !self.capabilities().read_only;
            self.driver.identity(create).await
        })
    }

    fn folders(&mut self) -> BoxFuture<'_, Result<Folders>> {
        Box::pin(async {
            self.control.before(Operation::Folders).await?;
            let mut found = self.driver.folders().await?;
            let mut renamed: Vec<Folder> = Vec::with_capacity(found.folders.len());
            for folder in found.folders {
                match self.control.outward(&folder.name) {
                    Ok(name) => renamed.push(Folder { name, ..folder }),
                    Err(error) => found.skipped.push(format!("{}: {error}", folder.name)),
                }
            }
            Ok(Folders { folders: renamed, skipped: found.skipped })
        })
    }

    fn list<'a>(
        &'a mut self,
        folder: &'a FolderName,
        since: Option<&'a Checkpoint>,
    ) -> BoxFuture<'a, Result<Listing>> {
        Box::pin(async move {
            self.control.before(Operation::List).await?;
            let folder = self.control.inward(folder)?;
            self.driver.list(&folder, since).await
        })
    }

    fn confirm_gone<'a>(
        &'a mut self,
        at: &'a At,
        suspects: Vec<Key>,
    ) -> BoxFuture<'a, Result<Vec<Key>>> {
        Box::pin(async move {
            self.control.before(Operation::ConfirmGone).await?;
            let at = self.at(at)?;
            self.driver.confirm_gone(&at, suspects).await
        })
    }

    fn stamps<'a>(
        &'a mut self,
        at: &'a At,
        keys: Vec<Key>,
    ) -> BoxFuture<'a, Result<HashMap<Key, u64>>> {
        Box::pin(async move {
            self.control.before(Operation::List).await?;
            let at = self.at(at)?;
            self.driver.stamps(&at, keys).await
        })
    }

    fn identify<'a>(
        &'a mut self,
        at: &'a At,
        keys: &'a [Key],
    ) -> BoxFuture<'a, Result<Vec<Identified>>> {
        Box::pin(async move {
            self.control.before(Operation::Identify).await?;
            let at = self.at(at)?;
            self.driver.identify(&at, keys).await
        })
    }

    fn fetch<'a>(
        &'a mut self,
        at: &'a At,
        keys: &'a [Key],
        into: Pouring,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.control.before(Operation::Fetch(keys.len())).await?;
            let at = self.at(at)?;
            if self.control.bytes(0).is_none() {
                return self.driver.fetch(&at, keys, into).await;
            }
            let (pouring, parts) = pipe();
            let fetch = self.driver.fetch(&at, keys, pouring);
            let (fetched, passed) = join::join(fetch, pass(&*self.control, parts, into)).await;
            passed.and(fetched)
        })
    }

    fn append<'a>(
        &'a mut self,
        at: &'a At,
        messages: &'a [Append],
        from: mpsc::Receiver<Part>,
    ) -> BoxFuture<'a, Result<Vec<Appended>>> {
        Box::pin(async move {
            self.control.before(Operation::Append(messages.len())).await?;
            let at = self.at(at)?;
            if self.control.bytes(0).is_none() {
                return self.driver.append(&at, messages, from).await;
            }
            let (pouring, parts) = pipe();
            let append = self.driver.append(&at, messages, parts);
            // If the store takes no more, the append itself says why.
            let (appended, _) = join::join(append, pass(&*self.control, from, pouring)).await;
            appended
        })
    }

    fn link<'a>(
        &'a mut self,
        at: &'a At,
        messages: &'a [Append],
        into: &'a Path,
    ) -> BoxFuture<'a, Result<Option<Vec<Appended>>>> {
        Box::pin(async move {
            self.control.before(Operation::Fetch(messages.len())).await?;
            let at = self.at(at)?;
            self.driver.link(&at, messages, into).await
        })
    }

    fn flag<'a>(
        &'a mut self,
        at: &'a At,
        groups: &'a [FlagGroup],
    ) -> BoxFuture<'a, Result<Vec<Key>>> {
        Box::pin(async move {
            self.control.before(Operation::Flag).await?;
            let at = self.at(at)?;
            self.driver.flag(&at, groups).await
        })
    }

    fn remove<'a>(&'a mut self, at: &'a At, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Key>>> {
        Box::pin(async move {
            self.control.before(Operation::Remove(keys.len())).await?;
            let at = self.at(at)?;
            self.driver.remove(&at, keys).await
        })
    }

    fn relocate<'a>(
        &'a mut self,
        from: &'a At,
        keys: &'a [Key],
        to: &'a FolderName,
    ) -> BoxFuture<'a, Result<Vec<Appended>>> {
        Box::pin(async move {
            self.control.before(Operation::Relocate(keys.len())).await?;
            let (from, to) = (self.at(from)?, self.control.inward(to)?);
            self.driver.relocate(&from, keys, &to).await
        })
    }

    fn create_folder<'a>(&'a mut self, folder: &'a FolderName) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.control.before(Operation::CreateFolder).await?;
            let folder = self.control.inward(folder)?;
            self.driver.create_folder(&folder).await
        })
    }

    fn delete_folder<'a>(&'a mut self, folder: &'a FolderName) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.control.before(Operation::DeleteFolder).await?;
            let folder = self.control.inward(folder)?;
            self.driver.delete_folder(&folder).await
        })
    }

    fn rename_folder<'a>(
        &'a mut self,
        from: &'a FolderName,
        to: &'a FolderName,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.control.before(Operation::RenameFolder).await?;
            let (from, to) = (self.control.inward(from)?, self.control.inward(to)?);
            self.driver.rename_folder(&from, &to).await
        })
    }

    fn watch<'a>(
        &'a mut self,
        folders: &'a [FolderName],
    ) -> BoxFuture<'a, Result<Vec<FolderName>>> {
        Box::pin(async move {
            self.control.before(Operation::Watch).await?;
            let folders: Vec<FolderName> =
                folders.iter().map(|folder| self.control.inward(folder)).collect::<Result<_>>()?;
            let woken = self.driver.watch(&folders).await?;
            Ok(woken.iter().filter_map(|folder| self.control.outward(folder).ok()).collect())
        })
    }

    fn close(&mut self) -> BoxFuture<'_, Result<()>> {
        self.driver.close()
    }
}
