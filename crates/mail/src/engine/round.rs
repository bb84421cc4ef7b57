//! A round: from looking at the folders of both sides to what is remembered at the end.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Mutex,
    time::Duration,
};

use futures_util::future;
use model::{Error, Result, Time};
use serde_json::json;
use smol_str::SmolStr;

use super::{
    Account, Context, FolderStep, Mode, Problem, Progress, Summary,
    examine::Examined,
    folders::{Reconciled, Work, reconcile},
    pool::Pool,
    whole::{folder_steps, keep_only, steps},
};
use crate::{
    FolderName, Side, Sides,
    driver::Folder,
    limits::PASSES_MAX,
    plan::{Hold, Policy, plan},
    state::{Change, Overview, State},
};

/// One round of an account, or several over the same connections.
pub struct Session<'a> {
    pub(super) account: &'a Account,
    pub(super) state: &'a State,
    pub(super) context: &'a Context<'a>,
    pub(super) pools: Sides<Pool>,
    pub(super) kept: Option<Pool>,
    /// Folders that the next pass looks at whatever their tokens say.
    pub(super) again: Mutex<HashSet<FolderName>>,
}

/// Makes one round.
///
/// # Errors
/// If a side or the state cannot be used at all. What concerns a single folder is in the summary.
pub async fn sync(
    account: &Account,
    state: &State,
    mode: &Mode,
    context: &Context<'_>,
) -> Result<Summary> {
    Session::new(account, state, context).round(mode).await
}

impl<'a> Session<'a> {
    /// Makes a session, which connects when it is first used.
    pub fn new(account: &'a Account, state: &'a State, context: &'a Context<'a>) -> Self {
        let connections = account.settings.connections;
        let pools = Sides::of(|side| Pool::new(side, account.stores.get(side), connections));
        let kept = account.retention.as_ref().map(|kept| Pool::new(Side::Left, kept, 1));
        Self { account, state, context, pools, kept, again: Mutex::default() }
    }

    /// Makes one round.
    ///
    /// # Errors
    /// If a side or the state cannot be used at all. What concerns a single folder is in the
    /// summary.
    pub async fn round(&self, mode: &Mode) -> Result<Summary> {
        let mut summary = Summary::default();
        self.check_stores(mode).await?;
        if !matches!(mode, Mode::Plan) {
            summary.run = Some(self.state.begin_run(self.now()).await?);
        }
        for pass in 0..PASSES_MAX {
            let before = std::mem::take(&mut summary.problems);
            let looked = self.again.lock().map(|again| again.clone()).unwrap_or_default();
            let again = match self.pass(mode, &mut summary, pass == 0).await {
                Ok(again) => again,
                Err(error) if pass == 0 => return Err(error),
                Err(error) => {
                    summary.problems.push(Problem { folder: None, error });
                    HashSet::new()
                }
            };
            for problem in before {
                // What was tried again has told what is wrong now.
                let tried = problem.folder.as_ref().is_some_and(|folder| looked.contains(folder));
                if !tried && !summary.problems.contains(&problem) {
                    summary.problems.push(problem);
                }
            }
            if again.is_empty() || matches!(mode, Mode::Plan) {
                break;
            }
            if !summary.problems.is_empty() {
                let pause = self.account.settings.grace / 20;
                tokio::time::sleep(pause * 2_u32.pow(u32::try_from(pass).unwrap_or(0))).await;
            }
            if let Ok(mut set) = self.again.lock() {
                *set = again;
            }
        }
        if let Ok(mut set) = self.again.lock() {
            set.clear();
        }
        if let Some(run) = summary.run {
            self.end(run, &mut summary).await?;
        }
        Ok(summary)
    }

    /// Makes sure that the stores are those that they were.
    pub(super) async fn check_stores(&self, mode: &Mode) -> Result<()> {
        let known = self.state.overview(self.now()).await?.stores;
        let known = &known;
        let look = |side: Side| async move {
            let worker = self.pools.get(side).take().await?;
            // Only a store that is seen for the first time gets a mark.
            let new = known.get(side).is_none() && !matches!(mode, Mode::Plan);
            let create = new && !worker.capabilities().await?.read_only;
            worker.identity(create).await
        };
        let (left, right) = future::try_join(look(Side::Left), look(Side::Right)).await?;
        let found = Sides { left, right };
        let mut changes = Vec::new();
        for side in Side::BOTH {
            match (known.get(side), found.get(side)) {
                (Some(known), found) if Some(known) != found.as_ref() => {
                    return Err(Error::Unavailable(format!(
                        "the {side} side is not the store that it was, so nothing was changed: \
                         see whether its disk is mounted; if you have put another store in its \
                         place, make a new account for it"
                    )));
                }
                (None, Some(found)) => changes.push(Change::Store(side, found.clone())),
                (Some(_) | None, _) => {}
            }
        }
        if matches!(mode, Mode::Plan) {
            return Ok(());
        }
        self.state.record(changes).await
    }

