//! The keys for secrets: read from a file or a variable, and made.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use engine::{KEY_BYTES, Keys};
use model::hex;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// What stands before the name of a variable in place of a file.
const VARIABLE: &str = "env:";
/// The permissions with which no file of keys is used: group and others may not write, and others
/// not read. The group may read, since that is how systemd and Kubernetes hand files out.
const TOO_OPEN: u32 = 0o026;
/// The largest file of keys that makes sense.
const FILE_BYTES_MAX: u64 = 64 << 10;

type Bytes = Zeroizing<[u8; KEY_BYTES]>;

/// Reads the keys that a setting names: a file, or a variable after `env:`; none if it is empty.
pub(crate) fn read(source: &str) -> Result<Option<Arc<Keys>>> {
    if source.is_empty() {
        return Ok(None);
    }
    let text = match source.strip_prefix(VARIABLE) {
        Some(name) => Zeroizing::new(env::var(name).map_err(|_| {
            let message = format!("there are no keys for secrets in the variable {name:?}");
            Failure::usage(message, "set it to one key a line, as `lockstep secret key -` prints")
        })?),
        None => file(Path::new(source))?,
    };
    let keys = parse(&text).with_context(|| format!("the keys for secrets in {source}"))?;
    Ok(Some(Arc::new(Keys::new(&keys).with_context(|| format!("{source} holds no keys"))?)))
}

/// Reads a file that nobody else may read.
fn file(path: &Path) -> Result<Zeroizing<String>> {
    let shown = path.display();
    let about = fs::metadata(path).map_err(|error| {
        let hint = format!("make one with `lockstep secret key {shown}`");
        Failure::usage(format!("cannot read the keys for secrets in {shown}: {error}"), hint)
    })?;
    let mode = about.mode() & 0o777;
    if mode & TOO_OPEN != 0 {
        let message =
            format!("the keys for secrets in {shown} are open to others: its mode is {mode:03o}");
        return Err(Failure::usage(message, format!("run `chmod 600 {shown}`")).into());
    }
    if about.len() > FILE_BYTES_MAX {
        let message = format!("{shown} is too large to be a file of keys");
        return Err(Failure::usage(message, "give a file with one key a line").into());
    }
    let text = fs::read_to_string(path);
    Ok(Zeroizing::new(text.with_context(|| format!("cannot read the keys in {shown}"))?))
}

/// Reads one key a line: 32 bytes in hexadecimal digits or base64. Empty lines, and those with `#`
/// in front, say nothing.
fn parse(text: &str) -> Result<Vec<Bytes>> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let keys = lines.map(|(place, line)| {
        one(line).ok_or_else(|| {
            // The line itself may be half of a key, so it is not said.
            let message = format!("line {} is no key", place + 1);
            let hint = "a key is 32 bytes in 64 hexadecimal digits or in base64, one a line";
            Failure::usage(message, hint).into()
        })
    });
    keys.collect()
}

fn one(line: &str) -> Option<Bytes> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if line.len() == KEY_BYTES * 2 && line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        for (byte, pair) in key.iter_mut().zip(line.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        return Some(key);
    }
    let bytes = STANDARD.decode(line).or_else(|_| URL_SAFE_NO_PAD.decode(line));
    let bytes = Zeroizing::new(bytes.ok()?);
    let bytes: &[u8; KEY_BYTES] = bytes.as_slice().try_into().ok()?;
    *key = *bytes;
    Some(key)
}

/// Makes a key; gives its line and its id.
pub(crate) fn make() -> Result<(Zeroizing<String>, String)> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *key).context("no random numbers")?;
    let line = Zeroizing::new(hex(key.as_slice()));
    let id = Keys::new(&[key])?.ids().concat();
    Ok((line, id))
}

/// Writes a key to a new file that only its owner may read.
pub(crate) fn write(path: &Path, line: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).map_err(|error| {
        let shown = path.display();
        let hint = match error.kind() {
            ErrorKind::AlreadyExists => {
                "give a new file, or --first to put a new key before those \
                                         that are there"
            }
            _ => "give the path of a new file",
        };
        Failure::usage(format!("cannot make {shown}: {error}"), hint)
    })?;
    file.write_all(format!("{line}\n").as_bytes())?;
    Ok(file.sync_all()?)
}

/// Puts a key before those of a file, which is replaced as a whole.
pub(crate) fn put_first(path: &Path, line: &str) -> Result<()> {
    let before = file(path)?;
    parse(&before).with_context(|| format!("the keys for secrets in {}", path.display()))?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".new");
    let partial = Path::new(&partial);
    let text = Zeroizing::new(format!("{line}\n{}", *before));
    write(partial, text.trim_end())?;
    fs::rename(partial, path).with_context(|| format!("cannot replace {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_are_read_in_each_form_that_people_have() {
        let (hexed, coded) = ("0f".repeat(32), STANDARD.encode([15; 32]));
        let url = URL_SAFE_NO_PAD.encode([15; 32]);
        for line in [&hexed, &hexed.to_uppercase(), &coded, &url, &format!("# mine\n\n {hexed} ")] {
            let keys = parse(line).unwrap();
            assert_eq!(keys.iter().map(|key| **key).collect::<Vec<_>>(), [[15; 32]], "{line}");
        }
        assert_eq!(parse(&format!("{hexed}\n{coded}")).unwrap().len(), 2);
        for wrong in ["x", "0f", &"0g".repeat(32), &STANDARD.encode([1; 31])] {
            let error = format!("{:#}", parse(wrong).unwrap_err());
            assert_eq!(error, "line 1 is no key", "what is wrong is not said: it may be secret");
        }
    }

    #[test]
    fn a_file_of_keys_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let (line, id) = make().unwrap();
        write(&path, &line).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(write(&path, &line).is_err(), "no key is ever overwritten");
        let source = path.to_str().unwrap();
        assert_eq!(read(source).unwrap().unwrap().ids().concat(), id);
        let (newer, newer_id) = make().unwrap();
        put_first(&path, &newer).unwrap();
        assert_eq!(read(source).unwrap().unwrap().ids(), [newer_id, id]);
        for (mode, is_good) in
            [(0o600, true), (0o400, true), (0o440, true), (0o644, false), (0o660, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(source).is_ok(), is_good, "{mode:o}");
        }
        let missing = folder.path().join("none");
        assert!(read(missing.to_str().unwrap()).is_err() && read("").unwrap().is_none());
        assert!(read("env:LOCKSTEP_NO_SUCH_VARIABLE").is_err());
    }
}
