//! The crash rig: load on a real server that is killed again and again, and an audit at the end.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use super::{
    auditor::{Audit, Seen, audit},
    http::Caller,
    ledger::Ledger,
    look::{Follower, look},
    producer,
    random::Random,
    server::Server,
    stage::{SPEC, Stage},
    worker,
};

const PRODUCERS: usize = 8;
const WORKERS: usize = 8;
/// How long a server runs under load before it is killed.
const LOAD_MIN: Duration = Duration::from_millis(5);
const LOAD_MAX: Duration = Duration::from_secs(1);
/// Of a hundred kills, so many hit a server that is still starting.
const WHILE_STARTING: usize = 10;
const STARTING_MAX: Duration = Duration::from_millis(40);
/// How long it may take until everything is finished after the last kill.
const DRAIN_MAX: Duration = Duration::from_secs(60);
/// How often the rig looks whether everything is finished.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How to run the rig.
#[derive(Debug)]
pub struct CrashOptions {
    /// The `lockstep` program.
    pub program: PathBuf,
    /// How often to kill the server.
    pub kills: u32,
    /// What the run's random numbers start from.
    pub seed: u64,
    /// What is broken on purpose.
    pub fault: Fault,
}

/// What is broken on purpose, to see that the auditor finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// While the server is down, its store is put back to what it was at the kill before, as if
    /// answers had been given before anything was on disk.
    OldStore,
}

/// What a run found.
#[derive(Debug)]
pub struct CrashReport {
    /// How often the server was killed.
    pub kills: u32,
    /// How often it was killed while it was starting.
    pub while_starting: u32,
    /// How long the slowest start took.
    pub slowest_start: Duration,
    /// How long the whole run took.
    pub took: Duration,
    /// What the auditor says.
    pub audit: Audit,
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, while_starting, slowest_start, took, audit } = self;
        write!(
            f,
            "{kills} kills ({while_starting} while starting) in {took:.1?}, slowest start \
             {slowest_start:.0?}; {audit}"
        )
    }
}

/// Runs producers and workers, kills the server under them, and audits what is left.
#[track_caller]
pub fn crash(options: &CrashOptions) -> CrashReport {
    let begun = Instant::now();
    let mut rig = Rig::set_up(options);
    let stopped = rig.kill_often(options).and_then(|()| rig.drain());
    let (while_starting, slowest_start) = (rig.while_starting, rig.slowest_start);
    let mut audit = rig.close();
    audit.violations.extend(stopped.err());
    let kills = options.kills;
    CrashReport { kills, while_starting, slowest_start, took: begun.elapsed(), audit }
}

struct Rig {
    folder: TempDir,
    server: Server,
    stage: Arc<Stage>,
    ledger: Ledger,
    follower: Follower,
    threads: Vec<thread::JoinHandle<()>>,
    random: Random,
    while_starting: u32,
    slowest_start: Duration,
}

impl Rig {
    #[track_caller]
    fn set_up(options: &CrashOptions) -> Self {
        let mut random = Random::new(options.seed);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Server::new(&options.program, folder.path(), &mut random);
        server.start();
        let slowest_start = server.wait_until_ready().expect("a server");
        let stage = Arc::new(Stage::new(server.address()));
        let spec = json!({"data": {"name": "crash"}});
        let mut caller = Caller::new(server.address(), Duration::from_secs(5));
        let made = caller.call("POST", "/namespace/rig/work_spec", None, &spec);
        assert_eq!(made.expect("an answer").status, 201, "the spec is set");
        let ledger = Ledger::create(&ledger_of(folder.path()));
        let mut threads = Vec::new();
        for number in 0..PRODUCERS {
            let (stage, notes, random) = (stage.clone(), ledger.notes(), random.fork());
            threads.push(thread::spawn(move || producer::produce(&stage, notes, number, random)));
        }
        for number in 0..WORKERS {
            let (stage, notes, random) = (stage.clone(), ledger.notes(), random.fork());
            threads.push(thread::spawn(move || worker::work(&stage, notes, number, random)));
        }
        let follower = Follower::start(stage.clone());
        let while_starting = 0;
        Self {
            folder,
            server,
            stage,
            ledger,
            follower,
            threads,
            random,
            while_starting,
            slowest_start,
        }
    }