    /// Goes once over all folders; gives those that must be looked at again.
    async fn pass(
        &self,
        mode: &Mode,
        summary: &mut Summary,
        first: bool,
    ) -> Result<HashSet<FolderName>> {
        let overview = self.state.overview(self.now()).await?;
        let (mut again, deferred) = self.defer(&overview, mode, first).await?;
        let mut found = self.list(&overview, summary).await?;
        if !found.renames.is_empty() {
            if first {
                summary.plan.folders.clone_from(&found.renames);
            }
            if !matches!(mode, Mode::Plan) {
                self.rename(&found.renames, mode, summary).await?;
                // Everything has other names now.
                again.extend(found.work.iter().map(|work| work.name.clone()));
                return Ok(again);
            }
        }
        summary.folders = found.work.len();
        if !matches!(mode, Mode::Plan) {
            let forget = found.vanished.drain(..).map(Change::DropFolder).collect();
            self.state.record(forget).await?;
        }
        if first {
            let quiet = |work: &&Work| work.is_quiet(Side::Left) && work.is_quiet(Side::Right);
            let quiet: HashSet<&FolderName> =
                found.work.iter().filter(quiet).map(|work| &work.name).collect();
            let known = overview.folders.iter().map(|row| &row.name);
            let all = known.chain(found.work.iter().map(|work| &work.name));
            let unproved: BTreeSet<&FolderName> =
                all.filter(|name| !quiet.contains(name)).collect();
            summary.unproved = unproved.into_iter().cloned().collect();
        }
        let wanted = |work: &Work| {
            let quiet = work.is_quiet(Side::Left) && work.is_quiet(Side::Right);
            let intends = Side::BOTH.map(|side| (work.name.clone(), side));
            let open = intends.iter().any(|place| overview.intents.contains_key(place));
            (!quiet || open || self.looks_again(&work.name)) && !deferred.contains(&work.name)
        };
        let only = |work: &Work| first || self.looks_again(&work.name);
        let work: Vec<Work> =
            found.work.into_iter().filter(|work| only(work) && wanted(work)).collect();
        (self.context.progress)(Progress::Folders(work.len()));
        let (examined, problems) = self.examine(work, &overview).await;
        summary.examined += examined.len();
        let passing = problems.iter().filter(|problem| problem.may_pass());
        again.extend(passing.filter_map(|problem| problem.folder.clone()));
        summary.problems.extend(problems);
        again.extend(self.carry_out(mode, examined, &overview, summary, first).await?);
        Ok(again)
    }

    async fn carry_out(
        &self,
        mode: &Mode,
        examined: Vec<Examined>,
        overview: &Overview,
        summary: &mut Summary,
        first: bool,
    ) -> Result<HashSet<FolderName>> {
        let policy = self.policy(overview).await?;
        let cases: Vec<_> = examined.iter().map(|examined| &examined.case).collect();
        let mut plan = plan(&cases, &policy);
        let mut folder_steps = folder_steps(&examined, &mut plan, &policy);
        if let Mode::Only(written) = mode {
            summary.outdated += keep_only(&mut plan, &mut folder_steps, written, first);
        }
        let looked: HashSet<&FolderName> = cases.iter().map(|case| &case.folder).collect();
        let elsewhere =
            |hold: &Hold| !hold.removals.iter().any(|removal| looked.contains(&removal.folder));
        summary.held.retain(elsewhere);
        summary.held.extend(plan.holds.iter().cloned());
        for conflict in &plan.conflicts {
            if !summary.conflicts.contains(conflict) {
                summary.conflicts.push(conflict.clone());
            }
        }
        if matches!(mode, Mode::Plan) {
            summary.plan.folders.extend(folder_steps);
            summary.plan.messages = steps(&plan);
            summary.plan.held = plan.holds;
            summary.plan.conflicts = plan.conflicts;
            return Ok(HashSet::new());
        }
        self.apply(examined, plan, &folder_steps, overview, summary).await
    }

    /// Waits until a server has ended what lost connections had sent, and gives the folders that
    /// are looked into only after that.
    async fn defer(
        &self,
        overview: &Overview,
        mode: &Mode,
        first: bool,
    ) -> Result<(HashSet<FolderName>, HashSet<FolderName>)> {
        let open: HashSet<FolderName> =
            overview.intents.keys().map(|(folder, _)| folder.clone()).collect();
        if open.is_empty() || matches!(mode, Mode::Plan) {
            return Ok((HashSet::new(), HashSet::new()));
        }
        if first {
            // The others go first.
            return Ok((open.clone(), open));
        }
        let sides: BTreeSet<Side> = overview.intents.keys().map(|(_, side)| *side).collect();
        let grace = self.account.settings.grace;
        (self.context.progress)(Progress::Waiting(grace));
        tokio::time::sleep(grace).await;
        for side in sides {
            self.calm(side, &open, grace / 5).await?;
        }
        Ok((HashSet::new(), HashSet::new()))
    }

