//! The crash rig: load on a real server that is killed again and again, and an audit at the end.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{auditor::Audit, crew::Crew, random::Random, server::Server};

/// How long a server runs under load before it is killed.
const LOAD_MIN: Duration = Duration::from_millis(5);
const LOAD_MAX: Duration = Duration::from_secs(1);
/// Of a hundred kills, so many hit a server that is still starting.
const WHILE_STARTING: usize = 10;
const STARTING_MAX: Duration = Duration::from_millis(40);
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
    let stopped = rig.kill_often(options).and_then(|()| rig.crew.drain());
    let (while_starting, slowest_start) = (rig.while_starting, rig.slowest_start);
    let mut audit = rig.crew.close();
    audit.violations.extend(stopped.err());
    let kills = options.kills;
    CrashReport { kills, while_starting, slowest_start, took: begun.elapsed(), audit }
}

struct Rig {
    folder: TempDir,
    server: Server,
    crew: Crew,
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
        let crew = Crew::start(vec![server.address()], folder.path(), &mut random);
        Self { folder, server, crew, random, while_starting: 0, slowest_start }
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
