//! What the threads of the crash rig share, and how they call a server that may be down.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
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
    /// Where the servers are, whenever they run; all have the same store.
    addresses: Vec<SocketAddr>,
    /// Counts lines, so that they begin at different servers.
    lines: AtomicUsize,
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
    /// Sets the stage for servers, of which there is at least one.
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            lines: AtomicUsize::new(0),
            enough: AtomicBool::new(false),
            over: AtomicBool::new(false),
            added: AtomicU64::new(0),
            finished: AtomicU64::new(0),
        }
    }

    /// Gives the address of a server, counted round and round.
    #[track_caller]
    pub fn address(&self, number: usize) -> SocketAddr {
        *self.addresses.iter().cycle().nth(number % self.addresses.len()).expect("a server")
    }

    /// Counts what was acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.added.load(Ordering::Relaxed) + self.finished.load(Ordering::Relaxed)
    }

    /// Counts units that wait to be finished.
    pub fn backlog(&self) -> u64 {
        let added = self.added.load(Ordering::Relaxed);
        added.saturating_sub(self.finished.load(Ordering::Relaxed))
    }
}

/// One thread's way to the servers and to the ledger.
#[derive(Debug)]
pub struct Line {
    stage: Arc<Stage>,
    /// The server that is called, counted round and round.
    number: usize,
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
    pub fn new(stage: &Arc<Stage>, notes: Notes) -> Self {
        let number = stage.lines.fetch_add(1, Ordering::Relaxed);
        let caller = Caller::new(stage.address(number), ANSWER_MAX);
        Self { stage: stage.clone(), number, caller, notes }
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

    /// Calls once; no answer means that the outcome is unknown, and that the next call goes to the
    /// next server.
    pub fn once(&mut self, post: Post<'_>) -> Option<Answer> {
        let answer = self.caller.call("POST", post.path, post.key, post.body).ok();
        // A server that has no time now did nothing, and one that stops may have.
        let answer = answer.filter(|answer| answer.status != 503);
        if answer.is_none() {
            thread::sleep(TRY_EVERY);
            self.number += 1;
            self.caller = Caller::new(self.stage.address(self.number), ANSWER_MAX);
        }
        answer
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
