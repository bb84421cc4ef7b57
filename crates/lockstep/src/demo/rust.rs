//! The Rust worker of the demo: the SDK in this binary, run as a process of its own.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::Args;
use client::worker::{Outcome, Task, TaskResult, Worker, WorkerOptions};
use model::{Data, Datum, Dict, SpecName, WorkerName, data_from_json};
use serde_json::json;

use super::count;
use crate::{config::Config, connect, signals::Stop, span};

/// How the Rust worker works.
#[derive(Args)]
pub(crate) struct DemoWorkerArgs {
    /// Name of the worker
    #[arg(long)]
    pub(crate) name: String,
    /// How long a lease is
    #[arg(long, value_parser = span::parse)]
    pub(crate) lifetime: Duration,
    /// How long to rest after each unit
    #[arg(long, value_parser = span::parse)]
    pub(crate) rest: Duration,
    /// Read files for these work specs, in place of the usual ones
    #[arg(long)]
    pub(crate) step: Vec<String>,
    /// How many units at one time
    #[arg(long)]
    pub(crate) concurrency: usize,
}

/// Works until a signal comes.
pub(crate) async fn run(args: DemoWorkerArgs, config: &Config) -> Result<()> {
    let stop = Stop::listen()?;
    let options = WorkerOptions {
        name: Some(WorkerName::new(args.name)?),
        // It asks for no units that it cannot do.
        specs: args.step.iter().map(SpecName::new).collect::<Result<_, _>>()?,
        concurrency: args.concurrency,
        lifetime: args.lifetime,
        grace: Duration::from_secs(2),
        ..WorkerOptions::standard()
    };
    let rest = args.rest;
    let worker = Worker::new(connect::remote(config, 3)?, options);
    let scans = move |task| rested(rest, scan(task));
    let worker = if args.step.is_empty() {
        worker.task("scan", scans).task("report", move |task| rested(rest, report(task)))
    } else {
        args.step.iter().fold(worker, |worker, spec| worker.task(spec, scans))
    };
    worker.run(stop.asked()).await?;
    Ok(())
}

/// Rests while it still holds the unit, so that people can watch, and a signal finds work.
async fn rested(rest: Duration, work: impl Future<Output = TaskResult>) -> TaskResult {
    let outcome = work.await;
    tokio::time::sleep(rest).await;
    outcome
}

/// Reads the file that the unit names, and hands what it found to the next stage.
async fn scan(task: Task) -> TaskResult {
    let path = text(&task.data().dict()?, "path")?;
    let file = PathBuf::from(&path);
    let figures = tokio::task::spawn_blocking(move || count::read(&file)).await??;
    let found = json!({
        "path": path,
        "bytes": figures.bytes,
        "lines": figures.lines,
        "sha256": figures.sha256,
        "by": "rust",
    });
    let mut data = found.clone();
    if let Some(data) = data.as_object_mut() {
        data.insert("output".to_owned(), json!({ task.unit().to_string(): found }));
    }
    Ok(Outcome::Finish(Some(data_from_json(&data)?)))
}

/// Says in one line what was found.
async fn report(task: Task) -> TaskResult {
    let mut dict = task.data().dict()?;
    let (bytes, lines) = (number(&dict, "bytes")?, number(&dict, "lines")?);
    let line = format!("{}: {lines} lines, {bytes} bytes", task.unit());
    dict.insert("report".to_owned(), Datum::Text(line));
    Ok(Outcome::Finish(Some(Data::from_dict(&dict)?)))
}

/// Takes a text out of a unit's data.
pub(super) fn text(dict: &Dict, key: &str) -> Result<String, String> {
    match dict.get(key) {
        Some(Datum::Text(text)) => Ok(text.clone()),
        _ => Err(format!("the unit's data has no text {key:?}")),
    }
}

/// Takes a count out of a unit's data.
pub(super) fn number(dict: &Dict, key: &str) -> Result<u64, String> {
    match dict.get(key) {
        Some(Datum::Int(number)) => u64::try_from(*number).map_err(|error| error.to_string()),
        _ => Err(format!("the unit's data has no number {key:?}")),
    }
}
