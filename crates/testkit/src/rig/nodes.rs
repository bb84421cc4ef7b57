//! The crash rig on several nodes over one PostgreSQL: nodes are killed, and the database is
//! stopped and started again, all under load.

use std::{
    fmt,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use super::{
    auditor::Audit,
    crew::Crew,
    http::{Answer, Caller},
    random::Random,
    server::Server,
};
use crate::cluster::Cluster;

/// How soon after the database every node must serve again.
pub const BACK_MAX: Duration = Duration::from_secs(5);

/// How long nodes run under load before the next thing happens.
const LOAD_MIN: Duration = Duration::from_millis(5);
const LOAD_MAX: Duration = Duration::from_millis(500);
/// How long the database stays away at most.
const AWAY_MAX: Duration = Duration::from_millis(500);
/// Of a hundred kills, so many leave the node down for a while.
const LEFT_DOWN: usize = 30;
/// Of a hundred stops of the database, so many are used to kill a node.
const KILLED_MEANWHILE: usize = 40;
/// How long one answer may take while the database is away.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How often a node that is to serve again is asked.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// How to run the rig.
#[derive(Debug)]
pub struct NodesOptions {
    /// The `lockstep` program.
    pub program: PathBuf,
    /// How many nodes share the database.
    pub nodes: usize,
    /// How often a node is killed.
    pub kills: u32,
    /// How often the database is stopped, fast and immediately in turn.
    pub stops: u32,
    /// Whether nodes pass writes on to each other.
    pub peers: bool,
    /// What the run's random numbers start from.
    pub seed: u64,
}

/// What a run found.
#[derive(Debug)]
pub struct NodesReport {
    /// How often a node was killed.
    pub kills: u32,
    /// How often the database was stopped.
    pub stops: u32,
    /// How many calls were refused as they should be while the database was away.
    pub refused: u32,
    /// How long after the database it took at most until every node acknowledged a write.
    pub slowest_back: Duration,
    /// How long the whole run took.
    pub took: Duration,
    /// What the auditor says.
    pub audit: Audit,
}

impl fmt::Display for NodesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, stops, refused, slowest_back, took, audit } = self;
        write!(
            f,
            "{kills} kills of nodes and {stops} stops of the database in {took:.1?}, {refused} \
             calls refused without it, service back at most {slowest_back:.0?} after it; {audit}"
        )
    }
}

/// Runs producers and workers over several nodes, kills nodes and stops the database under them,
/// and audits what is left.
#[track_caller]
pub fn nodes(options: &NodesOptions) -> NodesReport {
    let begun = Instant::now();
    let mut rig = Rig::set_up(options);
    let stopped = rig.disturb(options).and_then(|()| rig.crew.drain());
    let Rig { crew, nodes, refused, slowest_back, mut wrong, .. } = rig;
    let mut audit = crew.close();
    audit.violations.append(&mut wrong);
    if let Err(why) = stopped {
        audit.violations.push(why);
        audit.violations.extend(nodes.iter().map(Server::log));
    }
    let NodesOptions { kills, stops, .. } = *options;
    NodesReport { kills, stops, refused, slowest_back, took: begun.elapsed(), audit }
}

struct Rig {
    /// Nodes end before the database does.
    nodes: Vec<Server>,
    crew: Crew,
    random: Random,
    refused: u32,
    slowest_back: Duration,
    wrong: Vec<String>,
    cluster: Cluster,
    _folder: TempDir,
}

impl Rig {
    #[track_caller]
    fn set_up(options: &NodesOptions) -> Self {
        let mut random = Random::new(options.seed);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cluster = Cluster::start(&["fsync=off"]).expect("a PostgreSQL");
        let mut node = |number| {
            let folder = folder.path().join(format!("node-{number}"));
            let node = Server::node(&options.program, &folder, &cluster.url(), &mut random);
            node.with_peers(options.peers)
        };
        let mut nodes: Vec<Server> = (1..=options.nodes).map(&mut node).collect();
        // All at once, so that they meet where the tables are made.
        nodes.iter_mut().for_each(Server::start);
        for node in &mut nodes {
            node.wait_until_ready().expect("a node");
        }
        let addresses = nodes.iter().map(Server::address).collect();
        let crew = Crew::start(addresses, folder.path(), &mut random);
        let (refused, slowest_back, wrong) = (0, Duration::ZERO, Vec::new());
        Self { nodes, crew, random, refused, slowest_back, wrong, cluster, _folder: folder }
    }

