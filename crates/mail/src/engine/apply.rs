//! Applying a plan: first on the side, then in the state.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::{StreamExt, stream};
use model::Result;
use serde_json::json;

use super::{
    Counts, FolderStep, Keys, Problem, Progress, Summary, copy::Copies, examine::Examined,
    learn::Poured, pool::Taken, round::Session,
};
use crate::{
    FlagChange, Flags, FolderName, Key, Side, Sides,
    driver::{At, FlagGroup},
    limits::CALL_MESSAGES_MAX,
    plan::{FolderPlan, Plan, Step},
    state::{Change, Overview, Undo},
};

/// What came of one folder.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) counts: Sides<Counts>,
    pub(super) paired: usize,
    /// Whether something is still to be done, or to be found out.
    pub(super) again: bool,
    /// Whether something was left undone.
    pub(super) incomplete: bool,
}

/// One folder while its plan is applied.
pub(super) struct Applying<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) workers: Sides<Taken>,
    pub(super) examined: &'a Examined,
    pub(super) run: i64,
    /// Appends whose outcome was not known when the round began.
    pub(super) open: Sides<Keys>,
    pub(super) done: Done,
}

impl Session<'_> {
    /// Applies a plan; gives the folders that must be looked at again.
    pub(super) async fn apply(
        &self,
        examined: Vec<Examined>,
        plan: Plan,
        folder_steps: &[FolderStep],
        overview: &Overview,
        summary: &mut Summary,
    ) -> Result<HashSet<FolderName>> {
        let run = summary.run.unwrap_or_default();
        let mut failed = self.make_folders(&examined, folder_steps, summary).await?;
        let mut again = self.make_moves(&examined, &plan, run, summary, &mut failed).await;
        let moving = again.clone();
        let several = self.account.settings.connections.max(1);
        let ready = examined.iter().zip(&plan.folders);
        let ready = ready.filter(|(examined, _)| !failed.contains(&examined.case.folder));
        let tasks = ready.map(|(examined, plan)| async {
            let folder = examined.case.folder.clone();
            let complete = plan.complete && !moving.contains(&folder);
            let outcome = self.apply_folder(examined, plan, complete, overview, run).await;
            (self.context.progress)(Progress::Applied(folder.clone()));
            (folder, outcome)
        });
        let tasks: Vec<_> = tasks.collect();
        let outcomes: Vec<_> = stream::iter(tasks).buffer_unordered(several).collect().await;
        for (folder, (done, outcome)) in outcomes {
            for side in Side::BOTH {
                summary.done.get_mut(side).add(*done.counts.get(side));
            }
            summary.paired += done.paired;
            if done.again || outcome.is_err() {
                again.insert(folder.clone());
            }
            if done.incomplete || outcome.is_err() {
                failed.insert(folder.clone());
            }
            if let Err(error) = outcome {
                summary.problems.push(Problem { folder: Some(folder), error });
            }
        }
        failed.extend(again.iter().cloned());
        self.remove_folders(folder_steps, &failed, summary).await?;
        Ok(again)
    }

    async fn apply_folder(
        &self,
        examined: &Examined,
        plan: &FolderPlan,
        complete: bool,
        overview: &Overview,
        run: i64,
    ) -> (Done, Result<()>) {
        let workers = match self.workers().await {
            Ok(workers) => workers,
            Err(error) => return (Done::default(), Err(error)),
        };
        let folder = &examined.case.folder;
        let open = Sides::of(|side| {
            let open = overview.intents.get(&(folder.clone(), side));
            open.map(|open| open.keys().cloned().collect()).unwrap_or_default()
        });
        let done = Done { incomplete: !complete, ..Done::default() };
        let mut applying = Applying { session: self, workers, examined, run, open, done };
        let outcome = applying.apply(plan).await;
        (applying.done, outcome)
    }

    /// Takes a worker of each side, always in the same order, so that no two wait for each other.
    pub(super) async fn workers(&self) -> Result<Sides<Taken>> {
        let left = self.pools.left.take().await?;
        let right = self.pools.right.take().await?;
        Ok(Sides { left, right })
    }
}

