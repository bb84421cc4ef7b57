//! The desk of an account: where its rounds are made, one after another over the same connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use client::{Lockstep, worker::Outcome};
use mail::{
    engine::{Context, Mode, Problem, Session},
    state::{Change, State},
};
use model::{
    AddUnits, Data, MailAccount, NewUnit, QueueCommand, SetUnits, SpecRef, UnitChange, UnitFilter,
    UnitMeta, UnitName, UnitStatus, data_from_json, data_to_json,
};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::{closed, keeper, later, step};
use crate::commands::mail::{
    place::{self, now},
    settings::AccountFile,
    vault::Vault,
};

/// Units that may wait at a desk: a worker has one at a time, and perhaps one that it gave up.
const ASKS_MAX: usize = 4;
/// The unit that is added when a side tells of a change.
const WOKEN: &[u8] = b"woken";
/// Rounds that are kept when they have ended, and how many more there are before some go.
const KEPT: usize = 100;
const KEPT_MORE: u64 = 50;

/// A unit to be done.
struct Ask {
    unit: UnitName,
    data: Data,
    reply: oneshot::Sender<Result<Outcome>>,
}

/// A way to the desk of an account. When it is gone, the desk closes.
pub(super) struct Desk {
    asks: mpsc::Sender<Ask>,
}

impl Desk {
    /// Sets up the desk; nothing is connected before there is something to do.
    pub(super) fn start(
        lockstep: Lockstep,
        name: &str,
        file: AccountFile,
        interval: Duration,
        vault: Vault,
    ) -> Self {
        let (asks, inbox) = mpsc::channel(ASKS_MAX);
        let name = name.to_owned();
        let keeping = Keeping { lockstep, name, file, interval, vault, inbox, failures: 0 };
        tokio::spawn(keeping.run());
        Self { asks }
    }

    /// Has a unit done; dropping this gives it up.
    pub(super) async fn ask(&self, unit: UnitName, data: Data) -> Result<Outcome> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask { unit, data, reply }).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

struct Keeping {
    lockstep: Lockstep,
    name: String,
    file: AccountFile,
    interval: Duration,
    /// Who opens the secrets that the file names.
    vault: Vault,
    inbox: mpsc::Receiver<Ask>,
    /// Times that something has failed since something has not.
    failures: u32,
}

/// An account whose state is at hand.
struct Opened {
    account: mail::engine::Account,
    state: State,
    /// The last part of its state that is known here.
    position: Arc<AtomicU64>,
}

impl Keeping {
    async fn run(mut self) {
        let mut next = self.inbox.recv().await;
        while let Some(ask) = next {
            next = match self.open().await {
                Ok(opened) => self.sit(&opened, ask).await,
                Err(error) => {
                    self.fail(ask.reply, &error);
                    self.inbox.recv().await
                }
            };
        }
    }

    fn fail(&mut self, reply: oneshot::Sender<Result<Outcome>>, error: &anyhow::Error) {
        tracing::warn!(account = self.name, "a round failed: {error:#}");
        self.failures += 1;
        // Whoever asked may have gone.
        let _gone = reply.send(Ok(later(self.failures, self.interval, error)));
    }

    async fn open(&self) -> Result<Opened> {
        let (database, last) = keeper::load(&self.lockstep, &self.name).await?;
        let known = keeper::account(&self.lockstep, &self.name).await?;
        let position = Arc::new(AtomicU64::new(last));
        let keeper = keeper::StoreKeeper::new(self.lockstep.clone(), &known, &position);
        let state = State::start_kept(database, Box::new(keeper))?;
        // What proves who the user is may come from a command that takes its time.
        let (name, file) = (self.name.clone(), self.file.clone());
        let given = self.vault.give(&file).await?;
        let account = move || place::account(&name, &file, &given);
        let account = tokio::task::spawn_blocking(account).await??;
        Ok(Opened { account, state, position })
    }

