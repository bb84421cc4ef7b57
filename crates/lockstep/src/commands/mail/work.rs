//! Mail as work: accounts whose rounds are units, made by a server itself or by
//! `lockstep mail worker`.
//!
//! Each account of the folder is opened in its namespace, which gives it a continuous work spec.
//! A worker with a lease on one of its units makes the round; so it is made by one node at a time,
//! tried again by another when that one is gone, and seen and steered like all work.

mod desk;
mod keeper;
mod step;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use client::{
    Lockstep,
    worker::{Outcome, Task, TaskResult, Worker, WorkerOptions},
};
use model::{Backend, Error, MailAccount, MailCommand, Namespace, Write};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    settings::{self, AccountFile},
    vault::Vault,
};
use crate::{config::Config, connect, logs, output::Output, signals::Stop};
use desk::Desk;

/// Time between two looks into the folder.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long a round that is under way may take to end when its node stops.
const GRACE: Duration = Duration::from_secs(10);
/// Pause after a server could not be reached.
const ERROR_PAUSE: Duration = Duration::from_secs(2);

/// Which accounts to work on.
#[derive(Args)]
pub(crate) struct WorkerArgs {
    /// Folder with the files of the accounts [default: where `mail account add` writes them]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl WorkerArgs {
    /// Makes rounds for a server until a signal comes.
    pub(crate) async fn run(self, config: &Config, out: Output) -> Result<()> {
        logs::start(config)?;
        let stop = Stop::listen()?;
        let folder = self.folder.map_or_else(settings::accounts, Ok)?;
        let tries = client::RemoteOptions::standard().tries_max;
        let backend = Arc::clone(connect::remote(config, tries)?.backend());
        let (ended, ending) = watch::channel(false);
        out.note(format!("rounds for {}: {}", config.text("url"), folder.display()));
        let rounds = tokio::spawn(run(backend, folder, ending, Vault::Nobody));
        stop.asked().await;
        ended.send_replace(true);
        rounds.await.context("the rounds have failed")
    }
}

/// Makes the rounds of all accounts of a folder until it is told to stop, and then lets those that
/// are under way end.
pub(crate) async fn run(
    backend: Arc<dyn Backend>,
    folder: PathBuf,
    mut stop: watch::Receiver<bool>,
    vault: Vault,
) {
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    loop {
        let files = read_all(&folder);
        let gone = |name: &String, one: &mut Running| {
            files.get(name).is_none_or(|text| *text != one.text) || one.task.is_finished()
        };
        let ended: Vec<Running> = running.extract_if(.., gone).map(|(_, one)| one).collect();
        for one in ended {
            one.end().await;
        }
        for (name, text) in files {
            if running.contains_key(&name) {
                continue;
            }
            match parse(&folder, &name, &text) {
                Ok(file) => {
                    let one = Running::start((&backend, &vault), &name, file, text);
                    running.insert(name, one);
                }
                Err(error) => tracing::warn!(account = name, "{error:#}"),
            }
        }
        tokio::select! {
            // Sleeps because nothing tells of changes in a folder that may be mounted.
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    // All are told at once, and then waited for.
    for one in running.values() {
        one.stop.send_replace(true);
    }
    for (_, one) in running {
        one.end().await;
    }
}

/// Reads the texts of all account files; what cannot be read now may be at the next look.
fn read_all(folder: &Path) -> BTreeMap<String, String> {
    let names = match settings::names_in(folder) {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!("{error:#}");
            return BTreeMap::new();
        }
    };
    let read = |name: String| {
        let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).ok()?;
        Some((name, text))
    };
    names.into_iter().filter_map(read).collect()
}

fn parse(folder: &Path, name: &str, text: &str) -> Result<AccountFile> {
    settings::check_name(name)?;
    settings::parse(&folder.join(format!("{name}.toml")), text)
}

/// An account that is worked on.
struct Running {
    text: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(
        (backend, vault): (&Arc<dyn Backend>, &Vault),
        name: &str,
        file: AccountFile,
        text: String,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        let (backend, vault, name) = (Arc::clone(backend), vault.clone(), name.to_owned());
        let task = tokio::spawn(async move {
            let mut stopped = stopping.clone();
            let worked = async {
                let place = (&backend, &vault);
                while let Err(error) = work(place, &name, &file, stopping.clone()).await {
                    tracing::warn!(account = name, "{error:#}; trying again");
                    // Sleeps because the server that could not be reached is given time.
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            };
            let mut worked = std::pin::pin!(worked);
            let asked = async {
                // A sender that is gone says the same.
                let _stopped = stopped.wait_for(|stop| *stop).await;
            };
            tokio::select! {
                () = &mut worked => {}
                // A worker that is under way ends in order by itself.
                () = asked => drop(tokio::time::timeout(GRACE * 2, worked).await),
            }
        });
        Self { text, stop, task }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the rounds of an account have failed");
        }
    }
}

/// Opens an account and works on its units until it is told to stop.
async fn work(
    (backend, vault): (&Arc<dyn Backend>, &Vault),
    name: &str,
    file: &AccountFile,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let namespace = Namespace::new(file.namespace.as_str())?;
    let interval = file.interval()?;
    let open = MailCommand::Open { account: name.to_owned(), interval };
    backend.write(Write::one(&namespace, open)).await?;
    let lockstep = Lockstep::new(Arc::clone(backend), namespace);
    let spec = MailAccount::spec_of(name)?;
    let options = WorkerOptions {
        specs: vec![spec],
        runtimes: vec![flow::instance::BUILTIN_RUNTIME.to_owned()],
        concurrency: 1,
        lifetime: file.lease()?,
        grace: GRACE,
        ..WorkerOptions::standard()
    };
    let desk = Arc::new(Desk::start(lockstep.clone(), name, file.clone(), interval, vault.clone()));
    let worker = Worker::new(lockstep, options).other(move |task| {
        let desk = Arc::clone(&desk);
        async move { serve(&desk, task).await }
    });
    let stopped = async {
        // A sender that is gone says the same.
        let _stopped = stop.wait_for(|stop| *stop).await;
    };
    worker.run(stopped).await?;
    Ok(())
}

/// Has a unit done at the desk of its account.
async fn serve(desk: &Desk, task: Task) -> TaskResult {
    let cancelled = task.cancelled();
    tokio::select! {
        outcome = desk.ask(task.unit().clone(), task.data().clone()) => Ok(outcome?),
        reason = cancelled => Err(Box::new(reason)),
    }
}

/// Says that what was asked cannot be done now, and is to be tried again.
fn later(failures: u32, interval: Duration, error: &anyhow::Error) -> Outcome {
    // The same server is asked less and less often, but never given up.
    let pause = Duration::from_secs(1 << failures.min(8)).min(interval);
    let data = serde_json::json!({ "error": format!("{error:#}") });
    Outcome::Retry(pause, model::data_from_json(&data).ok())
}

/// Says that a desk has closed.
fn closed() -> Error {
    Error::Unavailable("the account is no longer worked on here".to_owned())
}
