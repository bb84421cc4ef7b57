//! `lockstep demo`: a real server, a real store, real files, and workers in three languages.

mod count;
mod crew;
mod mail;
mod progress;
mod report;
mod rust;
mod scene;
mod workflow;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use client::{Lockstep, Remote, RemoteOptions};
use model::{
    Attempt, Command, Namespace, NewUnit, Page, QueueCommand, SpecName, UnitMeta, UnitName,
    WorkerName, data_from_json, limits,
};
use serde_json::{Value, json};
use tokio::time::sleep;

pub(crate) use rust::{DemoWorkerArgs, run as worker};

use self::{
    count::{Found, Walk},
    crew::Crew,
    progress::Progress,
    report::Report,
};
use crate::{
    config::StoreAt,
    failure::Failure,
    files, flow,
    front::Front,
    output::Output,
    serve,
    signals::{INTERRUPTED, Stop},
    steps::Means,
};

const FLOW: &str = include_str!("../../../../examples/flows/files.yaml");
/// The worker that is killed, and how long its leases are.
const VICTIM: &str = "rust-to-be-killed";
const VICTIM_LEASE: Duration = Duration::from_secs(3);
/// How long nothing may happen before the demo gives up.
const STALLED: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What to process.
#[derive(Args)]
#[command(after_long_help = "\
Starts a server on a free port with a SQLite store in a temporary folder, and loads the flow of
examples/flows/files.yaml: stage `scan` reads every file, and its output becomes the units of stage
`report`. A shell, a Python and a Rust worker do the work; one more is ended with SIGKILL while it
holds units, which are then offered again. Then it publishes the workflow of examples/demo, which
events start and whose steps these workers do, and a second version of it while instances of the
first are under way. At last a Maildir with the messages of examples/mail is kept in step with a
Dovecot of the demo's own, or with a second Maildir where no Dovecot 2.3 is installed; a workflow
files the invoices among new mail, and a large deletion waits for approval. All figures are checked
against a direct count; exit code 1 says that something differed.

Examples:
  lockstep demo
  lockstep demo --dir /usr/share/doc --keep
  lockstep demo --json")]
pub(crate) struct DemoArgs {
    /// Process the files below this folder, without .git and target
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    dir: PathBuf,
    /// Stay up with the dashboard until interrupted, and keep the temporary folder with the
    /// database and the workers' logs
    #[arg(long)]
    keep: bool,
}

