//! `lockstep man`.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};

use crate::{args::Cli, output};

/// Which pages go where.
#[derive(Args)]
#[command(after_long_help = "Examples:\n  lockstep man | man -l -\n  \
    lockstep man --dir ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Write the pages of all commands to this folder
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl ManArgs {
    /// Runs the command.
    pub(crate) fn run(self) -> Result<()> {
        let Some(folder) = self.dir else {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            return output::raw(&page);
        };
        let context = || format!("cannot write pages to {}", folder.display());
        fs::create_dir_all(&folder).with_context(context)?;
        clap_mangen::generate_to(Cli::command(), &folder).with_context(context)
    }
}
