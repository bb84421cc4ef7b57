//! Removing messages, which are kept for a while, and moving them.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::future;
use model::{Error, Result};
use serde_json::json;

use super::{
    Problem, Summary,
    apply::{Applying, Done, places},
    copy::name,
    examine::Examined,
    learn::Learn,
    round::Session,
};
use crate::{
    Flags, FolderName, Key, Side, Sides,
    driver::{Append, Appended, At},
    limits::CALL_MESSAGES_MAX,
    pipe,
    plan::{Plan, Step},
    state::{Change, Undo},
};

/// A message that is to be removed.
pub(super) struct Removing {
    /// The number of its pair; none for a second copy.
    pub(super) pair: Option<i64>,
    pub(super) key: Key,
    pub(super) flags: Flags,
}

impl Applying<'_> {
    /// Removes messages from a side, once they are kept elsewhere.
    pub(super) async fn remove(&mut self, side: Side, removals: Vec<Removing>) -> Result<()> {
        let at = self.examined.at.get(side).clone();
        for chunk in removals.chunks(CALL_MESSAGES_MAX) {
            let kept = self.keep(side, &at, chunk).await?;
            let keys: Vec<Key> = chunk.iter().map(|removing| removing.key.clone()).collect();
            let gone: HashSet<Key> =
                self.workers.get(side).remove(&at, keys).await?.into_iter().collect();
            let mut changes = Vec::new();
            for removing in chunk {
                if !gone.contains(&removing.key) {
                    self.done.incomplete = true;
                    continue;
                }
                changes.extend(self.removed(side, &at, removing));
                if let Some((kept_in, kept_as)) = kept.get(&removing.key)
                    && removing.pair.is_some()
                {
                    let (kept_in, kept_as) = (kept_in.clone(), kept_as.clone());
                    let (folder, flags) = (at.folder.clone(), removing.flags.clone());
                    let undo = Undo::Removed { side, folder, kept_in, kept_as, flags };
                    changes.push(Change::Done(self.run, undo));
                }
            }
            self.session.state.record(changes).await?;
        }
        Ok(())
    }

    fn removed(&mut self, side: Side, at: &At, removing: &Removing) -> Vec<Change> {
        let At { folder, epoch } = at;
        let key = &removing.key;
        let counts = self.done.counts.get_mut(side);
        let Some(pair) = removing.pair else {
            counts.deduplicated += 1;
            let known = self.examined.case.identities.get(side).get(key);
            let content = self.examined.case.contents.get(side).get(key);
            let ghosts = self.examined.case.ghosts.iter();
            let mut ghosts = ghosts.filter(|ghost| {
                known.is_some_and(|known| known.identity == ghost.identity)
                    && content == Some(&ghost.content)
            });
            let id = format!("{folder}/{epoch}/{key}/deduplicated");
            let data = json!({"folder": folder, "side": side, "key": key});
            let event = self.session.event(id, "io.lockstep.mail.message.deduplicated.v1", data);
            let forget =
                ghosts.next().map(|ghost| Change::DropGhost(folder.clone(), ghost.clone()));
            return forget.into_iter().chain([event]).collect();
        };
        counts.removed += 1;
        let id = format!("{folder}/{epoch}/{key}/{side}/removed");
        let data = json!({"folder": folder, "side": side.other(), "key": key});
        let event = self.session.event(id, "io.lockstep.mail.message.removed.v1", data);
        vec![Change::DropPair(pair), event]
    }

    /// Copies messages to where removed ones are kept; gives where each of them is.
    async fn keep(
        &self,
        side: Side,
        at: &At,
        chunk: &[Removing],
    ) -> Result<HashMap<Key, (FolderName, Key)>> {
        let Some(pool) = &self.session.kept else { return Ok(HashMap::new()) };
        let folder = kept_in(self.run, side, &at.folder)?;
        let keeper = pool.take().await?;
        keeper.create_folder(&folder).await?;
        let seed = format!("{}\0{folder}\0{}\0", self.session.account.name, at.epoch);
        let append = |removing: &Removing| Append {
            source: removing.key.clone(),
            name: name(&seed, &removing.key),
            flags: removing.flags.clone(),
        };
        let appends: Vec<Append> = chunk.iter().map(append).collect();
        let kept_at = |kept: Appended| Some((kept.source, (folder.clone(), kept.key?)));
        // A file on the same disk need not be copied.
        let store = self.session.account.retention.as_ref();
        if let Some(directory) = store.and_then(|store| store.directory(&folder))
            && let Some(kept) = self.workers.get(side).link(at, appends.clone(), directory).await?
        {
            return Ok(kept.into_iter().filter_map(kept_at).collect());
        }
        let keys = chunk.iter().map(|removing| removing.key.clone()).collect();
        let (pouring, parts) = pipe();
        let place = At { folder: folder.clone(), epoch: Default::default() };
        let worker = self.workers.get(side);
        let poured = worker.pour(at, keys, Learn::Identity, pouring).await?;
        let kept = keeper.append(&place, appends, parts).await?;
        let (poured, kept) = future::join(poured.answer(), kept.answer()).await;
        let (poured, kept) = (poured?.whole()?, kept?);
        if kept.len() < poured.len() {
            return Err(Error::Unavailable(
                "what is to be removed could not be kept, so it was not removed".to_owned(),
            ));
        }
        Ok(kept.into_iter().filter_map(kept_at).collect())
    }
}

