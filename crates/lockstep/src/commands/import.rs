//! `lockstep import`: reads what `lockstep export` wrote, or brings over what another queue holds.

mod copy;
mod file;
mod place;
mod source;

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use engine::Engine;
use serde_json::Value;

use self::{
    copy::Copy,
    place::{Place, Report},
    source::Source,
};
use crate::{
    config::{Config, StoreAt},
    failure::Failure,
    output::{Output, table},
    serve,
};

const EXAMPLES: &str = "\
Without --from it reads a file that `lockstep export` wrote, into a store that holds nothing yet,
and either all of it or nothing. No server may be running on a SQLite store meanwhile.

With --from coordinate it reads a running Coordinate server over REST and writes into a store for
which no server may be running. Namespaces, work specs with their meta, work units with status,
data and priority, leases that still run, and workers are carried over; what could not be is
counted at the end. After every page it is written down how far it got, so that the same command
goes on after an interruption. Stop the workers first: what changes meanwhile may be missed.

Examples:
  lockstep import store.ndjson --store postgres://me@db/work
  lockstep import --from coordinate http://127.0.0.1:5980 --store sqlite:queue.db
  lockstep import --from coordinate http://queue:5980 --namespace nightly --json";

/// What to bring over.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// What is at the other end
    #[arg(long, value_name = "KIND", default_value = "lockstep")]
    from: Kind,
    /// The file, where - is standard input, or the address of the REST interface
    #[arg(value_name = "FILE|URL")]
    source: String,
    /// Where to write: `sqlite:PATH` or another store [default: that of `lockstep serve`]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// File that holds how far it got [default: beside the database, with .import at its end]
    #[arg(long, value_name = "FILE")]
    progress: Option<PathBuf>,
    /// Import every namespace, also where a namespace is configured for other commands
    #[arg(long)]
    all_namespaces: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// A file of `lockstep export`
    Lockstep,
    /// Diffeo Coordinate
    Coordinate,
}

impl ImportArgs {
    /// Gives the settings that the flags say.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("serve.store", self.store.clone())]
    }

    /// Runs the command.
    pub(crate) async fn run(self, config: &Config, out: Output) -> Result<()> {
        match self.from {
            Kind::Lockstep => {
                tokio::task::block_in_place(|| file::import(&self.source, &config.store()?, out))
            }
            Kind::Coordinate => self.coordinate(config, out).await,
        }
    }

    async fn coordinate(self, config: &Config, out: Output) -> Result<()> {
        let source = Source::new(&self.source)?;
        let store = config.store()?;
        let progress = match (self.progress, &store) {
            (Some(path), _) => path,
            (None, StoreAt::Sqlite(path)) => {
                let mut name = path.clone().into_os_string();
                name.push(".import");
                name.into()
            }
            (None, StoreAt::Memory) => {
                let hint = "give --store sqlite:PATH, or the address of a PostgreSQL database";
                return Err(Failure::usage("a store in memory is gone at once", hint).into());
            }
            (None, StoreAt::Postgres(_)) => PathBuf::from("lockstep.import"),
        };
        let mut place = Place::open(progress, &self.source)?;
        if place.resumes() {
            out.note(format!("going on where {} says", place.path().display()));
        }
        let store = serve::open(&store)?;
        let clock = engine::clock_of(&store);
        let engine = Engine::new(store, Arc::clone(&clock));
        let only = config.text("namespace");
        let only = (!self.all_namespaces && !only.is_empty()).then_some(only);
        let report = Copy::new(source, engine, clock, out)?
            .run(&mut place, only)
            .await
            .with_context(|| format!("{} says how far it got", place.path().display()))?;
        place.remove()?;
        show(&report, out)
    }
}

/// Prints what was carried over and what was not.
fn show(report: &Report, out: Output) -> Result<()> {
    let json = serde_json::to_value(report)?;
    out.data(&json, || {
        let rows: Vec<Vec<String>> = json
            .as_object()
            .into_iter()
            .flatten()
            .map(|(what, count)| {
                let count =
                    if let Value::Number(count) = count { count.to_string() } else { "0".into() };
                vec![what.replace('_', " "), count]
            })
            .collect();
        let notes = "Past attempts, the times of attempts that have ended, and numbers of retries \
                     are not carried over.\nBytes in data are base64 text where Coordinate writes \
                     them so.";
        format!("{}\n{notes}", table(&["what", "count"], &rows))
    })
}
