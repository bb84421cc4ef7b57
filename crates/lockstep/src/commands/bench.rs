//! `lockstep bench`: how fast the program is on this machine.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::{
    bench::{self, Plan, Report},
    output::Output,
    span,
};

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Measure the work queue against what this machine can do
    #[command(after_long_help = QUEUE)]
    Queue(How),
    /// Measure CBOR-RPC beside the same work over REST
    #[command(after_long_help = RPC)]
    Rpc(How),
    /// Measure nodes that share one PostgreSQL against what that can do
    #[command(after_long_help = NODES)]
    Nodes(NodesArgs),
    /// Measure publishing, running and matching of workflows
    #[command(after_long_help = WORKFLOWS)]
    Workflows(How),
    /// Measure a sync of mail beside mbsync, which must be installed
    #[command(after_long_help = MAIL)]
    Mail(How),
}

const QUEUE: &str = "\
Measures adding, claiming and finishing in process and over HTTP, and what a long queue costs. Each
run measures floors too: a bare HTTP echo (E), raw SQLite commits (S) and one write that reaches the
disk (F); results are medians of the runs' ratios to them. Takes up to eight minutes, about one with
--quick. The last table says which targets are met; a target that is missed is no failure.

Examples:
  lockstep bench queue
  lockstep bench queue --quick
  lockstep bench queue --only 'add by 1, 32 at once' --window 5s
  lockstep bench queue --save figures.json --dir /var/lib";

const RPC: &str = "\
Measures requests a second and their latency with 1, 8 and 32 connections: workers get 1 or 100
units and finish each with a request of its own, first over REST (R) and then over CBOR-RPC, on one
server with a SQLite store. Takes about a minute.

Examples:
  lockstep bench rpc
  lockstep bench rpc --only 'by 100, 8 at once' --window 5s";

const NODES: &str = "\
Starts a PostgreSQL of its own, which must be installed, and measures one and three nodes over it:
adding, claiming and finishing, cached reads, a long queue, and an idle node. Each run measures
floors too: pgbench simple-update (P), the bare statements of a queue (R) and a bare HTTP echo (E).
Takes about fifteen minutes, some with --quick. With --steady it adds 500 units a second for so many
minutes instead, while an old snapshot is held open.

Examples:
  lockstep bench nodes
  lockstep bench nodes --quick --save figures.json
  lockstep bench nodes --only 'one node: add by 1, 32 at once' --window 5s
  lockstep bench nodes --steady 30";

const WORKFLOWS: &str = "\
Measures how long it takes to publish a workflow of 100 steps, on one server with a SQLite store and
on three nodes over a PostgreSQL of its own, which must be installed, also with one of them killed;
how many instances of one and of three steps run through in a second with a worker; how long one
takes at half load; 40 steps one after the other; a fan-out of 10,000; an event to its first unit;
and what it costs to start, to ask triggers and to compute expressions. Each run measures floors
too: one write that reaches the disk (F), a plain unit to a waiting worker (W), plain units (U), and
starts without the fence. Takes about five minutes, one with --quick.

Examples:
  lockstep bench workflows
  lockstep bench workflows --quick --save figures.json
  lockstep bench workflows --only 'instances of one step'";

const MAIL: &str = "\
Starts a Dovecot of its own, which must be installed, fills an account for this program and one for
mbsync with the same 10,000 messages, and measures a first pull, a run in which nothing changed,
and 500 changes of each kind on each side: time, processor time, memory and bytes on the wire; then
the same with 100,000 messages, except with --quick. The ratio is to mbsync in the same run. Takes
about ten minutes, two with --quick.

Examples:
  lockstep bench mail
  lockstep bench mail --quick --dir /var/tmp";

/// How to measure.
#[derive(Args)]
pub(crate) struct How {
    /// Take short measurements, and only one run
    #[arg(long)]
    quick: bool,
    /// Measure so often and take medians [default: 3, with --quick 1]
    #[arg(long, value_name = "N")]
    runs: Option<NonZeroUsize>,
    /// Measure each figure of a run for so long [default: 500ms for the queue and 1s for nodes,
    /// with --quick 150ms and 500ms]
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

/// How to measure nodes.
#[derive(Args)]
pub(crate) struct NodesArgs {
    #[command(flatten)]
    how: How,
    /// Keep up a load for so many minutes with an old snapshot held open, and measure only that
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["quick", "runs", "window", "only"])]
    steady: Option<NonZeroU64>,
}

impl Verb {
    /// Measures, and prints what came out.
    pub(crate) fn run(self, out: Output) -> Result<()> {
        match self {
            Self::Queue(how) => {
                let plan = how.plan(Plan::FULL, Plan::QUICK);
                how.give(&bench::run(&plan, &how.folder(), out)?, out)
            }
            Self::Rpc(how) => {
                let plan = how.plan(Plan::FULL, Plan::QUICK);
                how.give(&bench::rpc::run(&plan, &how.folder(), out)?, out)
            }
            Self::Workflows(how) => {
                let plan = how.plan(Plan::FULL, Plan::QUICK);
                how.give(&bench::workflows::run(&plan, &how.folder(), out)?, out)
            }
            Self::Mail(how) => {
                let plan = how.plan(Plan::FULL, Plan::QUICK);
                how.give(&bench::mail::run(&plan, &how.folder(), out)?, out)
            }
            Self::Nodes(NodesArgs { how, steady: None }) => {
                let plan = how.plan(Plan::NODES, Plan::NODES_QUICK);
                how.give(&bench::nodes::run(&plan, &how.folder(), out)?, out)
            }
            Self::Nodes(NodesArgs { how, steady: Some(minutes) }) => {
                how.give(&bench::nodes::run_steady(minutes.get(), &how.folder(), out)?, out)
            }
        }
    }
}

impl How {
    fn plan(&self, full: Plan, quick: Plan) -> Plan {
        let plan = if self.quick { quick } else { full };
        Plan {
            runs: self.runs.map_or(plan.runs, NonZeroUsize::get),
            window: self.window.unwrap_or(plan.window),
            only: self.only.clone(),
            ..plan
        }
    }

    fn folder(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    fn give(&self, report: &Report, out: Output) -> Result<()> {
        let json = report.to_json();
        if let Some(file) = &self.save {
            let context = || format!("cannot write {}", file.display());
            std::fs::write(file, format!("{json:#}\n")).with_context(context)?;
        }
        if out.json {
            out.note(report.to_text());
        }
        out.data(&json, || report.to_text())
    }
}