/// Names the folder in which what a run removes is kept.
fn kept_in(run: i64, side: Side, folder: &FolderName) -> Result<FolderName> {
    FolderName::new(&format!("{}/{side}/{folder}", run_folder(run)))
}

fn run_folder(run: i64) -> String {
    format!("run-{run}")
}

impl Session<'_> {
    /// Removes for good what was removed long ago.
    pub(super) async fn purge(&self) -> Result<()> {
        let Some(pool) = &self.kept else { return Ok(()) };
        let days = self.account.settings.keep_removed;
        let days = i64::try_from(days.as_nanos()).unwrap_or(i64::MAX);
        let before = model::Time(self.now().0.saturating_sub(days));
        let old = self.state.unpurged(before).await?;
        if old.is_empty() {
            return Ok(());
        }
        let keeper = pool.take().await?;
        let folders = keeper.folders().await?.folders;
        for run in old {
            let within = format!("{}/", run_folder(run));
            let of_run = folders.iter().filter(|folder| folder.name.as_str().starts_with(&within));
            for folder in of_run {
                let snapshot = std::sync::Arc::default();
                let delta = keeper.examine(&folder.name, None, &snapshot).await?;
                let keys: Vec<Key> = delta.new.into_iter().map(|seen| seen.key).collect();
                let epoch = delta.checkpoint.map(|known| known.epoch).unwrap_or_default();
                let at = At { folder: folder.name.clone(), epoch };
                keeper.remove(&at, keys).await?;
                keeper.delete_folder(&folder.name).await?;
            }
            self.state.record(vec![Change::Purged(run)]).await?;
        }
        Ok(())
    }

    /// Makes all moves of a plan; gives the folders that must be looked at again.
    pub(super) async fn make_moves(
        &self,
        examined: &[Examined],
        plan: &Plan,
        run: i64,
        summary: &mut Summary,
        failed: &mut HashSet<FolderName>,
    ) -> HashSet<FolderName> {
        let mut groups: BTreeMap<(Side, FolderName, FolderName), Vec<&Step>> = BTreeMap::new();
        for folder in &plan.folders {
            for step in &folder.steps {
                if let Step::Move { side, to, .. } = step {
                    let group = (*side, folder.folder.clone(), to.clone());
                    groups.entry(group).or_default().push(step);
                }
            }
        }
        let (places, mut again) = (places(examined), HashSet::new());
        for ((side, from, to), steps) in groups {
            if failed.contains(&from) || failed.contains(&to) {
                failed.extend([from, to]);
                continue;
            }
            let (Some(origin), Some(target)) = (places.get(&from), places.get(&to)) else {
                continue;
            };
            let outcome = self.relocate(side, origin, target, &steps, run).await;
            match outcome {
                Ok(done) => {
                    for side in Side::BOTH {
                        summary.done.get_mut(side).add(*done.counts.get(side));
                    }
                    if done.again {
                        again.extend([from, to]);
                    }
                }
                Err(error) => {
                    summary.problems.push(Problem { folder: Some(from.clone()), error });
                    again.extend([from.clone(), to.clone()]);
                    failed.extend([from, to]);
                }
            }
        }
        again
    }

    async fn relocate(
        &self,
        side: Side,
        origin: &Examined,
        target: &Examined,
        steps: &[&Step],
        run: i64,
    ) -> Result<Done> {
        let workers = self.workers().await?;
        let open = Sides::default();
        let done = Done::default();
        let mut applying = Applying { session: self, workers, examined: target, run, open, done };
        let to = &target.case.folder;
        let intents: Vec<Key> = steps.iter().filter_map(|step| moved_key(step)).collect();
        let ghosts = applying.workers.get(side).capabilities().await?.ghosts;
        if ghosts {
            // A move that was cut off may still happen, as an append may.
            self.state.record(vec![applying.intend(side, intents.clone())]).await?;
        }
        let keys: Vec<Key> = steps.iter().filter_map(|step| old_key(step, side)).collect();
        let worker = applying.workers.get(side);
        let moved = worker.relocate(origin.at.get(side), keys, to).await?;
        let mut settled = vec![Change::Settle(to.clone(), side, intents)];
        let moved: HashMap<Key, Appended> =
            moved.into_iter().map(|moved| (moved.source.clone(), moved)).collect();
        let mut flags = Vec::new();
        for step in steps {
            let Step::Move { pair, keys, moved: now, stamp, agreed, changes, .. } = step else {
                continue;
            };
            let Some(there) = moved.get(keys.get(side)) else {
                applying.done.again = true;
                continue;
            };
            applying.done.counts.get_mut(side).moved += 1;
            // It is there, and if nobody told its key the next pass finds it.
            let key = there.key.clone().unwrap_or_else(|| Key::untold(now));
            applying.done.again |= key.is_untold();
            let keys = Sides::with(side, key.clone(), now.clone());
            let stamps = Sides::with(side, there.stamp, *stamp);
            settled.push(Change::MovePair {
                pair: *pair,
                to: to.clone(),
                keys: keys.clone(),
                stamps,
            });
            let (from, to) = (origin.case.folder.clone(), to.clone());
            let id = format!("{from}/{to}/{now}/{}/{run}/moved", target.at.get(side.other()).epoch);
            let data = json!({"from": from, "to": to, "side": side.other(), "key": now});
            settled.push(self.event(id, "io.lockstep.mail.message.moved.v1", data));
            if key.is_untold() {
                continue;
            }
            settled.push(Change::Done(run, Undo::Moved { side, from, to, key }));
            if !changes.left.is_empty() || !changes.right.is_empty() || agreed != &Flags::default()
            {
                flags.push((*pair, keys, changes.clone(), agreed.clone()));
            }
        }
        self.state.record(settled).await?;
        applying.flag_moved(flags).await?;
        Ok(applying.done)
    }
}

impl Applying<'_> {
    /// Changes the flags of messages that were just moved.
    async fn flag_moved(
        &mut self,
        moved: Vec<(i64, Sides<Key>, Sides<crate::FlagChange>, Flags)>,
    ) -> Result<()> {
        let wanted: Vec<_> =
            moved.iter().map(|(_, keys, changes, _)| (keys.clone(), changes.clone())).collect();
        let flagged = self.change_flags(&wanted).await?;
        let mut rows = Vec::new();
        for (pair, keys, changes, agreed) in moved {
            let done = |side: Side| {
                changes.get(side).is_empty() || flagged.get(side).contains(keys.get(side))
            };
            if Side::BOTH.into_iter().all(done) {
                rows.push(Change::Flags(pair, agreed));
            } else {
                self.done.again = true;
            }
        }
        self.session.state.record(rows).await
    }
}

fn moved_key(step: &Step) -> Option<Key> {
    match step {
        Step::Move { moved, .. } => Some(moved.clone()),
        _ => None,
    }
}

fn old_key(step: &Step, side: Side) -> Option<Key> {
    match step {
        Step::Move { keys, .. } => Some(keys.get(side).clone()),
        _ => None,
    }
}
