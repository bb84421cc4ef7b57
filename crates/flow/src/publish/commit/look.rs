//! Looking at a head before anything is written: what the caller saw, and whether there is
//! anything to do.

use model::{Error, Id, Result, TriggerChanges, limits};
use queue::Work;
use store::{Range, Row as _, TxExt as _, Value, tables};

use super::Item;
use crate::{
    instance::InstanceRow,
    publish::{
        change::{Action, Change, no_version},
        rows::{DefinitionRow, VersionRow},
    },
};

/// Looks at a head, and says whether there is anything to do.
pub(super) fn look(work: &mut Work<'_>, change: &Change) -> Result<Item> {
    let found: Option<DefinitionRow> =
        work.tx.get(DefinitionRow::key(work.live(), &change.name))?;
    let shown = found.as_ref().filter(|row| !row.head.is_deleted).is_some();
    let revision = found.as_ref().map_or(0, |row| row.head.revision);
    if let Some(base) = change.base.filter(|base| *base != revision) {
        let name = change.name.clone();
        return Err(Error::DefinitionConflict { name, revision, base });
    }
    if !shown && !matches!(change.action, Action::Publish(_)) {
        return Err(Error::NoSuchDefinition(change.name.clone()));
    }
    let row = match found {
        Some(row) => row,
        None => {
            let id = work.next_id();
            DefinitionRow::new(work.live(), &change.name, id, work.now)
        }
    };
    let is_changed = is_changed(work, change, &row)?;
    let warnings = match &change.action {
        Action::Publish(new) => new.warnings.clone(),
        Action::Rollback { .. }
        | Action::Retract(_)
        | Action::Delete(_)
        | Action::DeleteVersion(_) => Vec::new(),
    };
    Ok(Item { row, is_changed, triggers: TriggerChanges::default(), warnings })
}

fn is_changed(work: &mut Work<'_>, change: &Change, row: &DefinitionRow) -> Result<bool> {
    let name = &change.name;
    let mut find = |version: &str| -> Result<Option<VersionRow>> {
        let key = VersionRow::key(work.live(), row.id, version);
        work.tx.get(key)
    };
    match &change.action {
        Action::Publish(new) => {
            if find(&new.version)?.is_some_and(|found| found.body.hash != new.hash) {
                let (definition, version) = (name.clone(), new.version.clone());
                return Err(Error::VersionConflict { definition, version });
            }
            Ok(row.head.published.as_ref() != Some(&new.version))
        }
        Action::Rollback { version, .. } => {
            find(version)?.ok_or_else(|| no_version(name, version))?;
            Ok(row.head.published.as_ref() != Some(version))
        }
        Action::Retract(_) => Ok(row.head.published.is_some()),
        Action::Delete(_) => Ok(true),
        Action::DeleteVersion(version) => {
            find(version)?.ok_or_else(|| no_version(name, version))?;
            let by = if row.head.published.as_ref() == Some(version) {
                Some("it is published".to_owned())
            } else {
                follower(work, row.id, version)?
            };
            let Some(by) = by else { return Ok(true) };
            let (definition, version) = (name.clone(), version.clone());
            Err(Error::VersionInUse { definition, version, by })
        }
    }
}

/// Finds an instance that still follows a version.
fn follower(work: &mut Work<'_>, definition: Id, version: &str) -> Result<Option<String>> {
    let prefix = [Value::id(work.live()), Value::id(definition)];
    let mut after = None;
    loop {
        let range = Range::prefix(prefix.clone()).after(after);
        let rows: Vec<InstanceRow> =
            work.tx.find(tables::INSTANCE_DEFINITION, &range, limits::PAGE_MAX)?;
        let follows = |row: &&InstanceRow| !row.status.is_over() && row.body.version == version;
        if let Some(row) = rows.iter().find(follows) {
            return Ok(Some(format!("instance {} follows it", row.id)));
        }
        if rows.len() < limits::PAGE_MAX as usize {
            return Ok(None);
        }
        after = rows.last().and_then(|row| row.to_doc().key.pop());
    }
}
