//! Putting back what the last run did.

use std::collections::BTreeMap;

use futures_util::future;
use model::Result;

use super::{Account, Context, copy::name, learn::Learn, round::Session};
use crate::{
    FolderName, Key, Side,
    driver::{Append, At, FlagGroup},
    pipe,
    state::{Change, State, Undo},
};

/// What was put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Undone {
    /// Messages that were removed and are there again.
    pub restored: usize,
    /// Messages whose flags are as before.
    pub flagged: usize,
    /// Messages that are back in their folder.
    pub moved: usize,
    /// Folders that are there again.
    pub folders: usize,
    /// Things that could not be put back, since they changed meanwhile.
    pub skipped: usize,
}

/// Puts back what the last run removed, moved or flagged. Copies stay, as nothing is lost by them.
/// The next round makes the other side follow.
///
/// # Errors
/// If a side or the state cannot be used. What was put back before stays.
pub async fn undo(account: &Account, state: &State, context: &Context<'_>) -> Result<Undone> {
    let session = Session::new(account, state, context);
    let mut undone = Undone::default();
    let mut removed: BTreeMap<(Side, FolderName, FolderName), Vec<(i64, Undo)>> = BTreeMap::new();
    for (id, undo) in state.undoable().await? {
        match &undo {
            Undo::Removed { side, folder, kept_in, .. } => {
                let group = (*side, folder.clone(), kept_in.clone());
                removed.entry(group).or_default().push((id, undo));
                continue;
            }
            Undo::Flagged { side, folder, epoch, key, change } => {
                let at = At { folder: folder.clone(), epoch: epoch.clone() };
                let group = FlagGroup { keys: vec![key.clone()], change: change.reversed() };
                let worker = session.pools.get(*side).take().await?;
                let done = worker.flag(&at, vec![group]).await.unwrap_or_default();
                undone.flagged += done.len();
                undone.skipped += usize::from(done.is_empty());
            }
            Undo::Moved { side, from, to, key } => {
                let at = At { folder: to.clone(), epoch: Default::default() };
                let worker = session.pools.get(*side).take().await?;
                let done = worker.relocate(&at, vec![key.clone()], from).await;
                let done = done.unwrap_or_default();
                undone.moved += done.len();
                undone.skipped += usize::from(done.is_empty());
            }
            Undo::FolderRemoved { side, folder } => {
                session.pools.get(*side).take().await?.create_folder(folder).await?;
                undone.folders += 1;
            }
        }
        state.record(vec![Change::Undone(id)]).await?;
    }
    for ((side, folder, kept_in), rows) in removed {
        for rows in rows.chunks(64) {
            session.restore(side, &folder, &kept_in, rows, &mut undone).await?;
        }
    }
    Ok(undone)
}

impl Session<'_> {
    async fn restore(
        &self,
        side: Side,
        folder: &FolderName,
        kept_in: &FolderName,
        rows: &[(i64, Undo)],
        undone: &mut Undone,
    ) -> Result<()> {
        let Some(pool) = &self.kept else { return Ok(()) };
        let keeper = pool.take().await?;
        let worker = self.pools.get(side).take().await?;
        let mut appends = Vec::new();
        for (id, undo) in rows {
            if let Undo::Removed { kept_as, flags, .. } = undo {
                let name = name(&format!("undo\0{id}\0"), kept_as);
                appends.push(Append { source: kept_as.clone(), name, flags: flags.clone() });
            }
        }
        let keys: Vec<Key> = appends.iter().map(|append| append.source.clone()).collect();
        let at = |folder: &FolderName| At { folder: folder.clone(), epoch: Default::default() };
        worker.create_folder(folder).await?;
        let (pouring, parts) = pipe();
        let poured = keeper.pour(&at(kept_in), keys, Learn::Identity, pouring).await?;
        let restored = worker.append(&at(folder), appends, parts).await?;
        let (poured, restored) = future::join(poured.answer(), restored.answer()).await;
        let restored = restored?;
        poured?.whole()?;
        undone.restored += restored.len();
        undone.skipped += rows.len().saturating_sub(restored.len());
        self.state.record(rows.iter().map(|(id, _)| Change::Undone(*id)).collect()).await
    }
}
