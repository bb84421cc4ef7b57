//! What the engine asks of this driver, and where it is done.

use model::{BoxFuture, Result};
use smol_str::SmolStr;
use tokio::sync::mpsc;

use super::connection::ImapDriver;
use crate::{
    Checkpoint, Driver, FolderName, Identified, Key, Part, Pouring,
    driver::{Append, Appended, At, Capabilities, FlagGroup, Folders, Listing, refuse_change},
};

impl Driver for ImapDriver {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            read_only: self.is_read_only(),
            ghosts: true,
            append_messages_max: 64,
            append_bytes_max: 4 << 20,
            cheap_bodies: false,
        }
    }

    fn identity(&mut self, _create: bool) -> BoxFuture<'_, Result<Option<SmolStr>>> {
        // The epoch of each folder does what an identity would do.
        Box::pin(async { Ok(None) })
    }

    fn folders(&mut self) -> BoxFuture<'_, Result<Folders>> {
        Box::pin(self.list_folders())
    }

    fn list<'a>(
        &'a mut self,
        folder: &'a FolderName,
        since: Option<&'a Checkpoint>,
    ) -> BoxFuture<'a, Result<Listing>> {
        Box::pin(self.list_messages(folder, since))
    }

    fn identify<'a>(
        &'a mut self,
        at: &'a At,
        keys: &'a [Key],
    ) -> BoxFuture<'a, Result<Vec<Identified>>> {
        Box::pin(self.identify_messages(at, keys))
    }

    fn fetch<'a>(
        &'a mut self,
        at: &'a At,
        keys: &'a [Key],
        into: Pouring,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.fetch_messages(at, keys, into))
    }

    fn append<'a>(
        &'a mut self,
        at: &'a At,
        messages: &'a [Append],
        from: mpsc::Receiver<Part>,
    ) -> BoxFuture<'a, Result<Vec<Appended>>> {
        Box::pin(async move {
            if self.is_read_only() {
                return refuse_change();
            }
            self.append_messages(at, messages, from).await
        })
    }

    fn flag<'a>(
        &'a mut self,
        at: &'a At,
        groups: &'a [FlagGroup],
    ) -> BoxFuture<'a, Result<Vec<Key>>> {
        Box::pin(async move {
            if self.is_read_only() {
                return refuse_change();
            }
            self.flag_messages(at, groups).await
        })
    }

    fn remove<'a>(&'a mut self, at: &'a At, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Key>>> {
        Box::pin(async move {
            if self.is_read_only() {
                return refuse_change();
            }
            self.remove_messages(at, keys).await
        })
    }

    fn relocate<'a>(
        &'a mut self,
        from: &'a At,
        keys: &'a [Key],
        to: &'a FolderName,
    ) -> BoxFuture<'a, Result<Vec<Appended>>> {
        Box::pin(async move {
            if self.is_read_only() {
                return refuse_change();
            }
            self.relocate_messages(from, keys, to).await
        })
    }

    fn create_folder<'a>(&'a mut self, folder: &'a FolderName) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if self.is_read_only() {
                return refuse_change();
            }
            self.make_folder(folder).await
        })
    }

    fn delete_folder<'a>(&'a mut self, folder: &'a FolderName) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if self.is_read_only() {
                return refuse_change();
            }
            self.remove_folder(folder).await
        })
    }

    fn rename_folder<'a>(
        &'a mut self,
        from: &'a FolderName,
        to: &'a FolderName,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if self.is_read_only() {
                return refuse_change();
            }
            self.move_folder(from, to).await
        })
    }

    fn watch<'a>(
        &'a mut self,
        folders: &'a [FolderName],
    ) -> BoxFuture<'a, Result<Vec<FolderName>>> {
        Box::pin(self.wait_for_change(folders))
    }

    fn close(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            if self.has_session() {
                self.session().await?.log_out().await?;
            }
            self.drop_session();
            Ok(())
        })
    }
}
