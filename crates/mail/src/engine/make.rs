//! Making and removing folders.

use std::collections::HashSet;

use model::Result;
use serde_json::json;

use super::{FolderStep, Problem, Summary, examine::Examined, round::Session};
use crate::{
    FolderName, Side,
    state::{Change, Undo},
};

impl Session<'_> {
    /// Makes the folders that are to be made, and remembers all that are new; gives those in
    /// which nothing can be done.
    pub(super) async fn make_folders(
        &self,
        examined: &[Examined],
        steps: &[FolderStep],
        summary: &mut Summary,
    ) -> Result<HashSet<FolderName>> {
        let (mut failed, mut changes) = (HashSet::new(), Vec::new());
        for step in steps {
            let FolderStep::Create { side, folder } = step else { continue };
            let worker = self.pools.get(*side).take().await?;
            if let Err(error) = worker.create_folder(folder).await {
                failed.insert(folder.clone());
                summary.problems.push(Problem { folder: Some(folder.clone()), error });
                continue;
            }
            summary.done.get_mut(*side).folders += 1;
            let id = format!("{folder}/created/{side}/{}", self.now().unix_seconds());
            let data = json!({"folder": folder, "side": side.other()});
            changes.push(self.event(id, "io.lockstep.mail.folder.created.v1", data));
        }
        for examined in examined {
            let folder = &examined.case.folder;
            let lacking = examined.work.lacking().is_some_and(|side| {
                let step = FolderStep::Create { side, folder: folder.clone() };
                !steps.contains(&step)
            });
            if lacking || failed.contains(folder) {
                // It cannot be made there, so there is nothing to agree on.
                failed.insert(folder.clone());
                continue;
            }
            if examined.dissolved {
                changes.push(Change::Dissolve(folder.clone()));
            }
            if examined.work.row.is_none() {
                changes.push(Change::AddFolder(folder.clone()));
            }
            for side in Side::BOTH {
                let listed = examined.work.listed.get(side).as_ref();
                let known = examined.work.row.as_ref().and_then(|row| row.ids.get(side).as_ref());
                if let Some(id) = listed.and_then(|folder| folder.id.as_ref())
                    && known != Some(id)
                {
                    changes.push(Change::FolderId(folder.clone(), side, id.clone()));
                }
            }
        }
        self.state.record(changes).await?;
        Ok(failed)
    }

    /// Removes folders that are empty now.
    pub(super) async fn remove_folders(
        &self,
        steps: &[FolderStep],
        failed: &HashSet<FolderName>,
        summary: &mut Summary,
    ) -> Result<()> {
        // What is below goes first.
        for step in steps.iter().rev() {
            let FolderStep::Remove { side, folder } = step else { continue };
            if failed.contains(folder) {
                continue;
            }
            let worker = self.pools.get(*side).take().await?;
            if let Err(error) = worker.delete_folder(folder).await {
                summary.problems.push(Problem { folder: Some(folder.clone()), error });
                continue;
            }
            summary.done.get_mut(*side).folders += 1;
            let run = summary.run.unwrap_or_default();
            let id = format!("{folder}/removed/{side}/{}", self.now().unix_seconds());
            let data = json!({"folder": folder, "side": side.other()});
            let event = self.event(id, "io.lockstep.mail.folder.removed.v1", data);
            let undo = Undo::FolderRemoved { side: *side, folder: folder.clone() };
            let changes = vec![Change::DropFolder(folder.clone()), Change::Done(run, undo), event];
            self.state.record(changes).await?;
        }
        Ok(())
    }
}
