//! What the TypeScript SDK is built with: Node, npm, and the packages of its lock file.

use std::{fs, process::Command};

use anyhow::Result;

use crate::{repo, tools::answers};

/// Where the SDK is.
pub(crate) const FOLDER: &str = "sdk/typescript";
/// What npm writes when it has installed what the lock file names.
const INSTALLED: &str = "node_modules/.package-lock.json";
/// The oldest Node that the SDK is for.
const NODE_MIN: u32 = 18;

/// Tells whether Node and npm are there.
pub(crate) fn is_there() -> bool {
    let mut npm = Command::new("npm");
    npm.arg("--version");
    version().is_some_and(|version| version >= NODE_MIN) && answers(npm)
}

/// Gives the first part of the version of Node.
fn version() -> Option<u32> {
    let output = Command::new("node").arg("--version").output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Installs the packages where they are missing; without them one step fails and says why.
pub(crate) fn ensure() -> Result<()> {
    let folder = repo::root().join(FOLDER);
    let time = |name: &str| fs::metadata(folder.join(name)).and_then(|it| it.modified()).ok();
    if time(INSTALLED).is_some_and(|made| Some(made) >= time("package-lock.json")) {
        return Ok(());
    }
    println!("    the TypeScript SDK is built with tsc: installing it into {FOLDER}/node_modules");
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]);
    if !npm.current_dir(&folder).status().is_ok_and(|status| status.success()) {
        println!("    it could not be installed (the message stands above), so that the step");
        println!("    of the TypeScript SDK will fail");
    }
    Ok(())
}
