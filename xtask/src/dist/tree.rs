//! What belongs to the program, in one folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::done;
use crate::repo;

/// The shells that the program writes completions for, with the names of their files.
pub(super) const SHELLS: [(&str, &str); 3] =
    [("bash", "lockstep.bash"), ("zsh", "_lockstep"), ("fish", "lockstep.fish")];
/// What comes from the repository, with its names in the archive.
const PAPERS: [(&str, &str); 6] = [
    ("README.md", "README.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("UPGRADING.md", "UPGRADING.md"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("deploy/lockstep.service", "lockstep.service"),
];

/// Files that are ready to be packed.
pub(super) struct Tree {
    /// The program, without symbols.
    pub(super) program: PathBuf,
    /// A folder with a page for each command.
    pub(super) man: PathBuf,
    /// A folder with what shells read.
    pub(super) completions: PathBuf,
}

/// Puts the program, without its symbols, and what it writes about itself into a folder.
pub(super) fn stage(program: &Path, folder: &Path) -> Result<Tree> {
    let own = Tree {
        program: folder.join("lockstep"),
        man: folder.join("man"),
        completions: folder.join("completions"),
    };
    for folder in [&own.man, &own.completions] {
        fs::create_dir_all(folder)?;
    }
    fs::copy(program, &own.program).with_context(|| program.display().to_string())?;
    if fs::read(&own.program)?.starts_with(b"\x7fELF") {
        done(Command::new("strip").arg(&own.program))?;
    }
    done(Command::new(&own.program).args(["man", "--dir"]).arg(&own.man))?;
    for (shell, name) in SHELLS {
        let output = Command::new(&own.program).args(["completions", shell]).output()?;
        fs::write(own.completions.join(name), output.stdout)?;
    }
    Ok(own)
}

impl Tree {
    /// Copies everything to a folder that is packed as it is.
    pub(super) fn portable(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::copy(&self.program, folder.join("lockstep"))?;
        copy_all(&self.man, &folder.join("man"))?;
        copy_all(&self.completions, &folder.join("completions"))?;
        for (path, name) in PAPERS {
            let from = repo::root().join(path);
            fs::copy(&from, folder.join(name)).with_context(|| path.to_owned())?;
        }
        Ok(())
    }
}

/// Copies the files of a folder.
pub(super) fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}
