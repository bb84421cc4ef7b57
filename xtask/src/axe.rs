//! The rules by which the tests look for barriers in pages: axe-core, installed with npm.

use std::process::Command;

use anyhow::Result;

use crate::repo;

const VERSION: &str = "4.14.1";

/// Installs the rules where they are missing; without them one test fails and says why.
pub(crate) fn ensure() -> Result<()> {
    let folder = repo::root().join("target/axe");
    let package = folder.join("node_modules/axe-core/package.json");
    let wanted = format!("\"version\": \"{VERSION}\"");
    if std::fs::read_to_string(package).is_ok_and(|text| text.contains(&wanted)) {
        return Ok(());
    }
    println!(
        "    the tests of the dashboard need axe-core {VERSION}: installing it into target/axe"
    );
    std::fs::create_dir_all(&folder)?;
    let mut install = Command::new("npm");
    install.args([
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
    ]);
    install.arg(&folder).arg(format!("axe-core@{VERSION}"));
    if !install.status().is_ok_and(|status| status.success()) {
        println!("    it could not be installed, so that the test that needs it will fail");
    }
    Ok(())
}