impl Applying<'_> {
    async fn apply(&mut self, plan: &FolderPlan) -> Result<()> {
        let mut sorted = Sorted::default();
        plan.steps.iter().for_each(|step| sorted.put(step));
        sorted.remembered.extend(self.forget(&sorted));
        self.session.state.record(sorted.remembered).await?;
        self.pair(&sorted.pairs).await?;
        for to in Side::BOTH {
            let copies = std::mem::take(sorted.copies.get_mut(to));
            self.copy(to, copies).await?;
        }
        self.flag(&sorted.flags).await?;
        for side in Side::BOTH {
            let removals = std::mem::take(sorted.removals.get_mut(side));
            self.remove(side, removals).await?;
        }
        self.finish().await
    }

    /// Remembers how far the folder was looked at, if nothing is left to do.
    async fn finish(&mut self) -> Result<()> {
        let folder = &self.examined.case.folder;
        let mut changes = Vec::new();
        for side in Side::BOTH {
            if !self.open.get(side).is_empty() {
                changes.push(Change::SettleAll(folder.clone(), side));
            }
        }
        if !self.is_news() {
            changes.push(Change::Known(folder.clone()));
        }
        if !self.done.incomplete && !self.done.again {
            for side in Side::BOTH {
                let delta = self.examined.case.deltas.get(side);
                if let Some(checkpoint) = &delta.checkpoint
                    && self.examined.work.since(side) != Some(checkpoint)
                {
                    let checkpoint = checkpoint.clone();
                    changes.push(Change::Checkpoint(folder.clone(), side, checkpoint));
                }
            }
            changes.push(Change::Proved(folder.clone(), self.session.now()));
        }
        self.session.state.record(changes).await
    }

    /// Forgets what neither side has any more, and tells of it: users removed it on both, or a side
    /// followed the other and was cut off. What one side still has comes back, and is no news.
    fn forget(&self, sorted: &Sorted<'_>) -> Vec<Change> {
        if sorted.forgotten.is_empty() {
            return Vec::new();
        }
        let copied = sorted.copies.as_ref().map(|copies| copies.keys().collect::<HashSet<_>>());
        let comes_back = |keys: &Sides<Key>| {
            Side::BOTH.iter().any(|to| copied.get(*to).contains(keys.get(to.other())))
        };
        let mut rows = Vec::new();
        for (pair, keys) in &sorted.forgotten {
            rows.push(Change::DropPair(*pair));
            if !comes_back(keys) {
                let At { folder, epoch } = &self.examined.at.right;
                let id = format!("{folder}/{epoch}/{}/gone", keys.right);
                let data = json!({"folder": folder, "key": keys.right});
                rows.push(self.session.event(id, "io.lockstep.mail.message.removed.v1", data));
            }
        }
        rows
    }

    /// Remembers messages as the same, and makes their flags equal.
    async fn pair(&mut self, steps: &[&Step]) -> Result<()> {
        let mut wanted = Vec::new();
        for step in steps {
            if let Step::Pair { keys, changes, .. } = step {
                wanted.push((keys.clone(), changes.clone()));
            }
        }
        let flagged = self.change_flags(&wanted).await?;
        let (looked, learned) = self.look(steps).await?;
        let mut rows = Vec::new();
        for step in steps {
            let Step::Pair { keys, stamps, agreed, changes, .. } = step else { continue };
            if !is_done(&flagged, keys, changes) {
                self.done.incomplete = true;
                continue;
            }
            let known = |side: Side| {
                let known = self.examined.case.identities.get(side).get(keys.get(side));
                known.map(|known| known.identity)
            };
            rows.push(Change::AddPair {
                folder: self.examined.case.folder.clone(),
                keys: keys.clone(),
                stamps: *stamps,
                flags: agreed.clone(),
                identity: known(Side::Left).or_else(|| known(Side::Right)),
            });
            if let Some(learned) = &learned {
                // Our own copy was cut off before it was remembered, or it came to both sides.
                let side = self.origin(keys);
                let nothing = &super::copy::NOTHING;
                let learned = learned.get(keys.get(looked)).unwrap_or(nothing);
                rows.extend(self.arrived(side, (keys.get(side), agreed), learned));
            }
            self.done.paired += 1;
        }
        self.session.state.record(rows).await
    }

    /// Looks into messages that are news, on the side where that costs less.
    async fn look(&self, steps: &[&Step]) -> Result<(Side, Option<HashMap<Key, Poured>>)> {
        let mut side = Side::Left;
        if steps.is_empty() || !self.is_news() {
            return Ok((side, None));
        }
        for other in Side::BOTH {
            if self.workers.get(other).capabilities().await?.cheap_bodies {
                side = other;
            }
        }
        let mut keys = Vec::with_capacity(steps.len());
        for step in steps {
            if let Step::Pair { keys: both, .. } = step {
                keys.push(both.get(side).clone());
            }
        }
        let mut learned = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(CALL_MESSAGES_MAX) {
            let some =
                self.workers.get(side).look(self.examined.at.get(side), keys.to_vec()).await?;
            learned.extend(some.into_iter().map(|poured| (poured.key.clone(), poured)));
        }
        Ok((side, Some(learned)))
    }

    async fn flag(&mut self, steps: &[&Step]) -> Result<()> {
        let mut wanted = Vec::new();
        for step in steps {
            if let Step::Flag { keys, changes, .. } = step {
                wanted.push((keys.clone(), changes.clone()));
            }
        }
        let flagged = self.change_flags(&wanted).await?;
        let mut rows = Vec::new();
        for step in steps {
            let Step::Flag { pair, keys, agreed, changes } = step else { continue };
            if !is_done(&flagged, keys, changes) {
                self.done.incomplete = true;
                continue;
            }
            rows.push(Change::Flags(*pair, agreed.clone()));
            rows.extend(self.flags_changed(keys, changes, agreed, &self.examined.at));
        }
        self.session.state.record(rows).await
    }

    /// Tells of changed flags, and how to undo it.
    fn flags_changed(
        &self,
        keys: &Sides<Key>,
        changes: &Sides<FlagChange>,
        agreed: &Flags,
        at: &Sides<At>,
    ) -> Vec<Change> {
        let mut rows = Vec::new();
        for side in Side::BOTH {
            let change = changes.get(side);
            if change.is_empty() {
                continue;
            }
            let (at, key) = (at.get(side), keys.get(side));
            let (folder, epoch) = (at.folder.clone(), at.epoch.clone());
            let id = format!("{folder}/{epoch}/{key}/{side}/flags/{}", self.run);
            let data = json!({
                "folder": folder, "side": side.other(), "key": keys.get(side.other()),
                "flags": agreed, "add": change.add, "remove": change.remove,
            });
            rows.push(self.session.event(id, "io.lockstep.mail.message.flags.changed.v1", data));
            let (key, change) = (key.clone(), change.clone());
            let undo = Undo::Flagged { side, folder, epoch, key, change };
            rows.push(Change::Done(self.run, undo));
        }
        rows
    }

    /// Changes flags on both sides, equal changes together; gives the messages that have them.
    pub(super) async fn change_flags(
        &mut self,
        wanted: &[(Sides<Key>, Sides<FlagChange>)],
    ) -> Result<Sides<HashSet<Key>>> {
        let mut flagged = Sides::<HashSet<Key>>::default();
        for side in Side::BOTH {
            let mut groups: BTreeMap<FlagChange, Vec<Key>> = BTreeMap::new();
            for (keys, changes) in wanted {
                let change = changes.get(side);
                if !change.is_empty() {
                    groups.entry(change.clone()).or_default().push(keys.get(side).clone());
                }
            }
            for (change, mut keys) in groups {
                keys.sort_unstable();
                for keys in keys.chunks(CALL_MESSAGES_MAX) {
                    let group = FlagGroup { keys: keys.to_vec(), change: change.clone() };
                    let at = self.examined.at.get(side);
                    let done = self.workers.get(side).flag(at, vec![group]).await?;
                    self.done.counts.get_mut(side).flagged += done.len();
                    flagged.get_mut(side).extend(done);
                }
            }
        }
        Ok(flagged)
    }
}

