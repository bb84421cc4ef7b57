//! How far a sync has come, on a terminal: a bar for each folder that messages are copied in.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mail::{FolderName, engine::Progress};

use crate::output::{Output, printable};

/// Where the number of bytes is known.
const BY_BYTES: &str =
    "{prefix:20!} [{bar:24}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left, {msg}";
/// Where only the number of messages is, since nobody has read the files yet.
const BY_MESSAGES: &str = "{prefix:20!} [{bar:24}] {pos}/{len} messages, {eta} left, {msg}";

/// The bars of one account.
pub(super) struct Bars {
    name: String,
    all: MultiProgress,
    now: ProgressBar,
    folders: Mutex<BTreeMap<FolderName, Bar>>,
}

struct Bar {
    bar: ProgressBar,
    is_by_bytes: bool,
    messages: usize,
    bytes: u64,
    due: usize,
}

impl Bars {
    /// Makes the bars, which show on a terminal only.
    pub(super) fn new(name: &str, out: Output) -> Result<Self> {
        let target =
            if out.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let all = MultiProgress::with_draw_target(target);
        let now = ProgressBar::new_spinner();
        now.set_style(ProgressStyle::with_template("{spinner} {msg}")?);
        let now = all.add(now);
        Ok(Self { name: name.to_owned(), all, now, folders: Mutex::default() })
    }

    /// Shows what goes on.
    pub(super) fn tell(&self, progress: &Progress) {
        let name = &self.name;
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match progress {
            Progress::Folders(count) => format!("{name}: {count} folders to look into"),
            Progress::Examined(folder) => format!("{name}: {folder}"),
            Progress::Copying { folder, messages, bytes } => {
                let bar = Bar::begin(&self.all, folder, *messages, *bytes);
                if let Some(old) = folders.insert(folder.clone(), bar) {
                    old.bar.finish_and_clear();
                }
                format!("{name}: {folder}: {messages} messages to copy")
            }
            Progress::Copied { folder, messages, bytes } => {
                if let Some(bar) = folders.get_mut(folder) {
                    bar.go_on(*messages, *bytes);
                }
                format!("{name}: {folder}")
            }
            Progress::Applied(folder) => {
                if let Some(done) = folders.remove(folder) {
                    done.bar.finish_and_clear();
                }
                format!("{name}: {folder} is done")
            }
            Progress::Waiting(grace) => format!(
                "{name}: waiting {} s for a server to end what a lost connection had begun",
                grace.as_secs_f64()
            ),
        };
        self.now.set_message(printable(&text));
        self.now.tick();
    }

    /// Takes the bars away.
    pub(super) fn end(self) {
        self.now.finish_and_clear();
        // Nobody is told by a screen that cannot be cleared.
        let _cleared = self.all.clear();
    }
}

impl Bar {
    fn begin(
        all: &MultiProgress,
        folder: &FolderName,
        messages: usize,
        bytes: Option<u64>,
    ) -> Self {
        let bar = all.add(ProgressBar::new(bytes.unwrap_or(messages as u64)));
        let template = if bytes.is_some() { BY_BYTES } else { BY_MESSAGES };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(printable(folder.as_str()));
        Self { bar, is_by_bytes: bytes.is_some(), messages: 0, bytes: 0, due: messages }
    }

    fn go_on(&mut self, messages: usize, bytes: u64) {
        self.messages += messages;
        self.bytes += bytes;
        if self.is_by_bytes {
            self.bar.set_position(self.bytes);
            self.bar.set_message(format!("{}/{} messages", self.messages, self.due));
        } else {
            self.bar.set_position(self.messages as u64);
            self.bar.set_message(format!("{}", indicatif::HumanBytes(self.bytes)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_far_as_what_was_copied() {
        ProgressStyle::with_template(BY_BYTES).unwrap();
        ProgressStyle::with_template(BY_MESSAGES).unwrap();
        let bars = Bars::new("home", Output { json: false, quiet: true }).unwrap();
        for (name, bytes) in [("INBOX", Some(1_000)), ("Sent", None)] {
            let folder = FolderName::new(name).unwrap();
            bars.tell(&Progress::Copying { folder: folder.clone(), messages: 10, bytes });
            for _ in 0..2 {
                let folder = folder.clone();
                bars.tell(&Progress::Copied { folder, messages: 2, bytes: 150 });
            }
            let folders = bars.folders.lock().unwrap();
            let bar = &folders[&folder].bar;
            let expected = if bytes.is_some() { (300, 1_000) } else { (4, 10) };
            assert_eq!((bar.position(), bar.length().unwrap()), expected);
        }
        bars.tell(&Progress::Applied(FolderName::inbox()));
        assert_eq!(bars.folders.lock().unwrap().len(), 1);
        bars.end();
    }
}
