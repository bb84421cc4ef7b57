//! Histories on real nodes, which are killed, frozen and started again meanwhile.

use std::{
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use model::{Committed, Error, Event, Namespace, Query, Read, Result, Revision, Write, limits};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Deed, Door, History, check, look_at_all, play};
use crate::{
    cluster::Cluster,
    rig::{Random, Server, http::Caller},
};

const NODES: usize = 3;
/// Histories that are made at the same time, each with so many clients.
const AT_ONCE: usize = 6;
const CLIENTS: u64 = 3;
/// What each client does, about.
const DEEDS: usize = 25;
/// How long a client waits for a node before it turns to another one.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// How long a client tries in all: longer than the database lets a frozen node hold a lock.
const TRY_MAX: Duration = Duration::from_secs(40);
const TRY_EVERY: Duration = Duration::from_millis(5);
/// How often nodes are killed, stopped for a moment, and stopped for longer than any cache counts
/// as fresh, in two hundred histories.
const KILLS: usize = 8;
const PAUSES: usize = 12;
const FREEZES: usize = 3;
const FROZEN: Duration = Duration::from_millis(3_500);

/// How to run the rig.
#[derive(Debug)]
pub struct HistoriesOptions {
    /// The `lockstep` program.
    pub program: PathBuf,
    /// How many histories there are at least.
    pub histories: usize,
    /// Whether nodes pass writes on to each other.
    pub peers: bool,
    /// What the run's random numbers start from.
    pub seed: u64,
    /// What is broken on purpose.
    pub fault: NodeFault,
}

/// What is broken on purpose, to see that the checker finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeFault {
    /// Nothing.
    None,
    /// Nodes never hear how new an answer must be.
    AnyRevision,
}

/// What a run found.
#[derive(Debug)]
pub struct HistoriesReport {
    /// Histories.
    pub histories: usize,
    /// Writes that changed something.
    pub writes: usize,
    /// Reads.
    pub reads: usize,
    /// Reads that nodes answered from memory, of those that live to tell.
    pub hits: u64,
    /// Writes that nodes passed on to each other, of those that live to tell.
    pub passed_on: u64,
    /// How often nodes were killed, stopped for a moment, and stopped for long.
    pub disturbed: [usize; 3],
    /// How long the whole run took.
    pub took: Duration,
    /// What should not be.
    pub violations: Vec<String>,
}

impl fmt::Display for HistoriesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { histories, writes, reads, hits, passed_on, .. } = self;
        let Self { disturbed, took, violations, .. } = self;
        let [kills, pauses, freezes] = disturbed;
        write!(
            f,
            "{histories} histories of {writes} writes ({passed_on} passed on) and {reads} reads \
             ({hits} from memory) in {took:.1?}, {kills} kills, {pauses} pauses, \
             {freezes} freezes: {} violations",
            violations.len()
        )?;
        violations.iter().take(20).try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// Makes histories on three nodes over one PostgreSQL while nodes are killed and frozen, and checks
