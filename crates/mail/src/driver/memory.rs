//! A store in memory, with the faults of real ones at will: for tests and demonstrations.

mod fuse;
mod serve;
mod store;

use bytes::Bytes;
use model::{BoxFuture, Error, Result};
use smol_str::SmolStr;
use tokio::sync::mpsc;

use super::{
    Append, Appended, At, Capabilities, Connect, Driver, FlagGroup, Folders, Listing, refuse_change,
};
use crate::{
    Body, Checkpoint, ContentHasher, FolderName, Identified, Key, Part, Pouring,
    limits::PIECE_BYTES_MAX,
};
pub use fuse::Fuse;
pub use store::{MemoryOptions, MemoryStore};

/// One connection to a store in memory.
#[derive(Debug)]
struct MemoryDriver {
    store: MemoryStore,
}

impl Connect for MemoryStore {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Driver>>> {
        let store = self.clone();
        Box::pin(async move {
            store.touch()?;
            Ok(Box::new(MemoryDriver { store }) as Box<dyn Driver>)
        })
    }
}

impl MemoryDriver {
    async fn take(
        &mut self,
        at: &At,
        messages: &[Append],
        mut from: mpsc::Receiver<Part>,
    ) -> Result<Vec<Appended>> {
        let (mut open, mut appended) = (None, Vec::new());
        while let Some(part) = from.recv().await {
            match part {
                Part::Begin(body) => open = Some((body, Vec::new())),
                Part::Bytes(bytes) => {
                    if let Some((_, taken)) = &mut open {
                        taken.extend_from_slice(&bytes);
                    }
                }
                Part::End => {
                    let Some((body, taken)) = open.take() else { continue };
                    if taken.len() as u64 != body.size {
                        return Err(Error::Internal("a message has another size".to_owned()));
                    }
                    let append = messages.iter().find(|append| append.source == body.key);
                    let Some(append) = append else { continue };
                    appended.push(self.store.append(at, append, taken.into(), body.date)?);
                }
                Part::Lost(_) => {}
            }
        }
        Ok(appended)
    }

    fn check(&self) -> Result<()> {
        if self.store.options().read_only { refuse_change() } else { Ok(()) }
    }
}

impl Driver for MemoryDriver {
    fn capabilities(&self) -> Capabilities {
        let options = self.store.options();
        Capabilities {
            read_only: options.read_only,
            ghosts: options.ghosts,
            append_messages_max: options.window,
            append_bytes_max: 1 << 20,
            cheap_bodies: true,
        }
    }

    fn identity(&mut self, _create: bool) -> BoxFuture<'_, Result<Option<SmolStr>>> {
        Box::pin(async { self.store.identity() })
    }

    fn folders(&mut self) -> BoxFuture<'_, Result<Folders>> {
        Box::pin(async { self.store.list_folders() })
    }

    fn list<'a>(
        &'a mut self,
        folder: &'a FolderName,
        since: Option<&'a Checkpoint>,
    ) -> BoxFuture<'a, Result<Listing>> {
        Box::pin(async move { self.store.list(folder, since) })
    }

    fn identify<'a>(
        &'a mut self,
        at: &'a At,
        keys: &'a [Key],
    ) -> BoxFuture<'a, Result<Vec<Identified>>> {
        Box::pin(async move {
            let bodies = self.store.bodies(at, keys)?;
            let identified = |(key, body, _): (Key, Bytes, _)| {
                let mut hasher = ContentHasher::new(false);
                hasher.update(&body);
                let (_, about) = hasher.finish();
                Identified { key, size: about.size, identity: about.identity }
            };
            Ok(bodies.into_iter().map(identified).collect())
        })
    }

    fn fetch<'a>(
        &'a mut self,
        at: &'a At,
        keys: &'a [Key],
        into: Pouring,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for key in keys {
                let found = self.store.bodies(at, std::slice::from_ref(key))?;
                let Some((key, bytes, date)) = found.into_iter().next() else {
                    into.send(Part::Lost(key.clone())).await?;
                    continue;
                };
                into.send(Part::Begin(Body { key, size: bytes.len() as u64, date })).await?;
                for piece in bytes.chunks(PIECE_BYTES_MAX) {
                    self.store.touch()?;
                    into.send(Part::Bytes(bytes.slice_ref(piece))).await?;
                }
                into.send(Part::End).await?;
            }
            Ok(())
        })
    }

    fn append<'a>(
        &'a mut self,
        at: &'a At,
        messages: &'a [Append],
        from: mpsc::Receiver<Part>,
    ) -> BoxFuture<'a, Result<Vec<Appended>>> {
        Box::pin(async move {
            self.check()?;
            self.take(at, messages, from).await
        })
    }

    fn flag<'a>(
        &'a mut self,
        at: &'a At,
        groups: &'a [FlagGroup],
    ) -> BoxFuture<'a, Result<Vec<Key>>> {
        Box::pin(async move {
            self.check()?;
            self.store.flag(at, groups)
        })
    }

    fn remove<'a>(&'a mut self, at: &'a At, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Key>>> {
        Box::pin(async move {
            self.check()?;
            self.store.remove(at, keys)
        })
    }

    fn relocate<'a>(
        &'a mut self,
        from: &'a At,
        keys: &'a [Key],
        to: &'a FolderName,
    ) -> BoxFuture<'a, Result<Vec<Appended>>> {
        Box::pin(async move {
            self.check()?;
            self.store.relocate(from, keys, to)
        })
    }

    fn create_folder<'a>(&'a mut self, folder: &'a FolderName) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.check()?;
            self.store.make_folder(folder)
        })
    }

    fn delete_folder<'a>(&'a mut self, folder: &'a FolderName) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.check()?;
            self.store.drop_folder(folder)
        })
    }

    fn rename_folder<'a>(
        &'a mut self,
        from: &'a FolderName,
        to: &'a FolderName,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.check()?;
            self.store.rename_folder(from, to)
        })
    }

    fn watch<'a>(
        &'a mut self,
        _folders: &'a [FolderName],
    ) -> BoxFuture<'a, Result<Vec<FolderName>>> {
        let changed = self.store.changed();
        Box::pin(async move {
            changed.notified().await;
            Ok(Vec::new())
        })
    }
}