    /// Kills nodes and stops the database, in an order that comes with the seed.
    fn disturb(&mut self, options: &NodesOptions) -> Result<(), String> {
        let (mut kills, mut stops) = (options.kills, options.stops);
        while kills + stops > 0 {
            thread::sleep(self.random.span(LOAD_MIN, LOAD_MAX));
            if self.random.below((kills + stops) as usize) < kills as usize {
                kills -= 1;
                self.kill_one();
            } else {
                stops -= 1;
                let also = kills > 0 && self.random.percent(KILLED_MEANWHILE);
                kills -= u32::from(also);
                let signal = if stops.is_multiple_of(2) { "QUIT" } else { "INT" };
                self.stop_database(signal, also)?;
            }
        }
        self.nodes.iter_mut().try_for_each(|node| node.wait_until_ready().map(drop))
    }

    /// Kills a node, which may still be starting, and starts it again sooner or later.
    fn kill_one(&mut self) {
        let (is_left, pause) =
            (self.random.percent(LEFT_DOWN), self.random.span(LOAD_MIN, LOAD_MAX));
        let node = one_of(&mut self.nodes, &mut self.random);
        node.kill();
        if is_left {
            thread::sleep(pause);
        }
        node.start();
    }

    /// Stops the database, looks at what the nodes say, and starts it again.
    fn stop_database(&mut self, signal: &str, also_kill: bool) -> Result<(), String> {
        for node in &mut self.nodes {
            node.wait_until_ready()?;
        }
        self.cluster.stop(signal).map_err(|error| error.to_string())?;
        for node in &self.nodes {
            self.refused += 1;
            self.wrong.extend(is_not_refused(node));
        }
        thread::sleep(self.random.span(Duration::ZERO, AWAY_MAX));
        if also_kill {
            one_of(&mut self.nodes, &mut self.random).kill();
        }
        self.cluster.run().map_err(|error| error.to_string())?;
        let since = Instant::now();
        let before = self.crew.stage.acknowledged();
        let mut back = Duration::ZERO;
        for node in &mut self.nodes {
            if node.is_running() {
                back = back.max(writes_again(node, since)?);
            } else {
                node.start();
            }
        }
        while self.crew.stage.acknowledged() == before {
            if since.elapsed() > 2 * BACK_MAX {
                return Err(format!("no work is done {:?} after the database", since.elapsed()));
            }
            thread::sleep(ASK_EVERY);
            back = since.elapsed();
        }
        self.slowest_back = self.slowest_back.max(back);
        Ok(())
    }
}

#[track_caller]
fn one_of<'a>(nodes: &'a mut [Server], random: &mut Random) -> &'a mut Server {
    let number = random.below(nodes.len());
    nodes.get_mut(number).expect("a node")
}

/// Writes through a node that has no database, and tells if that was not refused as it should be.
fn is_not_refused(node: &Server) -> Option<String> {
    let answer = match probe(node) {
        Ok(answer) => answer,
        Err(why) => return Some(format!("a node without its database gives no answer: {why}")),
    };
    let is_right = answer.status == 503 && answer.header("retry-after").is_some();
    (!is_right).then(|| format!("a node without its database answers {answer:?}"))
}

/// Writes through a node until that is acknowledged, and tells how long it took since the database
/// was there again.
fn writes_again(node: &Server, since: Instant) -> Result<Duration, String> {
    loop {
        let answer = probe(node);
        let back = since.elapsed();
        match answer {
            Ok(answer) if answer.status == 200 => return Ok(back),
            other if back > 2 * BACK_MAX => {
                return Err(format!("{back:?} after the database a node answers {other:?}"));
            }
            _ => thread::sleep(ASK_EVERY),
        }
    }
}

fn probe(node: &Server) -> std::io::Result<Answer> {
    let command = json!({"queue": {"create_worker": {"worker": "probe"}}});
    let body = json!({"namespace": "probe", "commands": [command]});
    Caller::new(node.address(), ANSWER_MAX).call("POST", "/v1/write", None, &body)
}
