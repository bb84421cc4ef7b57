//! Writing messages: each first as a draft that no reader sees, then all onto the disk, then each
//! under its name.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
};

use model::{Error, Result};
use tokio::sync::mpsc;

use super::{
    disk::{failed, is_missing, rename_new, set_received, stamp, sync_directory},
    name::FileName,
    scan::Entry,
    store::Core,
};
use crate::{
    Body, Key, Part,
    driver::{Append, Appended, At},
};

/// Files that are put onto the disk at once.
const SYNCS_MAX: usize = 16;
/// Files for which a thread of their own pays.
const SYNCS_MIN: usize = 8;

/// A message that is written and that no reader sees yet.
struct Draft {
    source: Key,
    key: Key,
    path: PathBuf,
    file: String,
    is_new: bool,
    stamp: u64,
}

impl Core {
    /// Writes what comes through a pipe.
    pub(super) fn deliver(
        &mut self,
        at: &At,
        messages: &[Append],
        mut from: mpsc::Receiver<Part>,
    ) -> Result<Vec<Appended>> {
        let directory = self.open(at)?;
        make_directories(&directory)?;
        self.scan(&at.folder)?;
        let announced: HashMap<&Key, &Append> =
            messages.iter().map(|message| (&message.source, message)).collect();
        let mut drafts = Vec::new();
        let mut appended = Vec::new();
        while let Some(part) = from.blocking_recv() {
            let Part::Begin(body) = part else { continue };
            let Some(append) = announced.get(&body.key).copied() else {
                return Err(Error::Internal(format!("message {} was not announced", body.key)));
            };
            let key = checked(&append.name)?;
            if let Some(entry) = self.scan(&at.folder)?.entries.get(&key) {
                // An earlier attempt came as far as this, and was cut off before it was told.
                let stamp = entry.stamp(&directory)?;
                if drain(&mut from) {
                    appended.push(Appended { source: body.key, key: Some(key), stamp });
                }
                continue;
            }
            let draft = self.draft(&directory, append, key, &body)?;
            match write(&draft.path, &body, &mut from) {
                Ok(Some(stamp)) => drafts.push(Draft { stamp, ..draft }),
                Ok(None) => discard(&draft.path),
                Err(error) => {
                    discard(&draft.path);
                    drafts.iter().for_each(|draft| discard(&draft.path));
                    return Err(error);
                }
            }
        }
        let published = self.publish(at, &directory, drafts)?;
        appended.extend(published);
        Ok(appended)
    }

    fn draft(&mut self, directory: &Path, append: &Append, key: Key, body: &Body) -> Result<Draft> {
        let scan = self.scanned()?;
        scan.keywords.learn(directory, &append.flags)?;
        let storable = scan.keywords.storable().mask(&append.flags);
        let is_new = storable.is_empty();
        let name = FileName { base: &append.name, letters: "" };
        let file = if is_new { None } else { name.with(&storable, &scan.keywords.0) };
        Ok(Draft {
            source: body.key.clone(),
            key,
            path: directory.join("tmp").join(append.name.as_str()),
            file: file.unwrap_or_else(|| append.name.to_string()),
            is_new,
            stamp: 0,
        })
    }

    /// Puts drafts onto the disk, then shows them, and gives what is durable under its name.
    fn publish(&mut self, at: &At, directory: &Path, drafts: Vec<Draft>) -> Result<Vec<Appended>> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        sync_all(&drafts)?;
        let mut appended = Vec::new();
        for draft in drafts {
            let entry =
                Entry { is_new: draft.is_new, file: Path::new(&draft.file).as_os_str().into() };
            let path = entry.path(directory);
            if !rename_new(&draft.path, &path).map_err(|error| failed(&path, &error))? {
                return Err(Error::Unavailable(format!(
                    "{} appeared while it was written: look at the folder again",
                    path.display()
                )));
            }
            self.scan(&at.folder)?.entries.insert(draft.key.clone(), entry);
            let stamp = Some(draft.stamp);
            appended.push(Appended { source: draft.source, key: Some(draft.key), stamp });
        }
        for name in ["cur", "new"] {
            sync_directory(&directory.join(name))?;
        }
        Ok(appended)
    }
}

impl Draft {
    fn sync(&self) -> Result<()> {
        let synced = File::open(&self.path).and_then(|file| file.sync_all());
        synced.map_err(|error| failed(&self.path, &error))
    }
}

/// Puts drafts onto the disk, several at once: a journal writes for all that wait for it together.
fn sync_all(drafts: &[Draft]) -> Result<()> {
    let share = drafts.len().div_ceil(SYNCS_MAX).max(SYNCS_MIN);
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for some in drafts.chunks(share) {
            let sync = move || some.iter().try_for_each(Draft::sync);
            match thread::Builder::new().spawn_scoped(scope, sync) {
                Ok(thread) => threads.push(thread),
                // Where there is no room for another thread, this one does it.
                Err(_) => sync()?,
            }
        }
        let failed = |_| Err(Error::Internal("a thread that writes to the disk failed".to_owned()));
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(failed))
    })
}

/// Makes the directories of a folder that are not there.
pub(super) fn make_directories(directory: &Path) -> Result<()> {
    for name in super::layout::OWN {
        let path = directory.join(name);
        if let Err(error) = fs::create_dir(&path)
            && error.kind() != std::io::ErrorKind::AlreadyExists
        {
            return Err(failed(&path, &error));
        }
    }
    Ok(())
}

/// Makes a key of a name that the engine chose.
fn checked(name: &str) -> Result<Key> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_good) {
        return Err(Error::Internal(format!("{name:?} cannot name a message file")));
    }
    Key::name(name)
}

/// Writes a body, and gives what stays when the file is renamed; nothing if the body is not whole.
fn write(path: &Path, body: &Body, from: &mut mpsc::Receiver<Part>) -> Result<Option<u64>> {
    let problem = |error: std::io::Error| failed(path, &error);
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(problem)?;
    let mut left = body.size;
    loop {
        match from.blocking_recv() {
            Some(Part::Bytes(piece)) => {
                let Some(rest) = left.checked_sub(piece.len() as u64) else { return Ok(None) };
                left = rest;
                file.write_all(&piece).map_err(problem)?;
            }
            Some(Part::End) if left == 0 => break,
            Some(Part::End | Part::Begin(_) | Part::Lost(_)) | None => return Ok(None),
        }
    }
    drop(file);
    if let Some(date) = body.date {
        set_received(path, date).map_err(problem)?;
    }
    Ok(Some(stamp(&fs::metadata(path).map_err(problem)?)))
}

/// Takes a message that is here already out of the pipe, and tells whether it was whole.
fn drain(from: &mut mpsc::Receiver<Part>) -> bool {
    loop {
        match from.blocking_recv() {
            Some(Part::End) => return true,
            Some(Part::Bytes(_)) => {}
            Some(Part::Begin(_) | Part::Lost(_)) | None => return false,
        }
    }
}

/// Removes a draft; one that stays is overwritten by the next attempt.
fn discard(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && !is_missing(&error)
    {
        tracing::warn!(path = %path.display(), %error, "a draft could not be removed");
    }
}
