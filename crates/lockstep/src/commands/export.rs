//! `lockstep export`: a whole store as lines of JSON.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use store::{Postgres, Snapshot, Sqlite, tables};

use crate::{
    archive::Writer,
    config::{Config, StoreAt},
    failure::Failure,
    output::Output,
};

const EXAMPLES: &str = "\
Writes every row of the store as it is at one moment; servers may go on working. What it writes is
read by `lockstep import`, also into a store of another kind: so a store moves between SQLite and
PostgreSQL. The file holds all data, and the hashes of tokens.

Examples:
  lockstep export --store sqlite:/var/lib/lockstep/lockstep.db --out store.ndjson
  lockstep export | zstd > store.ndjson.zst
  lockstep export --store postgres://me@db/work | lockstep import --store sqlite:copy.db -";

/// What to export.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    /// What to read: `sqlite:PATH` or `postgres://…` [default: that of `lockstep serve`]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// The new file to write; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

impl ExportArgs {
    /// Gives the settings that the flags say.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("serve.store", self.store.clone())]
    }

    /// Runs the command.
    pub(crate) fn run(self, config: &Config, out: Output) -> Result<()> {
        let mut snapshot = snapshot(&config.store()?)?;
        let rows = if self.out == Path::new("-") {
            export(&mut *snapshot, io::stdout().lock(), out)?.1
        } else {
            to_file(&mut *snapshot, &self.out, out)?
        };
        out.note(format!("{rows} rows are exported"));
        Ok(())
    }
}

/// Looks at a store as it is now.
pub(crate) fn snapshot(place: &StoreAt) -> Result<Box<dyn Snapshot>> {
    match place {
        StoreAt::Memory => Err(no_memory()),
        StoreAt::Sqlite(path) => Ok(Sqlite::snapshot(path)?),
        StoreAt::Postgres(url) => Ok(Postgres::snapshot(url)?),
    }
}

/// Says that only a store on disk will do.
pub(crate) fn no_memory() -> anyhow::Error {
    let hint = "give --store sqlite:PATH, or the address of a PostgreSQL database";
    Failure::usage("a store in memory belongs to one process alone", hint).into()
}

/// Writes into a file that has its name only once all of it is on disk.
fn to_file(snapshot: &mut dyn Snapshot, path: &Path, out: Output) -> Result<u64> {
    if path.exists() {
        let message = format!("{} exists already", path.display());
        return Err(Failure::usage(message, "name a new file with --out").into());
    }
    let mut partial = path.to_owned().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = write_file(snapshot, &partial, out)
        .and_then(|rows| fs::rename(&partial, path).map(|()| rows).map_err(Into::into))
        .with_context(|| format!("cannot write {}", path.display()));
    if written.is_err() {
        // What is left of it is of no use, and the error says more.
        let _ = fs::remove_file(&partial);
    }
    written
}

fn write_file(snapshot: &mut dyn Snapshot, partial: &Path, out: Output) -> Result<u64> {
    let (file, rows) = export(snapshot, File::create(partial)?, out)?;
    file.sync_all()?;
    Ok(rows)
}

/// Writes all rows, and tells how many.
fn export<W: Write>(snapshot: &mut dyn Snapshot, to: W, out: Output) -> Result<(W, u64)> {
    let bar = out.bar(None, "{bar:30} {percent:>3} %  {human_pos} of {human_len} rows  {msg}")?;
    if !bar.is_hidden() {
        let counts = tables::ALL.iter().map(|table| snapshot.count(table));
        bar.set_length(counts.sum::<model::Result<u64>>()?);
    }
    let mut writer = Writer::begin(BufWriter::with_capacity(1 << 16, to))?;
    let mut rows = 0;
    for table in tables::ALL {
        bar.set_message(table.name);
        if table.id == tables::NODE.id {
            // Nodes belong to the store that they run over, and their rows hold secrets.
            writer.end_of(table);
            continue;
        }
        let mut failed = None;
        let all = snapshot.each(table, &mut |doc| {
            rows += 1;
            bar.inc(1);
            writer.row(table, &doc).map_err(|error| {
                failed = Some(error);
                model::Error::Unavailable("the export cannot be written".to_owned())
            })
        });
        failed.map_or(Ok(()), Err)?;
        all?;
        writer.end_of(table);
    }
    bar.finish_and_clear();
    let to = writer.end()?.into_inner().map_err(|error| error.into_error())?;
    Ok((to, rows))
}
