//! Waiting for the next change.

use std::time::Duration;

use futures_util::future::{self, Either};
use model::Result;

use super::round::Session;
use crate::FolderName;

impl Session<'_> {
    /// Waits until a side says that something changed, or the time is over; tells whether a side
    /// has said so.
    ///
    /// # Errors
    /// If a side cannot be watched.
    pub async fn wait(&self, at_most: Duration) -> Result<bool> {
        let overview = self.state.overview(self.now()).await?;
        let folders: Vec<FolderName> =
            overview.folders.into_iter().map(|folder| folder.name).collect();
        let (left, right) = (self.pools.left.take().await?, self.pools.right.take().await?);
        let mut left = std::pin::pin!(left.watch(folders.clone()));
        let mut right = std::pin::pin!(right.watch(folders));
        let changed = future::select(&mut left, &mut right);
        match tokio::time::timeout(at_most, changed).await {
            Ok(Either::Left((woken, _)) | Either::Right((woken, _))) => woken.map(|_| true),
            Err(_) => Ok(false),
        }
    }
}