/// Runs the demo, and cleans up after it also when it is interrupted.
pub(crate) async fn run(args: DemoArgs, out: Output) -> Result<ExitCode> {
    let begun = Instant::now();
    let stop = Stop::listen()?;
    let dir = args.dir.clone();
    let walk = tokio::task::spawn_blocking(move || count::walk(&dir)).await??;
    for skipped in &walk.skipped {
        out.note(format!("left out {skipped}"));
    }
    if walk.files.is_empty() {
        let message = format!("there is no file to read below {}", args.dir.display());
        return Err(Failure::usage(message, "name another folder with --dir").into());
    }
    let folder = tempfile::Builder::new().prefix("lockstep-demo-").tempdir()?;
    let database = folder.path().join("demo.db");
    let store = serve::open(&StoreAt::Sqlite(database.clone()))?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let grace = Duration::from_secs(5);
    let options = server::Options { listen, open: true, rate: server::Rate::Usual, grace };
    let server =
        serve::start(store, options, (serve::Cache::Alone, Front::default()), Means::default())
            .await?;
    let url = format!("http://{}", server.address());
    out.note(format!("A server is at {url}, with its store in {}.", database.display()));

    let mut crew = Crew::new(&url, folder.path())?;
    let outcome = tokio::select! {
        outcome = process(&url, &walk, &mut crew, begun, out) => Some(outcome),
        () = stop.asked() => None,
    };
    let ended_early = crew.stop().await;
    let done = match outcome {
        Some(Ok(mut report)) => {
            report.differences.extend(ended_early);
            let printed = report.print(out);
            if args.keep {
                look_around(&url, out).await?;
            }
            Some(printed)
        }
        Some(Err(error)) => Some(Err(error)),
        None => None,
    };
    server.stop().await?;
    if args.keep {
        out.note(format!("kept: {}", folder.keep().display()));
    }
    match done {
        Some(done) => done.map(|()| ExitCode::SUCCESS),
        None => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// Leaves the server up for whoever wants to look at what it holds, until it is interrupted.
async fn look_around(url: &str, out: Output) -> Result<()> {
    let stop = Stop::listen()?;
    out.note(format!("\nThe dashboard is at {url} until you press Ctrl-C. For example:"));
    for (what, page) in [
        ("the files as work units", "-/spec/scan".to_owned()),
        ("the worker that was killed", format!("-/worker/{VICTIM}")),
        ("a workflow in two versions", format!("{}/definition/count-file", workflow::NAMESPACE)),
        ("how they were published", format!("{}/runs", workflow::NAMESPACE)),
        ("the mail that started workflows", format!("{}/instances", mail::NAMESPACE)),
    ] {
        out.note(format!("  {what:<32} {url}/ui/ns/{page}"));
    }
    stop.asked().await;
    Ok(())
}

/// Has all files processed, and checks what came of it.
async fn process(
    url: &str,
    walk: &Walk,
    crew: &mut Crew,
    begun: Instant,
    out: Output,
) -> Result<Report> {
    let remote = Remote::new(url, RemoteOptions::standard())?;
    let lockstep = Lockstep::new(Arc::new(remote), Namespace::empty());
    out.note("\n1. Work: each file is a unit, and workers in three languages take them.");
    load_flow(&lockstep).await?;
    // The others rest a little after each unit, so that all of them get some.
    let files = u32::try_from(walk.files.len()).unwrap_or(u32::MAX);
    let rest = Duration::from_millis(20).min(Duration::from_secs(6) / files);
    crew.start_rust(VICTIM, VICTIM_LEASE, Duration::from_millis(300), 4)?;
    add_units(&lockstep, &walk.files).await?;
    out.note(format!("added {} units to stage scan, one for each file", walk.files.len()));
    wait_for_victim(&lockstep).await?;
    crew.start_shell(out)?;
    crew.start_python(out)?;
    crew.start_rust("rust", Duration::from_secs(60), rest, 2)?;
    let held = watch(&lockstep, walk.files.len() as u64, crew, out).await?;
    let mut report = Report::gather(&lockstep, walk, &held).await?;
    out.note("\n2. Workflows: events start them, and the same workers do their steps.");
    report.add(workflow::play(url, walk, crew, out).await?);
    out.note("\n3. Mail: two sides are kept in step, and new mail starts a workflow.");
    report.add(mail::play(url, out).await?);
    out.note("");
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

async fn load_flow(lockstep: &Lockstep) -> Result<()> {
    let specs = flow::specs(files::yaml_text(FLOW, "the demo's flow")?, None)?;
    let set = |spec| -> Result<Command> {
        Ok(QueueCommand::SetSpec { data: data_from_json(&Value::Object(spec))? }.into())
    };
    lockstep.write(specs.into_iter().map(set).collect::<Result<_>>()?).await?;
    Ok(())
}

async fn add_units(lockstep: &Lockstep, files: &[Found]) -> Result<()> {
    let scan = lockstep.spec(SpecName::new("scan")?);
    for batch in files.chunks(limits::BATCH_MAX) {
        let unit = |found: &Found| -> Result<NewUnit> {
            Ok(NewUnit {
                name: UnitName::new(found.name.as_bytes())?,
                data: data_from_json(&json!({ "path": found.path }))?,
                meta: UnitMeta::default(),
                delay: None,
            })
        };
        scan.add(batch.iter().map(unit).collect::<Result<_>>()?).await?;
    }
    Ok(())
}

async fn held_by_victim(lockstep: &Lockstep) -> Result<Vec<Attempt>> {
    let victim = lockstep.worker(WorkerName::new(VICTIM)?);
    match victim.active_attempts(Page::default()).await {
        Err(model::Error::NoSuchWorker(_)) => Ok(Vec::new()),
        attempts => Ok(attempts?),
    }
}

/// Waits until the worker that is to be killed has claimed something, however few files there are.
async fn wait_for_victim(lockstep: &Lockstep) -> Result<()> {
    let begun = Instant::now();
    while held_by_victim(lockstep).await?.is_empty() {
        if begun.elapsed() > STALLED {
            return Err(stalled("no worker claimed anything"));
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// Shows progress until all units have ended, and kills one worker half-way; gives the attempts
/// that it held.
async fn watch(
    lockstep: &Lockstep,
    files: u64,
    crew: &mut Crew,
    out: Output,
) -> Result<Vec<Attempt>> {
    let scan = lockstep.spec(SpecName::new("scan")?);
    let report = lockstep.spec(SpecName::new("report")?);
    let mut progress = Progress::new(files, out)?;
    let mut held = Vec::new();
    let mut last_change = Instant::now();
    loop {
        // In this order: a unit of the first stage ends in the moment when its follower is added.
        let (first, second) = (scan.get().await?.counts, report.get().await?.counts);
        if progress.show(&first, &second) {
            last_change = Instant::now();
        }
        let ended = |counts: &model::Counts| counts.finished + counts.failed;
        if ended(&first) == files && ended(&second) == second.total() {
            progress.end();
            return Ok(held);
        }
        let is_time = first.finished * 2 >= files || first.available == 0;
        if held.is_empty() && is_time && !held_by_victim(lockstep).await?.is_empty() {
            crew.kill(VICTIM).await?;
            // What it had sent before may still arrive; what it holds after that it holds for good.
            sleep(LOOK_AGAIN).await;
            held = held_by_victim(lockstep).await?;
            let names: Vec<_> = held.iter().map(|attempt| attempt.unit.to_string()).collect();
            progress.note(&format!(
                "ended worker {VICTIM} with SIGKILL while it held {} units ({}); they are offered \
                 again when their leases of {VICTIM_LEASE:?} end",
                names.len(),
                names.join(", "),
            ));
        }
        if last_change.elapsed() > STALLED {
            progress.end();
            return Err(stalled("the workers stopped getting on")).context(crew.logs());
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn stalled(what: &str) -> anyhow::Error {
    let hint = "run it again with --keep and look at the logs in the kept folder";
    Failure::differs(format!("{what} for {STALLED:?}"), hint).into()
}
