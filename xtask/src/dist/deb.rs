//! The Debian package: two archives in one, written without Debian's tools.

use std::{
    env,
    fs::{self, File},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{
    ar, done, tar,
    tree::{SHELLS, Tree, copy_all},
};
use crate::repo;

/// Where a package puts the completions of each shell.
const COMPLETIONS: [&str; 3] = [
    "usr/share/bash-completion/completions/lockstep",
    "usr/share/zsh/vendor-completions/_lockstep",
    "usr/share/fish/vendor_completions.d/lockstep.fish",
];

/// Makes the package, and gives its name.
pub(super) fn make(tree: &Tree, stage: &Path, to: &Path) -> Result<String> {
    let data = stage.join("data");
    let bytes = fill(tree, &data)?;
    let control = stage.join("control");
    fs::create_dir_all(&control)?;
    let architecture = architecture()?;
    fs::write(control.join("control"), about(architecture, bytes))?;
    for name in ["control", "data"] {
        tar(&stage.join(name), ".", &stage.join(format!("{name}.tar.gz")))?;
    }
    let name = format!("lockstep_{}_{architecture}.deb", env!("CARGO_PKG_VERSION"));
    let read = |name: &str| fs::read(stage.join(name)).with_context(|| name.to_owned());
    let files = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", read("control.tar.gz")?),
        ("data.tar.gz", read("data.tar.gz")?),
    ];
    ar::write(&mut File::create(to.join(&name))?, &files)?;
    Ok(name)
}

/// Puts all files where Debian wants them, and gives how many bytes they are.
fn fill(tree: &Tree, data: &Path) -> Result<u64> {
    let put = |from: &Path, to: &str| -> Result<()> {
        let to = data.join(to);
        fs::create_dir_all(to.parent().unwrap_or(data))?;
        fs::copy(from, to).with_context(|| from.display().to_string())?;
        Ok(())
    };
    put(&tree.program, "usr/bin/lockstep")?;
    for ((_, name), to) in SHELLS.into_iter().zip(COMPLETIONS) {
        put(&tree.completions.join(name), to)?;
    }
    let man = data.join("usr/share/man/man1");
    copy_all(&tree.man, &man)?;
    let pages = fs::read_dir(&man)?.map(|page| Ok(page?.path())).collect::<Result<Vec<_>>>()?;
    done(Command::new("gzip").args(["-9", "-n"]).args(pages))?;
    let root = repo::root();
    put(&root.join("CHANGELOG.md"), "usr/share/doc/lockstep/CHANGELOG.md")?;
    let licences =
        ["LICENSE-APACHE", "LICENSE-MIT"].map(|name| fs::read_to_string(root.join(name)));
    let [apache, mit] = licences;
    let copyright = format!("Licensed under either of these.\n\n{}\n\n{}", mit?, apache?);
    fs::write(data.join("usr/share/doc/lockstep/copyright"), copyright)?;
    // A package keeps its program elsewhere than an administrator.
    let unit = fs::read_to_string(root.join("deploy/lockstep.service"))?;
    let units = data.join("usr/lib/systemd/system");
    fs::create_dir_all(&units)?;
    let unit = unit.replace("/usr/local/bin/", "/usr/bin/");
    fs::write(units.join("lockstep.service"), unit)?;
    size(data)
}

/// Adds up the files below a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        bytes += if is_folder { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// Names this machine as Debian does.
fn architecture() -> Result<&'static str> {
    match env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("no name of Debian is known for {other}: add it here"),
    }
}

/// Writes the paper that describes the package.
fn about(architecture: &str, bytes: u64) -> String {
    // What it was linked with is what it needs at least.
    let glibc = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let glibc = glibc.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let glibc = glibc.ok().and_then(|text| Some(text.trim().strip_prefix("glibc ")?.to_owned()));
    let libc = glibc.map_or_else(|| "libc6".to_owned(), |least| format!("libc6 (>= {least})"));
    format!(
        "Package: lockstep\n\
         Version: {}\n\
         Architecture: {architecture}\n\
         Maintainer: The Lockstep authors <maintainers@lockstep.invalid>\n\
         Installed-Size: {}\n\
         Depends: {libc}, libgcc-s1\n\
         Section: net\n\
         Priority: optional\n\
         Description: work queue, workflows and mail sync in one program\n \
         Leases work units to workers in any language over HTTP, publishes and runs\n \
         workflows, and keeps stores of mail in step.\n",
        env!("CARGO_PKG_VERSION"),
        bytes.div_ceil(1024),
    )
}