    /// Kills the server at random moments and starts it again on the same store and port.
    fn kill_often(&mut self, options: &CrashOptions) -> Result<(), String> {
        let mut old = OldStore::default();
        let mut number = 0;
        while number < options.kills {
            thread::sleep(self.random.span(LOAD_MIN, LOAD_MAX));
            self.server.kill();
            number += 1;
            if options.fault == Fault::OldStore {
                old.swap(&self.server.store(), self.folder.path());
            }
            self.server.start();
            while number < options.kills && self.random.percent(WHILE_STARTING) {
                thread::sleep(self.random.span(Duration::ZERO, STARTING_MAX));
                self.server.kill();
                number += 1;
                self.while_starting += 1;
                self.server.start();
            }
            self.slowest_start = self.slowest_start.max(self.server.wait_until_ready()?);
        }
        Ok(())
    }

    /// Ends the producers, and waits until the workers have finished everything.
    fn drain(&mut self) -> Result<(), String> {
        self.stage.enough.store(true, Ordering::Relaxed);
        let since = Instant::now();
        let mut caller = Caller::new(self.server.address(), DRAIN_MAX);
        // Producers that wait for an answer may still add units.
        let workers = self.threads.split_off(PRODUCERS);
        for producer in self.threads.drain(..) {
            producer.join().map_err(|_| "a producer panicked")?;
        }
        self.threads = workers;
        loop {
            let counts = match caller.get(&format!("{SPEC}/counts")) {
                Ok(answer) if answer.status == 200 => answer.json(),
                other => return Err(format!("no counts: {other:?}")),
            };
            let open = ["available", "pending", "delayed"].map(|status| counts.get(status));
            if open.iter().all(Option::is_none) {
                return Ok(());
            }
            if since.elapsed() > DRAIN_MAX {
                return Err(format!("not finished after {DRAIN_MAX:?}: {counts}"));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends everything and audits.
    #[track_caller]
    fn close(self) -> Audit {
        self.stage.enough.store(true, Ordering::Relaxed);
        self.stage.over.store(true, Ordering::Relaxed);
        let mut broken = Vec::new();
        for thread in self.threads {
            if thread.join().is_err() {
                broken.push("a producer or worker panicked".to_owned());
            }
        }
        self.ledger.close();
        let followed = self.follower.end();
        let seen = look(self.stage.address).unwrap_or_else(|why| {
            broken.push(format!("the store cannot be read: {why}"));
            Seen::default()
        });
        let entries = Ledger::read(&ledger_of(self.folder.path()));
        let mut audit = audit(&entries, &Seen { followed, ..seen });
        audit.violations.extend(broken);
        audit
    }
}

fn ledger_of(folder: &Path) -> PathBuf {
    folder.join("ledger.ndjson")
}

/// A copy of a store as it was at an earlier kill.
#[derive(Default)]
struct OldStore {
    there: bool,
}

impl OldStore {
    /// Puts the copy in the place of the store; the first time, makes the copy.
    #[track_caller]
    fn swap(&mut self, store: &Path, folder: &Path) {
        let kept = folder.join("kept");
        fs::create_dir_all(&kept).expect("a folder for the copy");
        for suffix in ["", "-wal", "-shm"] {
            let mut name = store.file_name().unwrap_or_default().to_owned();
            name.push(suffix);
            let (live, copy) = (store.with_file_name(&name), kept.join(&name));
            let (from, to) = if self.there { (&copy, &live) } else { (&live, &copy) };
            if from.exists() {
                fs::copy(from, to).expect("a copy");
            }
        }
        self.there = true;
    }
}