/// them.
#[track_caller]
pub fn histories(options: &HistoriesOptions) -> HistoriesReport {
    let begun = Instant::now();
    let mut random = Random::new(options.seed);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cluster = Cluster::start(&["fsync=off"]).expect("a PostgreSQL");
    let mut nodes: Vec<Server> = (1..=NODES)
        .map(|number| {
            let folder = folder.path().join(format!("node-{number}"));
            let node = Server::node(&options.program, &folder, &cluster.url(), &mut random);
            node.with_peers(options.peers)
        })
        .collect();
    nodes.iter_mut().for_each(Server::start);
    for node in &mut nodes {
        node.wait_until_ready().expect("a node");
    }
    let stage = Stage {
        addresses: nodes.iter().map(Server::address).collect(),
        fault: options.fault,
        wanted: options.histories,
        begun: AtomicUsize::new(0),
        is_calm: AtomicBool::new(false),
        made: Mutex::default(),
        wrong: Mutex::default(),
    };
    let (mut violations, disturbed) = thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let random = random.fork();
            scope.spawn(|| stage.make_histories(random));
        }
        let outcome = disturb(&mut nodes, options.histories, &mut random);
        stage.is_calm.store(true, Ordering::Release);
        outcome
    });
    let made = stage.made.into_inner().unwrap_or_default();
    violations.extend(stage.wrong.into_inner().unwrap_or_default());
    let (mut writes, mut reads) = (0, 0);
    let mut look = Http::new(&stage.addresses, NodeFault::None, random.fork());
    for (namespace, clients) in &made {
        let deeds = || clients.iter().flatten();
        writes += deeds().filter(|deed| matches!(deed, Deed::Wrote { .. })).count();
        reads += deeds().filter(|deed| matches!(deed, Deed::Read { .. })).count();
        let wrong = match look.whole(namespace, clients.clone()) {
            Ok(history) => check(&history),
            Err(error) => vec![format!("the history cannot be read: {error}")],
        };
        violations.extend(wrong.into_iter().map(|wrong| format!("{namespace}: {wrong}")));
    }
    let sum = |line| stage.addresses.iter().map(|address| counted(*address, line)).sum();
    let hits = sum("lockstep_cache_hits_total ");
    let passed_on = sum("lockstep_passed_on_total{outcome=\"done\"} ");
    let (histories, took) = (made.len(), begun.elapsed());
    HistoriesReport { histories, writes, reads, hits, passed_on, disturbed, took, violations }
}

/// Kills and stops nodes, and starts them again; gives what went wrong and what was done.
fn disturb(
    nodes: &mut [Server],
    histories: usize,
    random: &mut Random,
) -> (Vec<String>, [usize; 3]) {
    let share = |number: usize| (number * histories).div_ceil(200);
    let planned = [share(KILLS), share(PAUSES), share(FREEZES)];
    let mut left = planned;
    let mut wrong = Vec::new();
    while left.iter().sum::<usize>() > 0 {
        thread::sleep(random.span(Duration::from_millis(5), Duration::from_millis(300)));
        let which = random.below(left.iter().sum());
        let number = random.below(nodes.len());
        let Some(node) = nodes.get_mut(number) else { continue };
        let [kills, pauses, freezes] = &mut left;
        if which < *kills {
            *kills -= 1;
            node.kill();
            thread::sleep(random.span(Duration::ZERO, Duration::from_millis(200)));
            node.start();
            wrong.extend(node.wait_until_ready().err());
            continue;
        }
        let span = if which < *kills + *pauses {
            *pauses -= 1;
            random.span(Duration::from_millis(5), Duration::from_millis(300))
        } else {
            *freezes -= 1;
            FROZEN
        };
        node.freeze();
        thread::sleep(span);
        node.thaw();
    }
    (wrong, planned)
}

/// What the threads share.
struct Stage {
    addresses: Vec<SocketAddr>,
    fault: NodeFault,
    wanted: usize,
    begun: AtomicUsize,
    /// Set when nothing more happens to the nodes.
    is_calm: AtomicBool,
    made: Mutex<Vec<(Namespace, Vec<Vec<Deed>>)>>,
    wrong: Mutex<Vec<String>>,
}

impl Stage {
    /// Makes one history after the other, until there are enough and all is calm.
    fn make_histories(&self, mut random: Random) {
        loop {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            if number >= self.wanted && self.is_calm.load(Ordering::Acquire) {
                return;
            }
            let namespace = Namespace::new(format!("history-{number}")).expect("a name");
            let clients = thread::scope(|scope| {
                let play = |client| {
                    let mut door = Http::new(&self.addresses, self.fault, random.fork());
                    let (mut random, namespace) = (random.fork(), &namespace);
                    scope.spawn(move || play(&mut door, namespace, client, DEEDS, &mut random))
                };
                let players: Vec<_> = (0..CLIENTS).map(play).collect();
                players.into_iter().map(|player| player.join().expect("a client")).collect()
            });
            match clients {
                Ok(clients) => self.made.lock().expect("no panic").push((namespace, clients)),
                Err(error) => self.wrong.lock().expect("no panic").push(format!("{error}")),
            }
        }
    }
}

