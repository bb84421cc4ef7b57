//! `lockstep backup` and `lockstep restore`: copies of a SQLite store.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use indicatif::ProgressBar;
use store::{Present, Sqlite};

use crate::{
    config::{Config, StoreAt},
    failure::Failure,
    output::Output,
};

const BACKUP_EXAMPLES: &str = "\
Makes one file that is the store as it is at one moment. A server may go on working, and the file
has its name only once all of it is on disk. Only for SQLite: PostgreSQL has pg_dump.

Examples:
  lockstep backup --store sqlite:/var/lib/lockstep/lockstep.db /backup/monday.db
  lockstep verify --store sqlite:/backup/monday.db";

const RESTORE_EXAMPLES: &str = "\
Puts the store of a backup in its place, for which no server may be running. The backup is checked
first, and stays. A store that is there is kept: without --force nothing is done, with --force it is
moved aside, to the same name with .replaced at its end.
Stop the workers too: an attempt that is made later may get the number of one that they still hold.

Examples:
  lockstep restore /backup/monday.db --store sqlite:/var/lib/lockstep/lockstep.db --force";

/// What to back up.
#[derive(Args)]
#[command(after_long_help = BACKUP_EXAMPLES)]
pub(crate) struct BackupArgs {
    /// The new file
    out: PathBuf,
    /// What to read: `sqlite:PATH` [default: that of `lockstep serve`]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
}

/// What to restore.
#[derive(Args)]
#[command(after_long_help = RESTORE_EXAMPLES)]
pub(crate) struct RestoreArgs {
    /// The file that `lockstep backup` made
    backup: PathBuf,
    /// Where to put it: `sqlite:PATH` [default: that of `lockstep serve`]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Move a store that is there aside
    #[arg(long)]
    force: bool,
}

impl BackupArgs {
    /// Gives the settings that the flags say.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("serve.store", self.store.clone())]
    }

    /// Runs the command.
    pub(crate) fn run(self, config: &Config, out: Output) -> Result<()> {
        let path = sqlite(config)?;
        let bar = bar(out)?;
        Sqlite::backup(&path, &self.out, &mut |done, all| show(&bar, done, all))?;
        bar.finish_and_clear();
        out.note(format!("{} is backed up to {}", path.display(), self.out.display()));
        Ok(())
    }
}

impl RestoreArgs {
    /// Gives the settings that the flags say.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("serve.store", self.store.clone())]
    }

    /// Runs the command.
    pub(crate) fn run(self, config: &Config, out: Output) -> Result<()> {
        let path = sqlite(config)?;
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            let context = || format!("cannot make the folder {}", folder.display());
            std::fs::create_dir_all(folder).with_context(context)?;
        }
        let present = if self.force { Present::MoveAside } else { Present::Refuse };
        let bar = bar(out)?;
        let progress = &mut |done, all| show(&bar, done, all);
        let aside = Sqlite::restore(&self.backup, &path, present, progress)?;
        bar.finish_and_clear();
        out.note(format!("{} is restored to {}", self.backup.display(), path.display()));
        if let Some(aside) = aside {
            out.note(format!("what was there is now {}", aside.display()));
        }
        Ok(())
    }
}

fn sqlite(config: &Config) -> Result<PathBuf> {
    match config.store()? {
        StoreAt::Sqlite(path) => Ok(path),
        StoreAt::Memory => Err(super::export::no_memory()),
        StoreAt::Postgres(_) => {
            let hint = "use pg_dump and pg_restore, or `lockstep export`, which takes any store";
            Err(Failure::usage("PostgreSQL makes its own backups", hint).into())
        }
    }
}

fn bar(out: Output) -> Result<ProgressBar> {
    out.bar(None, "{bar:30} {percent:>3} %  {human_pos} of {human_len} pages")
}

fn show(bar: &ProgressBar, done: u64, all: u64) {
    bar.set_length(all);
    bar.set_position(done);
}
