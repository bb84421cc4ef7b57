//! The one transaction of a run: all changes of a bundle, in steps that are timed one by one.
//!
//! Whatever fails undoes all of it. Nothing here reads a document: what it says was sealed before.

mod look;
mod triggers;

use std::sync::Arc;

use model::{CatalogChange, EventBody, Id, Published, Result, Revision, Running, TriggerChanges};
use queue::Work;
use store::{TxExt as _, tables};

use self::{
    look::look,
    triggers::{keep_triggers, set_triggers, triggers_of, wanted},
};
use super::{
    change::{Action, Change},
    effects,
    log::{CatalogBody, CatalogRow, next_epoch},
    rows::{DefinitionRow, TriggerRow, VersionBody, VersionRow},
};
use crate::timer::clear_trigger;

/// A step of the transaction; it answers with what is worth knowing of it.
pub type Step = fn(&mut Commit, &mut Work<'_>) -> Result<String>;

/// The steps, in order, by the names of their stages. What extensions do in the transaction comes
/// before the head is turned.
pub const STEPS: [(&str, Step); 6] = [
    ("lock-head", Commit::lock_head),
    ("write-version", Commit::write_version),
    ("write-triggers", Commit::write_triggers),
    ("write-effects", Commit::write_effects),
    ("flip-head", Commit::flip_head),
    ("log", Commit::log),
];

/// The transaction of a run.
#[derive(Debug)]
pub struct Commit {
    changes: Arc<[Change]>,
    run: Id,
    /// The stages that make something true elsewhere.
    effects: Vec<String>,
    items: Vec<Item>,
    epoch: u64,
}

/// One change under way.
#[derive(Debug)]
struct Item {
    row: DefinitionRow,
    is_changed: bool,
    triggers: TriggerChanges,
    warnings: Vec<String>,
}

impl Commit {
    /// Begins the transaction of a run; `effects` are the stages that settle it.
    pub fn new(changes: Arc<[Change]>, run: Id, effects: Vec<String>) -> Self {
        Self { changes, run, effects, items: Vec::new(), epoch: 0 }
    }

    /// Tells whether anything has changed.
    pub fn is_changed(&self) -> bool {
        self.items.iter().any(|item| item.is_changed)
    }

    /// Gives the epoch of the change; 0 if nothing has changed.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Gives the id of the first definition.
    pub fn first(&self) -> Option<Id> {
        self.items.first().map(|item| item.row.id)
    }

    /// Gives what becomes of the running instances of which definitions.
    pub fn running(&self) -> Vec<(String, Running)> {
        let of_one = |change: &Change| Some((change.name.clone(), change.running()?));
        self.changes.iter().filter_map(of_one).collect()
    }

    /// Tells what was done to each definition.
    pub fn published(&self, state: &str) -> Vec<Published> {
        let one = |item: &Item| Published {
            name: item.row.name.clone(),
            version: item.row.head.published.clone(),
            revision: item.row.head.revision,
            epoch: item.row.head.epoch,
            run: self.run,
            is_changed: item.is_changed,
            state: state.to_owned(),
            triggers: item.triggers.clone(),
            warnings: item.warnings.clone(),
        };
        self.items.iter().map(one).collect()
    }

    fn pairs(&mut self) -> impl Iterator<Item = (&Change, &mut Item)> {
        self.changes.iter().zip(&mut self.items)
    }

    /// Loads the heads, which are locked with their namespace, and checks what the callers saw.
    fn lock_head(&mut self, work: &mut Work<'_>) -> Result<String> {
        for change in self.changes.iter() {
            let item = look(work, change)?;
            self.items.push(item);
        }
        let revisions = self.items.iter().map(|item| item.row.head.revision.to_string());
        Ok(format!("at revision {}", revisions.collect::<Vec<_>>().join(", ")))
    }

    /// Writes versions that are new, and removes those that are deleted.
    fn write_version(&mut self, work: &mut Work<'_>) -> Result<String> {
        let mut count = 0;
        for (change, item) in self.pairs().filter(|(_, item)| item.is_changed) {
            count += u32::from(match &change.action {
                Action::Publish(new) => {
                    let key = VersionRow::key(work.live(), item.row.id, &new.version);
                    let is_new = work.tx.get::<VersionRow>(key)?.is_none();
                    if is_new {
                        work.tx.put(&VersionRow {
                            namespace: work.live(),
                            definition: item.row.id,
                            version: new.version.clone(),
                            created: work.now,
                            body: VersionBody {
                                hash: new.hash.clone(),
                                source: new.source.clone(),
                                author: new.author.clone(),
                                program: new.program.clone(),
                                turns: new.turns.clone(),
                                refers: new.refers.iter().map(ToString::to_string).collect(),
                            },
                        })?;
                    }
                    is_new
                }
                Action::DeleteVersion(version) => {
                    let key = VersionRow::key(work.live(), item.row.id, version);
                    work.tx.remove(&tables::VERSION, &[key])?;
                    true
                }
                Action::Rollback { .. } | Action::Retract(_) | Action::Delete(_) => false,
            });
        }
        Ok(format!("{count} written"))
    }

    /// Makes the triggers those of the new versions. What goes, goes first, so that in a bundle
    /// one definition can take the hook path of another.
    fn write_triggers(&mut self, work: &mut Work<'_>) -> Result<String> {
        let mut kept = Vec::new();
        for (change, item) in self.pairs() {
            let found = if item.is_changed { triggers_of(work, item.row.id)? } else { Vec::new() };
            let wanted = wanted(&change.action);
            let (stay, go): (Vec<_>, Vec<_>) = found.into_iter().partition(|row| {
                wanted.is_none_or(|wanted| wanted.iter().any(|one| one.name == row.name))
            });
            for row in go {
                let key = TriggerRow::key(work.live(), item.row.id, &row.name);
                work.tx.remove(&tables::TRIGGER, &[key])?;
                clear_trigger(work, item.row.id, &row.name)?;
                item.triggers.removed.push(row.name);
            }
            kept.push(stay);
        }
        // A path that a kept trigger gives up is free for the others.
        let freed = self.freed(&kept);
        let mut kept = kept.into_iter();
        for (change, item) in self.pairs() {
            let kept = kept.next().unwrap_or_default();
            if !item.is_changed {
                continue;
            }
            match wanted(&change.action) {
                Some(wanted) => set_triggers(work, item, &change.action, wanted, kept, &freed)?,
                None => keep_triggers(work, item, kept)?,
            }
        }
        let count = |of: fn(&TriggerChanges) -> &Vec<String>| {
            self.items.iter().map(|item| of(&item.triggers).len()).sum::<usize>()
        };
        Ok(format!(
            "{} added, {} removed, {} changed, {} unchanged",
            count(|it| &it.added),
            count(|it| &it.removed),
            count(|it| &it.changed),
            count(|it| &it.unchanged)
        ))
    }

    /// Lists the triggers that stay and give up the path that they have.
    fn freed(&self, kept: &[Vec<TriggerRow>]) -> Vec<TriggerRow> {
        let mut freed = Vec::new();
        for (change, kept) in self.changes.iter().zip(kept) {
            let wanted = wanted(&change.action).unwrap_or_default();
            let gives_up = |row: &&TriggerRow| {
                let own = wanted.iter().find(|one| one.name == row.name);
                row.route.is_some() && own.is_some_and(|own| own.route != row.route)
            };
            freed.extend(kept.iter().filter(gives_up).cloned());
        }
        freed
    }

    /// Says what each stage that settles is to make true: the definition as it will be.
    fn write_effects(&mut self, work: &mut Work<'_>) -> Result<String> {
        let mut count = 0;
        for item in self.items.iter().filter(|item| item.is_changed) {
            for stage in &self.effects {
                let desired = format!("revision {}", item.row.head.revision + 1);
                effects::want(work, item.row.id, stage, &desired)?;
                count += 1;
            }
        }
        Ok(format!("{count} wanted"))
    }

    /// Turns the heads.
    fn flip_head(&mut self, work: &mut Work<'_>) -> Result<String> {
        let (now, run) = (work.now, self.run);
        for (change, item) in self.pairs().filter(|(_, item)| item.is_changed) {
            let head = &mut item.row.head;
            match &change.action {
                Action::Publish(new) => {
                    head.published = Some(new.version.clone());
                    head.hash = Some(new.hash.clone());
                    head.turns.clone_from(&new.turns);
                    head.is_deleted = false;
                }
                Action::Rollback { version, hash, turns, .. } => {
                    head.published = Some(version.clone());
                    head.hash = Some(hash.clone());
                    head.turns.clone_from(turns);
                }
                Action::Retract(_) | Action::Delete(_) => {
                    (head.published, head.hash, head.turns) = (None, None, None);
                    head.is_deleted = matches!(change.action, Action::Delete(_));
                }
                Action::DeleteVersion(_) => {}
            }
            head.revision += 1;
            (head.changed, head.run) = (now, run);
        }
        let changed = self.items.iter().filter(|item| item.is_changed);
        Ok(changed.map(describe).collect::<Vec<_>>().join(", "))
    }

    /// Takes the epoch, last of all, and writes the change down.
    fn log(&mut self, work: &mut Work<'_>) -> Result<String> {
        if !self.is_changed() {
            return Ok("nothing has changed".to_owned());
        }
        self.epoch = next_epoch(work.tx)?;
        let epoch = self.epoch;
        let mut named: Vec<(String, Revision)> = Vec::new();
        for (_, item) in self.pairs().filter(|(_, item)| item.is_changed) {
            item.row.head.epoch = epoch;
            work.tx.put(&item.row)?;
            named.push((item.row.name.clone(), item.row.head.revision));
        }
        named.sort_unstable();
        let (definitions, revisions): (Vec<_>, Vec<_>) = named.into_iter().unzip();
        let change = CatalogChange {
            epoch,
            namespace: work.name().as_str().to_owned(),
            revision: work.next_revision(),
            definitions: definitions.clone(),
            operation: operation(&self.changes).to_owned(),
            run: self.run,
            time: work.now,
        };
        let body = CatalogBody { change, revisions };
        work.tx.put(&CatalogRow { namespace: work.live(), body })?;
        work.events.push(EventBody::DefinitionsChanged(definitions));
        Ok(format!("epoch {epoch}"))
    }
}

/// Gives the word for what a run does.
pub fn operation(changes: &[Change]) -> &'static str {
    match changes {
        [one] => one.operation(),
        _ => "bundle",
    }
}

fn describe(item: &Item) -> String {
    let version = item.row.head.published.as_deref().unwrap_or("nothing");
    format!("{} publishes {version}, revision {}", item.row.name, item.row.head.revision)
}
