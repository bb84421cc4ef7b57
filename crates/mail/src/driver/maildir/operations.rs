//! What the engine asks of this driver, and where it is done.

use std::{collections::HashMap, path::Path};

use model::{BoxFuture, Result};
use smol_str::SmolStr;
use tokio::sync::mpsc;

use super::store::{Core, MaildirDriver};
use crate::{
    Checkpoint, Driver, FolderName, Identified, Key, Part, Pouring,
    driver::{Append, Appended, At, Capabilities, FlagGroup, Folders, Listing},
};

impl Driver for MaildirDriver {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            read_only: self.settings().read_only,
            ghosts: false,
            append_messages_max: 500,
            append_bytes_max: 32 << 20,
            cheap_bodies: true,
        }
    }

    fn identity(&mut self, create: bool) -> BoxFuture<'_, Result<Option<SmolStr>>> {
        Box::pin(self.run(move |core| core.identity(create)))
    }

    fn folders(&mut self) -> BoxFuture<'_, Result<Folders>> {
        Box::pin(self.run(Core::folders))
    }

    fn list<'a>(
        &'a mut self,
        folder: &'a FolderName,
        since: Option<&'a Checkpoint>,
    ) -> BoxFuture<'a, Result<Listing>> {
        let (folder, since) = (folder.clone(), since.cloned());
        Box::pin(self.run(move |core| core.list(&folder, since.as_ref())))
    }

    fn confirm_gone<'a>(
        &'a mut self,
        at: &'a At,
        suspects: Vec<Key>,
    ) -> BoxFuture<'a, Result<Vec<Key>>> {
        let at = at.clone();
        Box::pin(self.run(move |core| core.confirm_gone(&at, suspects)))
    }

    fn stamps<'a>(
        &'a mut self,
        at: &'a At,
        keys: Vec<Key>,
    ) -> BoxFuture<'a, Result<HashMap<Key, u64>>> {
        let at = at.clone();
        Box::pin(self.run(move |core| core.stamps(&at, keys)))
    }

    fn identify<'a>(
        &'a mut self,
        at: &'a At,
        keys: &'a [Key],
    ) -> BoxFuture<'a, Result<Vec<Identified>>> {
        let (at, keys) = (at.clone(), keys.to_vec());
        Box::pin(self.run(move |core| core.identify(&at, &keys)))
    }

    fn fetch<'a>(
        &'a mut self,
        at: &'a At,
        keys: &'a [Key],
        into: Pouring,
    ) -> BoxFuture<'a, Result<()>> {
        let (at, keys) = (at.clone(), keys.to_vec());
        Box::pin(self.run(move |core| core.fetch(&at, &keys, &into)))
    }

    fn append<'a>(
        &'a mut self,
        at: &'a At,
        messages: &'a [Append],
        from: mpsc::Receiver<Part>,
    ) -> BoxFuture<'a, Result<Vec<Appended>>> {
        let (at, messages) = (at.clone(), messages.to_vec());
        Box::pin(self.change(move |core| core.deliver(&at, &messages, from)))
    }

    fn link<'a>(
        &'a mut self,
        at: &'a At,
        messages: &'a [Append],
        into: &'a Path,
    ) -> BoxFuture<'a, Result<Option<Vec<Appended>>>> {
        let (at, messages, into) = (at.clone(), messages.to_vec(), into.to_owned());
        Box::pin(self.run(move |core| core.link(&at, &messages, &into)))
    }

    fn flag<'a>(
        &'a mut self,
        at: &'a At,
        groups: &'a [FlagGroup],
    ) -> BoxFuture<'a, Result<Vec<Key>>> {
        let (at, groups) = (at.clone(), groups.to_vec());
        Box::pin(self.change(move |core| core.flag(&at, &groups)))
    }

    fn remove<'a>(&'a mut self, at: &'a At, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Key>>> {
        let (at, keys) = (at.clone(), keys.to_vec());
        Box::pin(self.change(move |core| core.remove(&at, &keys)))
    }

    fn relocate<'a>(
        &'a mut self,
        from: &'a At,
        keys: &'a [Key],
        to: &'a FolderName,
    ) -> BoxFuture<'a, Result<Vec<Appended>>> {
        let (from, keys, to) = (from.clone(), keys.to_vec(), to.clone());
        Box::pin(self.change(move |core| core.relocate(&from, &keys, &to)))
    }

    fn create_folder<'a>(&'a mut self, folder: &'a FolderName) -> BoxFuture<'a, Result<()>> {
        let folder = folder.clone();
        Box::pin(self.change(move |core| core.create_folder(&folder)))
    }

    fn delete_folder<'a>(&'a mut self, folder: &'a FolderName) -> BoxFuture<'a, Result<()>> {
        let folder = folder.clone();
        Box::pin(self.change(move |core| core.delete_folder(&folder)))
    }

    fn rename_folder<'a>(
        &'a mut self,
        from: &'a FolderName,
        to: &'a FolderName,
    ) -> BoxFuture<'a, Result<()>> {
        let (from, to) = (from.clone(), to.clone());
        Box::pin(self.change(move |core| core.rename_folder(&from, &to)))
    }

    fn watch<'a>(
        &'a mut self,
        folders: &'a [FolderName],
    ) -> BoxFuture<'a, Result<Vec<FolderName>>> {
        Box::pin(self.wait_for_change(folders))
    }
}
