//! What the threads of the crash rig share, and how they call a server that may be down.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    http::{Answer, Caller},
    ledger::{Entry, Notes, note},
};

/// The path of the one work spec of the rig.
pub const SPEC: &str = "/namespace/rig/work_spec/crash";

/// How long a single answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a call is repeated before the rig gives up.
const CALL_MAX: Duration = Duration::from_secs(60);
/// How long a caller waits before it tries a server again that is down.
const TRY_EVERY: Duration = Duration::from_millis(2);

/// What the threads share.
#[derive(Debug)]
pub struct Stage {
    /// Where the server is, whenever it runs.
    pub address: SocketAddr,
    /// Set when producers are to end.
    pub enough: AtomicBool,
    /// Set when workers are to end.
    pub over: AtomicBool,
    /// Units whose adding was acknowledged.
    pub added: AtomicU64,
    /// Units whose end was acknowledged.
    pub finished: AtomicU64,
}

impl Stage {
    /// Sets the stage for a server.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            enough: AtomicBool::new(false),
            over: AtomicBool::new(false),
            added: AtomicU64::new(0),
            finished: AtomicU64::new(0),
        }
    }

    /// Counts units that wait to be finished.
    pub fn backlog(&self) -> u64 {
        let added = self.added.load(Ordering::Relaxed);
        added.saturating_sub(self.finished.load(Ordering::Relaxed))
    }
}

/// One thread's way to the server and to the ledger.
#[derive(Debug)]
pub struct Line {
    caller: Caller,
    notes: Notes,
}

/// A call that changes something.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// Where to.
    pub path: &'a str,
    /// The idempotency key, without which the call must not be repeated.
    pub key: Option<&'a str>,
    /// What to say.
    pub body: &'a Value,
}

impl Line {
    /// Opens a line.
    pub fn new(stage: &Stage, notes: Notes) -> Self {
        Self { caller: Caller::new(stage.address, ANSWER_MAX), notes }
    }

    /// Writes down an entry.
    pub fn note(&self, entry: Entry) {
        note(&self.notes, entry);
    }

    /// Writes down an answer that should never have come.
    pub fn surprise(&self, post: Post<'_>, answer: &Answer) {
        let body = String::from_utf8_lossy(&answer.body);
        let what = format!("{} {} answers {} {body}", post.path, post.body, answer.status);
        self.note(Entry::Surprise { what });
    }

    /// Calls once; no answer means that the outcome is unknown.
    pub fn once(&mut self, post: Post<'_>) -> Option<Answer> {
        let answer = self.caller.call("POST", post.path, post.key, post.body).ok();
        if answer.is_none() {
            thread::sleep(TRY_EVERY);
        }
        // A server that has no time now did nothing, and one that stops may have.
        answer.filter(|answer| answer.status != 503)
    }

    /// Calls again and again with the same key until there is an answer.
    pub fn until_answered(&mut self, post: Post<'_>) -> Option<Answer> {
        let since = Instant::now();
        while since.elapsed() < CALL_MAX {
            if let Some(answer) = self.once(post) {
                return Some(answer);
            }
        }
        let what = format!("{} has no answer after {CALL_MAX:?}", post.path);
        self.note(Entry::Surprise { what });
        None
    }
}
