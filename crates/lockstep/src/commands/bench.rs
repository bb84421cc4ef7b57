//! `lockstep bench`: how fast the program is on this machine.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::{
    bench::{self, Plan},
    output::Output,
    span,
};

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Measure the work queue against what this machine can do
    Queue(QueueArgs),
}

/// How to measure the work queue.
#[derive(Args)]
#[command(after_long_help = "\
Measures adding, claiming and finishing in process and over HTTP, and what a long queue costs. Each
run measures floors too: a bare HTTP echo (E), raw SQLite commits (S) and one write that reaches the
disk (F); results are medians of the runs' ratios to them. Takes up to eight minutes, about one with
--quick. The last table says which targets are met; a target that is missed is no failure.

Examples:
  lockstep bench queue
  lockstep bench queue --quick
  lockstep bench queue --only 'add by 1, 32 at once' --window 5s
  lockstep bench queue --save figures.json --dir /var/lib")]
pub(crate) struct QueueArgs {
    /// Take about a minute: short measurements, one run
    #[arg(long)]
    quick: bool,
    /// Measure so often and take medians [default: 3, with --quick 1]
    #[arg(long, value_name = "N")]
    runs: Option<NonZeroUsize>,
    /// Measure each figure of a run for so long [default: 500ms, with --quick 150ms]
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    window: Option<Duration>,
    /// Measure only the floors and figures whose name has this in it, such as `add by 100, 8 at`
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Write the figures as JSON to this file too
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Put databases in a temporary folder below this one; its disk is measured
    /// [default: the system's folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl Verb {
    /// Measures, and prints what came out.
    pub(crate) fn run(self, out: Output) -> Result<()> {
        let Self::Queue(QueueArgs { quick, runs, window, only, save, dir }) = self;
        let plan = if quick { Plan::QUICK } else { Plan::FULL };
        let plan = Plan {
            runs: runs.map_or(plan.runs, NonZeroUsize::get),
            window: window.unwrap_or(plan.window),
            only,
            ..plan
        };
        let folder = dir.unwrap_or_else(std::env::temp_dir);
        let report = bench::run(&plan, &folder, out)?;
        let json = report.to_json();
        if let Some(file) = save {
            let context = || format!("cannot write {}", file.display());
            std::fs::write(&file, format!("{json:#}\n")).with_context(context)?;
        }
        if out.json {
            out.note(report.to_text());
        }
        out.data(&json, || report.to_text())
    }
}
