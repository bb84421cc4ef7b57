//! Looking into folders: what each side changed, and what is new on them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures_util::{StreamExt, TryFutureExt, future, stream};
use model::Result;

use super::{Problem, Progress, folders::Work, round::Session, worker::Worker};
use crate::{
    Delta, FolderName, Key, Side, Sides, Snapshot,
    driver::At,
    limits::CALL_MESSAGES_MAX,
    plan::{Case, contents_wanted, identities_wanted},
};

/// A folder that was looked into.
pub(super) struct Examined {
    pub(super) work: Work,
    pub(super) case: Case,
    /// In which epoch the keys of each side hold.
    pub(super) at: Sides<At>,
    /// Whether what was agreed means nothing any more, so that all of it is to be forgotten.
    pub(super) dissolved: bool,
}

impl Session<'_> {
    /// Looks into folders, several at once, and then into new messages that need it.
    pub(super) async fn examine(
        &self,
        work: Vec<Work>,
        overview: &crate::state::Overview,
    ) -> (Vec<Examined>, Vec<Problem>) {
        let several = self.account.settings.connections.max(1);
        let looks = work.into_iter().map(|work| {
            let name = work.name.clone();
            self.look(work, overview).map_err(move |error| Problem { folder: Some(name), error })
        });
        // Closures that are held while others run would make this impossible to spawn.
        let looks: Vec<_> = looks.collect();
        let looked: Vec<_> = stream::iter(looks).buffer_unordered(several).collect().await;
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        for outcome in looked {
            match outcome {
                Ok(examined) => found.push(examined),
                Err(problem) => problems.push(problem),
            }
        }
        found.sort_by(|a, b| a.case.folder.cmp(&b.case.folder));
        problems.extend(self.ask(&mut found, Question::Identity).await);
        for Examined { case, .. } in &mut found {
            for side in Side::BOTH {
                let delta = case.deltas.get_mut(side);
                if delta.has_untold(&case.snapshot, side) {
                    delta.tell(&case.snapshot, side, case.identities.get(side));
                    self.account.settings.hide.messages(delta, (self.context.now)());
                }
            }
        }
        problems.extend(self.ask(&mut found, Question::Content).await);
        (found, problems)
    }

    async fn look(&self, work: Work, overview: &crate::state::Overview) -> Result<Examined> {
        let state = self.state;
        let mut snapshot = match &work.row {
            Some(_) => state.snapshot(&work.name).await?,
            None => Arc::default(),
        };
        let mut deltas = self.deltas(&work, &snapshot, false).await?;
        let ended = |side: Side| {
            let now = deltas.get(side).checkpoint.as_ref();
            work.since(side).zip(now).is_some_and(|(since, now)| since.epoch != now.epoch)
        };
        let returns = |side: Side| !deltas.get(side.other()).new.is_empty();
        let dissolved = Side::BOTH.into_iter().any(ended) || work.removed_on().is_some_and(returns);
        if dissolved {
            // Keys no longer mean what they did, so nothing is agreed: what is on both sides is
            // paired by content, and a folder that one side removed comes back as a whole.
            snapshot = Arc::default();
            deltas = self.deltas(&work, &snapshot, true).await?;
        }
        let now = (self.context.now)();
        for side in Side::BOTH {
            // What is known and only has no key yet must not be hidden.
            if !deltas.get(side).has_untold(&snapshot, side) {
                self.account.settings.hide.messages(deltas.get_mut(side), now);
            }
        }
        let at = Sides::of(|side| {
            let looked = deltas.get(side).checkpoint.as_ref();
            // A folder that is made anew has another epoch than it had.
            let known = || work.listed.get(side).as_ref().and_then(|_| work.since(side));
            let epoch = looked.or_else(known).map(|known| known.epoch.clone());
            At { folder: work.name.clone(), epoch: epoch.unwrap_or_default() }
        });
        let ghosts = overview.ghosts.get(&work.name).cloned().unwrap_or_default();
        (self.context.progress)(Progress::Examined(work.name.clone()));
        let case = Case {
            folder: work.name.clone(),
            snapshot,
            deltas,
            identities: Sides::default(),
            contents: Sides::default(),
            ghosts,
        };
        Ok(Examined { work, case, at, dissolved })
    }

    async fn deltas(
        &self,
        work: &Work,
        snapshot: &Arc<Snapshot>,
        anew: bool,
    ) -> Result<Sides<Delta>> {
        let (left, right) = future::try_join(
            self.delta(work, Side::Left, snapshot, anew),
            self.delta(work, Side::Right, snapshot, anew),
        )
        .await?;
        Ok(Sides { left, right })
    }

    async fn delta(
        &self,
        work: &Work,
        side: Side,
        snapshot: &Arc<Snapshot>,
        anew: bool,
    ) -> Result<Delta> {
        if work.listed.get(side).is_none() {
            // The folder is not there, so nothing in it is.
            let gone = (0..snapshot.pairs().len()).collect();
            return Ok(Delta { gone, ..Delta::default() });
        }
        if !anew && work.is_quiet(side) && !self.looks_again(&work.name) {
            return Ok(Delta::default());
        }
        let since = work.since(side).filter(|_| !anew).cloned();
        let worker = self.pools.get(side).take().await?;
        worker.examine(&work.name, since, snapshot).await
    }

    /// Finds out what the plan has to know of new messages.
    async fn ask(&self, found: &mut Vec<Examined>, question: Question) -> Vec<Problem> {
        let wanted = question.wanted(found);
        let several = self.account.settings.connections.max(1);
        let asks = found.iter().zip(wanted).map(|(examined, wanted)| {
            let (at, name) = (examined.at.clone(), examined.case.folder.clone());
            async move {
                let [left, right] = [Side::Left, Side::Right].map(|side| {
                    self.ask_side(at.get(side).clone(), side, wanted.get(side).clone(), question)
                });
                let outcome = future::try_join(left, right).await;
                outcome.map_err(|error| Problem { folder: Some(name), error })
            }
        });
        let asks: Vec<_> = asks.collect();
        let answers: Vec<_> = stream::iter(asks).buffered(several).collect().await;
        let (mut problems, mut failed) = (Vec::new(), HashSet::new());
        for (examined, answer) in found.iter_mut().zip(answers) {
            match answer {
                Ok((left, right)) => {
                    left.put(&mut examined.case, Side::Left);
                    right.put(&mut examined.case, Side::Right);
                }
                Err(problem) => {
                    failed.insert(examined.case.folder.clone());
                    problems.push(problem);
                }
            }
        }
        found.retain(|examined| !failed.contains(&examined.case.folder));
        problems
    }

    async fn ask_side(
        &self,
        at: At,
        side: Side,
        keys: Vec<Key>,
        question: Question,
    ) -> Result<Answer> {
        let mut answer = Answer::default();
        if keys.is_empty() {
            return Ok(answer);
        }
        let worker = self.pools.get(side).take().await?;
        for keys in keys.chunks(CALL_MESSAGES_MAX) {
            question.put(&worker, &at, keys.to_vec(), &mut answer).await?;
        }
        Ok(answer)
    }

    /// Tells whether a folder is looked at whatever its tokens say.
    pub(super) fn looks_again(&self, folder: &FolderName) -> bool {
        self.again.lock().is_ok_and(|again| again.contains(folder))
    }
}

/// What can be asked of new messages.
#[derive(Clone, Copy)]
enum Question {
    Identity,
    Content,
}

impl Question {
    fn wanted(self, found: &[Examined]) -> Vec<Sides<Vec<Key>>> {
        let cases: Vec<&Case> = found.iter().map(|examined| &examined.case).collect();
        match self {
            Self::Identity => identities_wanted(&cases),
            Self::Content => contents_wanted(&cases),
        }
    }

    async fn put(
        self,
        worker: &Worker,
        at: &At,
        keys: Vec<Key>,
        answer: &mut Answer,
    ) -> Result<()> {
        match self {
            Self::Identity => {
                let known = worker.identify(at, keys).await?;
                let known = known.into_iter().map(|known| (known.key.clone(), known));
                answer.identities.extend(known);
            }
            Self::Content => answer.contents.extend(worker.digest(at, keys).await?),
        }
        Ok(())
    }
}

#[derive(Default)]
struct Answer {
    identities: HashMap<Key, crate::Identified>,
    contents: HashMap<Key, crate::Content>,
}

impl Answer {
    fn put(self, case: &mut Case, side: Side) {
        case.identities.get_mut(side).extend(self.identities);
        case.contents.get_mut(side).extend(self.contents);
    }
}