    /// Waits until two looks at a side show the same.
    async fn calm(&self, side: Side, open: &HashSet<FolderName>, between: Duration) -> Result<()> {
        let mut before = None;
        for _ in 0..12 {
            let worker = self.pools.get(side).take().await?;
            let mut folders = worker.folders().await?.folders;
            drop(worker);
            folders.retain(|folder| open.contains(&folder.name));
            if before.as_ref() == Some(&folders) {
                break;
            }
            before = Some(folders);
            tokio::time::sleep(between).await;
        }
        Ok(())
    }

    async fn list(&self, overview: &Overview, summary: &mut Summary) -> Result<Reconciled> {
        let look = |side: Side| async move { self.pools.get(side).take().await?.folders().await };
        let (left, right) = future::try_join(look(Side::Left), look(Side::Right)).await?;
        for skipped in left.skipped.iter().chain(&right.skipped) {
            let error = Error::BadInput(skipped.clone());
            summary.problems.push(Problem { folder: None, error });
        }
        let listed: Sides<Vec<Folder>> = Sides { left: left.folders, right: right.folders };
        reconcile(overview, &listed, |name| self.account.settings.hide.folder(name))
    }

    async fn policy(&self, overview: &Overview) -> Result<Policy> {
        let mut writable = Sides { left: true, right: true };
        for side in Side::BOTH {
            let worker = self.pools.get(side).take().await?;
            *writable.get_mut(side) = !worker.capabilities().await?.read_only;
        }
        Ok(Policy {
            writable,
            keep_flagged: self.account.settings.keep_flagged,
            guard: self.account.settings.guard,
            known: overview.folders.iter().map(|row| row.messages).sum::<usize>(),
            approved: overview.approved.clone(),
        })
    }

    async fn rename(
        &self,
        renames: &[FolderStep],
        mode: &Mode,
        summary: &mut Summary,
    ) -> Result<()> {
        for step in renames {
            let FolderStep::Rename { side, from, to } = step else { continue };
            if let Mode::Only(written) = mode
                && !written.folders.contains(step)
            {
                summary.outdated += 1;
                continue;
            }
            let worker = self.pools.get(*side).take().await?;
            if let Err(error) = worker.rename_folder(from, to).await {
                summary.problems.push(Problem { folder: Some(from.clone()), error });
                continue;
            }
            summary.done.get_mut(*side).folders += 1;
            let event = self.event(
                format!("{from}/{to}/renamed/{}", self.now().unix_seconds()),
                "io.lockstep.mail.folder.renamed.v1",
                json!({"from": from, "to": to, "side": side.other()}),
            );
            self.state.record(vec![Change::RenameFolder(from.clone(), to.clone()), event]).await?;
        }
        Ok(())
    }

    /// Writes down what waits and what contradicts itself, and ends the run.
    async fn end(&self, run: i64, summary: &mut Summary) -> Result<()> {
        let now = self.now();
        let mut changes = vec![Change::Holds(summary.held.clone(), now)];
        for hold in &summary.held {
            let data =
                json!({"token": hold.token, "why": hold.why, "removals": hold.removals.len()});
            let id = format!("{}/held", hold.token);
            changes.push(self.event(id, "io.lockstep.mail.held.v1", data));
        }
        for conflict in &summary.conflicts {
            changes.push(Change::Conflict(conflict.clone(), now));
            let id = format!("{}/{}/conflict/{run}", conflict.folder, conflict.key);
            let data = serde_json::to_value(conflict).unwrap_or_default();
            changes.push(self.event(id, "io.lockstep.mail.conflict.v1", data));
        }
        let done = serde_json::to_value(&*summary).unwrap_or_default();
        changes.push(Change::ProvedBut(std::mem::take(&mut summary.unproved), now));
        changes.push(Change::EndRun(run, now, done));
        self.state.record(changes).await?;
        self.purge().await
    }

    pub(super) fn now(&self) -> Time {
        (self.context.now)()
    }

    /// Makes an event of this account.
    pub(super) fn event(
        &self,
        id: String,
        kind: &'static str,
        mut body: serde_json::Value,
    ) -> Change {
        let account = &self.account.name;
        if let Some(body) = body.as_object_mut() {
            body.insert("account".to_owned(), json!(account));
        }
        let kind = SmolStr::new_static(kind);
        Change::Event { id: format!("{account}/{id}"), at: self.now(), kind, body }
    }
}
