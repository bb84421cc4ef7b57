//! `cargo xtask bench`: measures a release build.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use crate::{repo, step::cargo};

/// Builds with optimisation, runs one measurement, and keeps its figures as JSON.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let (flags, names): (Vec<&String>, Vec<&String>) =
        args.iter().partition(|arg| arg.starts_with('-'));
    if names.len() > 1 || flags.iter().any(|flag| *flag != "--quick") {
        bail!("cannot understand {args:?}: usage is bench [NAME] [--quick]");
    }
    let name = names.first().map_or("queue", |name| name.as_str());
    let folder = Path::new("target").join("bench");
    fs::create_dir_all(repo::root().join(&folder))?;
    let file = folder.join(format!("{name}.json"));

    let mut command = cargo(&["run", "--release", "--quiet", "--package", "lockstep", "--"]);
    // The disk that is measured is the one that this repository is on.
    command.args(["bench", name, "--dir"]).arg(&folder).arg("--save").arg(&file).args(flags);
    let done = command.current_dir(repo::root()).status()?.success();
    if done {
        println!("wrote {}", file.display());
    }
    Ok(done)
}
