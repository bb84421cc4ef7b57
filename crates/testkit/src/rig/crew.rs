//! The crew of the crash rigs: producers and workers, the ledger, and whoever follows the history.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    auditor::{Audit, Seen, audit},
    http::Caller,
    ledger::Ledger,
    look::{Follower, look},
    producer,
    random::Random,
    stage::{SPEC, Stage},
    worker,
};

const PRODUCERS: usize = 8;
const WORKERS: usize = 8;
/// How long it may take until everything is finished after the last kill.
const DRAIN_MAX: Duration = Duration::from_secs(60);
/// How often the crew looks whether everything is finished.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Threads that load servers over one store, and what they write down.
#[derive(Debug)]
pub struct Crew {
    /// What the threads share.
    pub stage: Arc<Stage>,
    servers: usize,
    file: PathBuf,
    ledger: Ledger,
    follower: Follower,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Crew {
    /// Sets the spec through the first server, and starts the load on all of them.
    #[track_caller]
    pub fn start(addresses: Vec<SocketAddr>, folder: &Path, random: &mut Random) -> Self {
        let servers = addresses.len();
        let stage = Arc::new(Stage::new(addresses));
        let spec = json!({"data": {"name": "crash"}});
        let mut caller = Caller::new(stage.address(0), Duration::from_secs(5));
        let made = caller.call("POST", "/namespace/rig/work_spec", None, &spec);
        assert_eq!(made.expect("an answer").status, 201, "the spec is set");
        let file = folder.join("ledger.ndjson");
        let ledger = Ledger::create(&file);
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
        Self { stage, servers, file, ledger, follower, threads }
    }

    /// Ends the producers, and waits until the workers have finished everything. All servers run.
    ///
    /// # Errors
    /// What is still not finished after a minute.
    pub fn drain(&mut self) -> Result<(), String> {
        self.stage.enough.store(true, Ordering::Relaxed);
        let since = Instant::now();
        let mut caller = Caller::new(self.stage.address(0), DRAIN_MAX);
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

    /// Ends everything and audits what each server shows.
    #[track_caller]
    pub fn close(self) -> Audit {
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
        let mut all = (0..self.servers).map(|number| {
            look(self.stage.address(number)).unwrap_or_else(|why| {
                broken.push(format!("the store cannot be read: {why}"));
                Seen::default()
            })
        });
        let seen = all.next().unwrap_or_default();
        let others: Vec<Seen> = all.collect();
        for other in others {
            if (&other.units, &other.kept) != (&seen.units, &seen.kept) {
                broken.push("two nodes show different units or histories".to_owned());
            }
        }
        let mut audit = audit(&Ledger::read(&self.file), &Seen { followed, ..seen });
        audit.violations.extend(broken);
        audit
    }
}
