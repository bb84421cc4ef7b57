//! `lockstep worker`.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use client::{
    exec::{self, ExecOptions},
    worker::{Worker as Runner, WorkerOptions},
};
use model::{SpecName, Worker, WorkerName};
use serde_json::json;

use crate::{
    config::Config,
    connect::{self, Part, Session, pages},
    failure::at_server,
    logs,
    output::{Output, printable, table},
    signals::Stop,
    span,
    traces::Export,
    view,
};

const EXEC_HELP: &str = "\
The command is run by `sh -c` for each unit. It gets the data of the unit as JSON on standard input,
and LOCKSTEP_URL, LOCKSTEP_NAMESPACE, LOCKSTEP_SPEC, LOCKSTEP_UNIT, LOCKSTEP_ATTEMPT and
LOCKSTEP_ATTEMPT_TOKEN in its environment, and TRACEPARENT where the unit has a trace context. Exit
code 0 finishes the unit, 75 has it tried again, anything else fails it and keeps the last lines of
standard error. A JSON object on standard output becomes the unit's data; its `output` becomes units
of the next work spec.
Leases are renewed while the command runs; when one is lost, the command and all that it started are
ended. SIGINT or SIGTERM lets running commands end; a second one ends everything.

Examples:
  lockstep worker --exec 'jq \"{lines: .path | length}\"' --spec scan
  lockstep worker run --exec ./convert.sh --runtime shell --concurrency 4 --lifetime 5m
  lockstep worker list --json
  lockstep worker deactivate build-1";

/// Running a worker, or looking after workers.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(arg_required_else_help = true, after_long_help = EXEC_HELP)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    run: Option<RunArgs>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with workers.
#[derive(Subcommand)]
enum Verb {
    /// Run a command for each unit (the same as `lockstep worker --exec`)
    #[command(after_long_help = EXEC_HELP)]
    Run(RunArgs),
    /// List workers in name order, active or not
    #[command(after_long_help = "Examples:\n  lockstep worker list --json")]
    List(Part),
    /// Show one worker with its environment
    #[command(after_long_help = "Examples:\n  lockstep worker show build-1")]
    Show {
        /// Its name
        name: String,
    },
    /// Make a worker inactive; what it holds stays until its leases end
    #[command(after_long_help = "Examples:\n  lockstep worker deactivate build-1")]
    Deactivate {
        /// Its name
        name: String,
    },
}

/// How to work.
#[derive(Args)]
struct RunArgs {
    /// Run this command for each unit
    #[arg(long, value_name = "CMD", required = true)]
    exec: String,
    /// Only units of this work spec; may be given several times [default: all]
    #[arg(long, value_name = "NAME", value_parser = spec_name)]
    spec: Vec<SpecName>,
    /// Only work specs of this runtime; may be given several times [default: those without one, or
    /// any where --spec is given]
    #[arg(long, value_name = "NAME")]
    runtime: Vec<String>,
    /// How many commands run at one time [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: Option<u16>,
    /// How long a lease is; it is renewed in time while the command runs
    #[arg(long, value_name = "SPAN", default_value = "90s", value_parser = span::parse)]
    lifetime: Duration,
    /// How long a command may run [default: for ever]
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    task_max: Option<Duration>,
    /// The delay before a unit whose command exits with 75 is tried again
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span::parse)]
    retry_delay: Duration,
    /// How long running commands may go on after a signal
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = span::parse)]
    grace: Duration,
    /// Name of the worker [default: a random one]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Memory that this worker has, in GB, for work specs with `min_gb`
    #[arg(long, value_name = "GB")]
    available_gb: Option<f64>,
    /// Send spans to this collector, by OTLP over HTTP, such as http://127.0.0.1:4318
    /// [default: none are made] [env: LOCKSTEP_OTLP_ENDPOINT]
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// End when there is no unit left to claim
    #[arg(long)]
    until_empty: bool,
}

impl WorkerArgs {
    /// Gives the settings that the flags say.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Option<String>)> {
        match (&self.run, &self.verb) {
            (Some(run), _) | (None, Some(Verb::Run(run))) => {
                vec![("otlp.endpoint", run.otlp_endpoint.clone())]
            }
            _ => Vec::new(),
        }
    }

    /// Runs a worker, or looks after workers.
    pub(crate) async fn run(self, config: &Config, out: Output) -> Result<()> {
        match (self.run, self.verb) {
            (Some(run), _) | (None, Some(Verb::Run(run))) => run.work(config, out).await,
            (None, Some(verb)) => {
                super::exit_on_interrupt();
                verb.look(&Session::remote(config, out)?).await.map_err(at_server)
            }
            (None, None) => Ok(()),
        }
    }
}