fn is_done(flagged: &Sides<HashSet<Key>>, keys: &Sides<Key>, changes: &Sides<FlagChange>) -> bool {
    let done =
        |side: &Side| changes.get(*side).is_empty() || flagged.get(*side).contains(keys.get(*side));
    Side::BOTH.iter().all(done)
}

/// The steps of a folder by kind.
#[derive(Default)]
struct Sorted<'a> {
    remembered: Vec<Change>,
    forgotten: Vec<(i64, &'a Sides<Key>)>,
    pairs: Vec<&'a Step>,
    copies: Sides<Copies>,
    flags: Vec<&'a Step>,
    removals: Sides<Vec<super::retain::Removing>>,
}

impl<'a> Sorted<'a> {
    fn put(&mut self, step: &'a Step) {
        match step {
            Step::Rekey { pair, side, key, stamp } => {
                self.remembered.push(Change::Rekey(*pair, *side, key.clone(), *stamp));
            }
            Step::Forget { pair, keys } => self.forgotten.push((*pair, keys)),
            Step::Pair { .. } => self.pairs.push(step),
            Step::Flag { .. } => self.flags.push(step),
            Step::Copy { to, key, flags, size, stamp } => {
                self.copies.get_mut(*to).put(key.clone(), flags.clone(), *size, *stamp);
            }
            Step::Remove { pair, side, key, flags } => {
                let removing = super::retain::Removing {
                    pair: Some(*pair),
                    key: key.clone(),
                    flags: flags.clone(),
                };
                self.removals.get_mut(*side).push(removing);
            }
            Step::Expel { side, key } => {
                let flags = Flags::default();
                let removing = super::retain::Removing { pair: None, key: key.clone(), flags };
                self.removals.get_mut(*side).push(removing);
            }
            // Moves are made before, over all folders.
            Step::Move { .. } => {}
        }
    }
}

/// Where the messages of folders are, for moves.
pub(super) fn places(examined: &[Examined]) -> HashMap<&FolderName, &Examined> {
    examined.iter().map(|examined| (&examined.case.folder, examined)).collect()
}
