//! Making the triggers of a definition those of its new version.

use model::{Error, Id, Result, limits};
use queue::Work;
use store::{PRIMARY, Range, TxExt as _, Value, tables};

use super::Item;
use crate::{
    publish::{
        change::Action,
        rows::{TriggerBody, TriggerRow},
        trigger::{TriggerSpec, Wanted},
    },
    timer::set_trigger,
};

/// Triggers that one definition has at most.
const TRIGGERS_MAX: u32 = 10_000;

/// Gives the triggers that a definition is to have; none says that they stay as they are.
pub(super) fn wanted(action: &Action) -> Option<&[Wanted]> {
    match action {
        Action::Publish(new) => Some(&new.triggers),
        Action::Rollback { triggers, .. } => Some(triggers),
        Action::Retract(_) | Action::Delete(_) => Some(&[]),
        Action::DeleteVersion(_) => None,
    }
}

/// Gives the triggers of a definition as they are.
pub(super) fn triggers_of(work: &mut Work<'_>, definition: Id) -> Result<Vec<TriggerRow>> {
    let range = Range::prefix([Value::id(work.live()), Value::id(definition)]);
    work.tx.find(PRIMARY, &range, TRIGGERS_MAX)
}

pub(super) fn set_triggers(
    work: &mut Work<'_>,
    item: &mut Item,
    action: &Action,
    wanted: &[Wanted],
    kept: Vec<TriggerRow>,
    freed: &[TriggerRow],
) -> Result<()> {
    let version = match action {
        Action::Publish(new) => new.version.as_str(),
        Action::Rollback { version, .. } => version,
        Action::Retract(_) | Action::Delete(_) | Action::DeleteVersion(_) => return Ok(()),
    };
    for one in wanted {
        check_route(work, item.row.id, one, freed)?;
        let spec_hash = one.hash();
        let list = match kept.iter().find(|row| row.name == one.name) {
            Some(row) if row.body.spec_hash == spec_hash => &mut item.triggers.unchanged,
            Some(_) => &mut item.triggers.changed,
            None => &mut item.triggers.added,
        };
        list.push(one.name.clone());
        let is_same = item.triggers.unchanged.last() == Some(&one.name);
        work.tx.put(&TriggerRow {
            namespace: work.live(),
            definition: item.row.id,
            name: one.name.clone(),
            match_key: one.match_key.clone(),
            route: one.route.clone(),
            body: TriggerBody {
                definition: item.row.name.clone(),
                version: version.to_owned(),
                revision: item.row.head.revision + 1,
                spec_hash,
                spec: one.spec.clone(),
            },
        })?;
        // A trigger that says the same goes on where it is: its next slot, and what it has done.
        if !is_same {
            let plan = match &one.spec {
                TriggerSpec::Schedule(plan) => Some(plan.clone()),
                TriggerSpec::Event(_) => None,
            };
            set_trigger(work, item.row.id, &one.name, plan)?;
        }
    }
    Ok(())
}

/// Lets the triggers be as they are at the new revision.
pub(super) fn keep_triggers(
    work: &mut Work<'_>,
    item: &mut Item,
    kept: Vec<TriggerRow>,
) -> Result<()> {
    for mut row in kept {
        row.body.revision = item.row.head.revision + 1;
        item.triggers.unchanged.push(row.name.clone());
        work.tx.put(&row)?;
    }
    Ok(())
}

/// Refuses a hook path that another definition, or another trigger of this one, has.
fn check_route(
    work: &mut Work<'_>,
    definition: Id,
    wanted: &Wanted,
    freed: &[TriggerRow],
) -> Result<()> {
    let Some(route) = &wanted.route else { return Ok(()) };
    let prefix = [Value::id(work.live()), Value::Bytes(route.as_slice().into())];
    let rows: Vec<TriggerRow> =
        work.tx.find(tables::TRIGGER_ROUTE, &Range::prefix(prefix), limits::PAGE_MAX)?;
    let holds = |row: &&TriggerRow| {
        let is_self = row.definition == definition && row.name == wanted.name;
        // One that has taken another path already is in the way there.
        let is_free = freed.contains(row);
        !is_self && !is_free
    };
    match rows.iter().find(holds) {
        None => Ok(()),
        Some(owner) => Err(Error::RouteTaken {
            route: String::from_utf8_lossy(route.strip_prefix(b"hook\0").unwrap_or(route))
                .into_owned(),
            owner: owner.body.definition.clone(),
        }),
    }
}