impl RunArgs {
    async fn work(self, config: &Config, out: Output) -> Result<()> {
        logs::start(config)?;
        let stop = Stop::listen()?;
        let until_empty = self.until_empty;
        let lockstep = connect::remote(config, client::RemoteOptions::standard().tries_max)?;
        let task = exec::task(ExecOptions {
            command: self.exec.clone(),
            url: config.text("url").to_owned(),
            retry_delay: self.retry_delay,
            kill_grace: Duration::from_secs(5),
        });
        let export = Export::start(config, "lockstep-worker")?;
        let tracer = export.as_ref().map(Export::tracer);
        let worker = Runner::new(lockstep, self.options()?).trace_to(tracer).other(task);
        let tally = if until_empty {
            worker.run_until_empty(stop.asked()).await
        } else {
            worker.run(stop.asked()).await
        };
        if let Some(export) = export {
            export.end().await;
        }
        let tally = tally?;
        let shown = json!({
            "finished": tally.finished,
            "failed": tally.failed,
            "retried": tally.retried,
            "given_back": tally.given_back,
            "lost": tally.lost,
        });
        let counts = [tally.finished, tally.failed, tally.retried, tally.given_back, tally.lost];
        out.data(&shown, || {
            let heads = ["finished", "failed", "retried", "given back", "lost"];
            table(&heads, &[counts.iter().map(ToString::to_string).collect()])
        })
    }

    fn options(self) -> Result<WorkerOptions> {
        let any_runtime = !self.runtime.is_empty() || !self.spec.is_empty();
        let mut options = WorkerOptions {
            name: self.name.map(WorkerName::new).transpose()?,
            specs: self.spec,
            runtimes: if any_runtime { self.runtime } else { vec![String::new()] },
            available_gb: self.available_gb,
            lifetime: self.lifetime,
            task_max: self.task_max,
            grace: self.grace,
            ..WorkerOptions::standard()
        };
        if let Some(concurrency) = self.concurrency {
            options.concurrency = usize::from(concurrency);
        }
        Ok(options)
    }
}

fn spec_name(text: &str) -> model::Result<SpecName> {
    SpecName::new(text)
}

impl Verb {
    async fn look(self, session: &Session) -> Result<()> {
        match self {
            Self::List(part) => list(part, session).await,
            Self::Show { name } => show(WorkerName::new(name)?, session).await,
            Self::Deactivate { name } => {
                let worker = session.lockstep.worker(WorkerName::new(name)?);
                // Deactivating an unknown worker would create it.
                worker.get().await?;
                worker.deactivate().await?;
                show(worker.name().clone(), session).await
            }
            Self::Run(_) => Ok(()),
        }
    }
}

async fn list(part: Part, session: &Session) -> Result<()> {
    let after = part.after.map(WorkerName::new).transpose()?;
    let key = |worker: &Worker| worker.name.clone();
    let fetch = async |page| session.lockstep.workers(page).await;
    let (workers, next) = pages(part.limit, after, key, fetch).await?;
    let shown: Vec<_> = workers.iter().map(view::worker).collect();
    let next = next.as_ref().map(WorkerName::as_str);
    session.out.data(&json!({"workers": shown, "next": next}), || workers_table(&workers))
}

async fn show(name: WorkerName, session: &Session) -> Result<()> {
    let worker = session.lockstep.worker(name).get().await?;
    let shown = view::worker(&worker);
    session.out.data(&shown, || {
        let data = shown.get("data").cloned().unwrap_or_default();
        let data = serde_json::to_string_pretty(&data).unwrap_or_default();
        format!("{}\n{}", workers_table(&[worker]), printable(&data))
    })
}

fn workers_table(workers: &[Worker]) -> String {
    let row = |worker: &Worker| {
        let parent = worker.parent.as_ref().map_or("-", |name| name.as_str());
        vec![
            printable(worker.name.as_str()),
            if worker.active { "active" } else { "inactive" }.to_owned(),
            printable(&worker.mode),
            printable(parent),
            worker.last_update.to_string(),
            worker.expiration.to_string(),
        ]
    };
    let heads = ["name", "state", "mode", "parent", "last update", "expiration"];
    table(&heads, &workers.iter().map(row).collect::<Vec<_>>())
}