    /// Does what is asked for over the same connections, until something fails or another node has
    /// gone on with the account; gives what is to be done then.
    async fn sit(&mut self, opened: &Opened, first: Ask) -> Option<Ask> {
        let context = Context { now: &now, progress: &|_| {} };
        let session = Session::new(&opened.account, &opened.state, &context);
        let mut next = Some(first);
        let mut rounds = 0_u64;
        while let Some(ask) = next.take() {
            let known = match keeper::account(&self.lockstep, &self.name).await {
                Ok(known) => known,
                Err(error) => {
                    self.fail(ask.reply, &error.into());
                    return self.inbox.recv().await;
                }
            };
            if known.position != opened.position.load(Ordering::SeqCst) {
                return Some(ask);
            }
            let Ask { unit, data, mut reply } = ask;
            let about = (opened, &known);
            let served = serve(&self.lockstep, &session, about, (&unit, &data));
            let outcome = tokio::select! {
                outcome = served => outcome,
                // Its lease is lost, or the worker ends: what was begun is found by the next round.
                () = reply.closed() => return self.inbox.recv().await,
            };
            match outcome {
                Ok(outcome) => {
                    self.failures = 0;
                    // Whoever asked may have gone.
                    let _gone = reply.send(Ok(outcome));
                }
                Err(error) => {
                    self.fail(reply, &error);
                    return self.inbox.recv().await;
                }
            }
            if rounds.is_multiple_of(KEPT_MORE) {
                self.tidy().await;
            }
            rounds += 1;
            next = self.wait(&session).await;
        }
        None
    }

    /// Waits for the next unit; meanwhile a change of a side makes a round due at once.
    async fn wait(&mut self, session: &Session<'_>) -> Option<Ask> {
        let watch = session.wait(self.interval);
        tokio::select! {
            biased;
            ask = self.inbox.recv() => return ask,
            woken = watch => match woken {
                Ok(true) => {
                    if let Err(error) = self.wake().await {
                        tracing::debug!(account = self.name, %error, "a change waits for its time");
                    }
                }
                Ok(false) => {}
                Err(error) => tracing::debug!(account = self.name, %error, "cannot watch"),
            },
        }
        self.inbox.recv().await
    }

    fn spec(&self) -> model::Result<SpecRef> {
        Ok(SpecRef { name: MailAccount::spec_of(&self.name)?, id: None })
    }

    async fn wake(&self) -> model::Result<()> {
        let name = UnitName::new(WOKEN)?;
        let (data, meta) = (Data::default(), UnitMeta::default());
        let units = vec![NewUnit { name, data, meta, delay: None }];
        let add = QueueCommand::AddUnits(AddUnits { spec: self.spec()?, units });
        let write = model::Write::one(self.lockstep.namespace(), add);
        self.lockstep.backend().write(write).await.map(drop)
    }

    /// Forgets rounds that have ended long ago.
    async fn tidy(&self) {
        if let Err(error) = self.forget_rounds().await {
            tracing::debug!(account = self.name, %error, "old rounds are still there");
        }
    }

    async fn forget_rounds(&self) -> model::Result<()> {
        let spec = self.spec()?;
        let ended = vec![UnitStatus::Finished, UnitStatus::Failed];
        let filter = UnitFilter { statuses: Some(ended), ..UnitFilter::default() };
        let query = model::Query::Units(self.lockstep.namespace().clone(), spec.clone(), filter);
        let model::Answer::Units(units, _) = self.lockstep.backend().read(query, 0).await?.answer
        else {
            return Ok(());
        };
        // Names of rounds are times, so the first are the oldest.
        let is_round = |name: &UnitName| name.as_bytes().first().is_some_and(u8::is_ascii_digit);
        let mut names: Vec<UnitName> =
            units.into_iter().map(|unit| unit.name).filter(is_round).collect();
        names.truncate(names.len().saturating_sub(KEPT));
        if names.is_empty() {
            return Ok(());
        }
        let filter = UnitFilter { names: Some(names), ..UnitFilter::default() };
        let delete = SetUnits { spec, filter, change: UnitChange::Delete };
        let write = model::Write::one(self.lockstep.namespace(), QueueCommand::SetUnits(delete));
        self.lockstep.backend().write(write).await.map(drop)
    }
}

/// Does one unit.
async fn serve(
    lockstep: &Lockstep,
    session: &Session<'_>,
    (opened, known): (&Opened, &MailAccount),
    (unit, data): (&UnitName, &Data),
) -> Result<Outcome> {
    if step::is_step(unit) {
        return step::serve(lockstep, session, data_to_json(data)).await;
    }
    let approve = |token: &String| Change::Approve(token.as_str().into());
    opened.state.record(known.approved.iter().map(approve).collect()).await?;
    let summary = session.round(&Mode::Apply).await?;
    opened.state.rest(now()).await?;
    if let Some(problem) = summary.problems.iter().find(|problem| problem.may_pass()) {
        return Err(failed(problem));
    }
    for problem in &summary.problems {
        tracing::warn!(account = known.name, "{:#}", failed(problem));
    }
    Ok(Outcome::Finish(Some(data_from_json(&json!({ "round": keeper::told(&summary) }))?)))
}

fn failed(problem: &Problem) -> anyhow::Error {
    let error = anyhow::Error::from(problem.error.clone());
    match &problem.folder {
        Some(folder) => error.context(format!("folder {folder}")),
        None => error,
    }
}
