//! `cargo xtask dist`: what is given to people: an archive, a Debian package, and their sums.

mod ar;
mod deb;
mod tree;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{repo, step::cargo};

/// Where everything is put.
const FOLDER: &str = "target/dist";
/// More would be too much for a program that is one file.
const BYTES_MAX: u64 = 40 << 20;

/// Makes everything, of a build that takes its time or of a program that is named.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let program = match args {
        [] => build()?,
        [flag, program] if flag == "--program" => PathBuf::from(program),
        _ => bail!("cannot understand {args:?}: usage is dist [--program FILE]"),
    };
    let folder = repo::root().join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder).context(FOLDER)?;
    }
    fs::create_dir_all(&folder).context(FOLDER)?;
    let made = make(&program, &folder)?;
    sums(&folder, &made)?;
    for name in &made {
        println!("wrote {FOLDER}/{name}");
    }
    println!("wrote {FOLDER}/SHA256SUMS");
    Ok(true)
}

/// Builds the program with optimisation.
fn build() -> Result<PathBuf> {
    let args = ["build", "--profile", "ship", "--locked", "--package", "lockstep"];
    if !cargo(&args).status()?.success() {
        bail!("the program could not be built; the message stands above");
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Ok(target.join("ship/lockstep"))
}

/// Makes the archive and the package of a program, and gives their names.
fn make(program: &Path, folder: &Path) -> Result<Vec<String>> {
    let stage = folder.join("stage");
    let tree = tree::stage(program, &stage)?;
    let size = fs::metadata(&tree.program)?.len();
    println!("the program has {:.1} MB", size as f64 / 1e6);
    if size > BYTES_MAX {
        bail!("the program has {size} bytes, and {BYTES_MAX} are allowed: find out what grew");
    }
    let name = format!("lockstep-{}-{}-linux", env!("CARGO_PKG_VERSION"), env::consts::ARCH);
    let archive = format!("{name}.tar.gz");
    let portable = stage.join(&name);
    tree.portable(&portable)?;
    tar(&stage, &name, &folder.join(&archive))?;
    let package = deb::make(&tree, &stage, folder)?;
    fs::remove_dir_all(&stage)?;
    Ok(vec![archive, package])
}

/// Packs a path below a folder so that the same files give the same bytes.
fn tar(folder: &Path, path: &str, to: &Path) -> Result<()> {
    let mut command = Command::new("tar");
    command.args(["--create", "--gzip", "--sort=name", "--format=gnu"]);
    command.args(["--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"]);
    let time = env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| "0".to_owned());
    command.arg(format!("--mtime=@{time}")).env("GZIP", "-n");
    command.arg("--file").arg(to).arg("--directory").arg(folder).arg(path);
    done(&mut command)
}

/// Writes the sums of what was made.
fn sums(folder: &Path, names: &[String]) -> Result<()> {
    let output = Command::new("sha256sum").args(names).current_dir(folder).output();
    let output = output.context("cannot run sha256sum")?;
    if !output.status.success() {
        bail!("sha256sum failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(fs::write(folder.join("SHA256SUMS"), output.stdout)?)
}

/// Runs a program that must succeed.
fn done(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_owned();
    let status = command.status().with_context(|| format!("cannot run {}", name.display()))?;
    if !status.success() {
        bail!("{} failed; its own message stands above", name.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that knows the two commands that packing needs, and is small.
    const PROGRAM: &str = "#!/bin/sh\n\
        case $1 in\n\
        completions) echo \"complete $2\" ;;\n\
        man) mkdir -p \"$3\"; echo page > \"$3/lockstep.1\" ;;\n\
        esac\n";

    fn listed(args: &[&str], file: &Path) -> String {
        let (program, args) = args.split_first().unwrap();
        let output = Command::new(program).args(args).arg(file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_archive_and_the_package_have_all_that_belongs_to_them() {
        let folder = env::temp_dir().join(format!("lockstep-dist-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join("program");
        fs::write(&program, PROGRAM).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let made = make(&program, &folder).unwrap();
        sums(&folder, &made).unwrap();
        let [archive, package] = made.as_slice() else { panic!("{made:?}") };
        let all = listed(&["tar", "--list", "--file"], &folder.join(archive));
        for name in ["lockstep", "LICENSE-MIT", "man/lockstep.1", "lockstep.service"] {
            assert!(all.lines().any(|line| line.ends_with(&format!("/{name}"))), "{name}\n{all}");
        }
        assert!(all.contains("/completions/lockstep.fish"), "{all}");
        let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
        assert_eq!(sums.lines().count(), 2, "{sums}");
        let file = folder.join(package);
        assert!(fs::read(&file).unwrap().starts_with(b"!<arch>\ndebian-binary   "));
        // Where Debian's own tool is, it says what it makes of it.
        if Command::new("dpkg-deb").arg("--version").output().is_ok() {
            let info = listed(&["dpkg-deb", "--info"], &file);
            assert!(info.contains(" Package: lockstep\n"), "{info}");
            let all = listed(&["dpkg-deb", "--contents"], &file);
            for path in [
                "./usr/bin/lockstep",
                "./usr/lib/systemd/system/lockstep.service",
                "./usr/share/man/man1/lockstep.1.gz",
                "./usr/share/doc/lockstep/copyright",
            ] {
                assert!(all.lines().any(|line| line.ends_with(path)), "{path}\n{all}");
            }
            assert!(
                all.contains("-rwxr-xr-x root/root") || all.contains("-rwxr-xr-x 0/0"),
                "{all}"
            );
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
