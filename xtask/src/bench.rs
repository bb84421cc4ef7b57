//! `cargo xtask bench`: measures a release build.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use crate::{repo, step::cargo};

/// Builds with optimisation, runs one measurement, and keeps its figures as JSON.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let (name, flags) = match args {
        [name, flags @ ..] if !name.starts_with('-') => (name.as_str(), flags),
        flags => ("queue", flags),
    };
    let is_known = match flags {
        [] => true,
        [flag] => flag == "--quick",
        [flag, minutes] => flag == "--steady" && minutes.parse::<u64>().is_ok(),
        _ => false,
    };
    if !is_known {
        let usage = "usage is bench [NAME] [--quick | --steady MINUTES]";
        bail!("cannot understand {args:?}: {usage}");
    }
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
