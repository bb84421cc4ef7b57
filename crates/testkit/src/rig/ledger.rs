//! The ledger: what was asked and what was acknowledged, on disk and outside the server.
//!
//! A call is written down before it is sent, and its answer after it has come. So a call without
//! an answer is known as such: its outcome is unknown, and either one is right.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use serde::{Deserialize, Serialize};

/// Entries that wait to be written.
const WAITING_MAX: usize = 10_000;

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A producer is about to ask for units to be added as a whole.
    AddAsked {
        /// The idempotency key.
        call: String,
        /// The names.
        units: Vec<String>,
    },
    /// The server said that they are added.
    AddAcked {
        /// The idempotency key.
        call: String,
    },
    /// The server gave an attempt to a worker.
    Claimed {
        /// The unit.
        unit: String,
        /// The attempt.
        attempt: u64,
        /// The worker.
        worker: String,
    },
    /// A worker is about to finish a unit.
    FinishAsked {
        /// The unit.
        unit: String,
        /// The attempt.
        attempt: u64,
    },
    /// The server said that it is finished.
    FinishAcked {
        /// The unit.
        unit: String,
        /// The attempt.
        attempt: u64,
    },
    /// The server refused.
    FinishRefused {
        /// The unit.
        unit: String,
        /// The attempt.
        attempt: u64,
        /// Why.
        code: String,
    },
    /// The server answered what it never should.
    Surprise {
        /// What was asked and answered.
        what: String,
    },
}

/// Writes entries to a file, and to disk in groups.
#[derive(Debug)]
pub struct Ledger {
    entries: SyncSender<Entry>,
    writer: JoinHandle<()>,
}

/// Where the threads of a rig put their entries.
pub type Notes = SyncSender<Entry>;

impl Ledger {
    /// Starts a ledger.
    #[track_caller]
    pub fn create(path: &Path) -> Self {
        let file = File::create_new(path).expect("a ledger");
        let (entries, waiting) = sync_channel(WAITING_MAX);
        Self { entries, writer: thread::spawn(move || write(file, &waiting)) }
    }

    /// Gives a way in.
    pub fn notes(&self) -> Notes {
        self.entries.clone()
    }

    /// Waits until everything is on disk. All other ways in must be gone.
    #[track_caller]
    pub fn close(self) {
        drop(self.entries);
        self.writer.join().expect("the ledger is written");
    }

    /// Reads a ledger back.
    #[track_caller]
    pub fn read(path: &Path) -> Vec<Entry> {
        let lines = BufReader::new(File::open(path).expect("a ledger")).lines();
        let entry = |line: String| serde_json::from_str(&line).expect("an entry in the ledger");
        lines.map(|line| entry(line.expect("a line in the ledger"))).collect()
    }
}

/// Writes down an entry.
#[track_caller]
pub fn note(notes: &Notes, entry: Entry) {
    notes.send(entry).expect("the ledger is open");
}

fn write(mut file: File, waiting: &Receiver<Entry>) {
    while let Ok(first) = waiting.recv() {
        let mut group = Vec::new();
        for entry in std::iter::once(first).chain(waiting.try_iter().take(WAITING_MAX)) {
            serde_json::to_writer(&mut group, &entry).expect("an entry is JSON");
            group.push(b'\n');
        }
        file.write_all(&group).expect("room for the ledger");
        file.sync_data().expect("a ledger on disk");
    }
}