/// The way to the nodes over HTTP.
struct Http {
    addresses: Vec<SocketAddr>,
    fault: NodeFault,
    random: Random,
    node: usize,
    caller: Caller,
}

impl Http {
    #[track_caller]
    fn new(addresses: &[SocketAddr], fault: NodeFault, mut random: Random) -> Self {
        let caller = Caller::new(*random.pick(addresses), ANSWER_MAX);
        Self { addresses: addresses.to_vec(), fault, random, node: 0, caller }
    }

    fn turn_to(&mut self, node: usize) {
        if let Some(address) = self.addresses.get(node).filter(|_| node != self.node) {
            (self.node, self.caller) = (node, Caller::new(*address, ANSWER_MAX));
        }
    }

    /// Calls any node, and another one until there is an answer.
    fn anywhere<T: DeserializeOwned>(&mut self, path: &str, body: &Value) -> Result<T> {
        let since = Instant::now();
        loop {
            let node = self.random.below(self.addresses.len());
            self.turn_to(node);
            match self.call(path, body) {
                Err(Error::Unavailable(_)) if since.elapsed() < TRY_MAX => {
                    thread::sleep(TRY_EVERY);
                }
                answer => return answer,
            }
        }
    }

    /// Calls the node that it has turned to; no answer is [`Error::Unavailable`].
    fn call<T: DeserializeOwned>(&mut self, path: &str, body: &Value) -> Result<T> {
        let answer = self.caller.call("POST", path, None, body).map_err(|error| {
            // Half an answer may be on the way still.
            let address = self.addresses.get(self.node).copied();
            self.caller = Caller::new(address.unwrap_or(([127, 0, 0, 1], 1).into()), ANSWER_MAX);
            Error::Unavailable(error.to_string())
        })?;
        let json = answer.json();
        let broken = |error: serde_json::Error| Error::Internal(format!("{error}: {answer:?}"));
        if answer.status == 200 {
            return serde_json::from_value(json).map_err(broken);
        }
        let error = json.get("error").cloned().unwrap_or_default();
        Err(serde_json::from_value(error).unwrap_or_else(broken))
    }

    /// Adds to what clients did what the nodes show in the end.
    fn whole(&mut self, namespace: &Namespace, mut clients: Vec<Vec<Deed>>) -> Result<History> {
        let events: Vec<Vec<Event>> = (0..self.addresses.len())
            .map(|node| self.events(node, namespace))
            .collect::<Result<_>>()?;
        let newest = events.first().and_then(|events| events.last()).map_or(0, |e| e.revision);
        clients.push(look_at_all(self, namespace, newest)?);
        Ok(History { clients, events })
    }
}

impl Door for Http {
    fn write(&mut self, write: &Write) -> Result<Committed> {
        self.anywhere("/v1/write", &json!(write))
    }

    fn read(&mut self, query: &Query, at_least: Revision) -> Result<Read> {
        let at_least = if self.fault == NodeFault::AnyRevision { 0 } else { at_least };
        self.anywhere("/v1/read", &json!({"query": query, "at_least": at_least}))
    }

    fn events(&mut self, node: usize, namespace: &Namespace) -> Result<Vec<Event>> {
        self.turn_to(node);
        self.call("/v1/events", &json!({"namespace": namespace, "limit": limits::PAGE_MAX}))
    }
}

/// Asks a node what it has counted, by what the line begins with.
fn counted(address: SocketAddr, begins: &str) -> u64 {
    let Ok(answer) = Caller::new(address, ANSWER_MAX).get("/metrics") else { return 0 };
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(begins));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
