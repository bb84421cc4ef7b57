//! Short histories of publishing on three real nodes, which are killed, frozen and started again
//! meanwhile: publish, retract, delete, start, send, read, each through any node.
//!
//! What the clients were told is held against the order in which changes were answered to be
//! effective: no answer and no start may be from before what was effective when it was asked for,
//! and no event may start two instances.

mod check;
mod client;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use testkit::{
    cluster::Cluster,
    rig::{Random, Server, seed},
};

use check::{History, check};

/// How many histories there are, unless `LOCKSTEP_HISTORIES` says otherwise.
const HISTORIES: usize = 300;
/// Histories that are made at the same time.
const AT_ONCE: usize = 12;
/// How often nodes are killed, stopped for a moment, and stopped for longer than their leases, in
/// three hundred histories.
const KILLS: usize = 10;
const PAUSES: usize = 12;
const FREEZES: usize = 3;
const FROZEN: Duration = Duration::from_millis(3_600);

/// What the histories share.
struct Stage {
    urls: Vec<String>,
    wanted: usize,
    begun: AtomicUsize,
    /// Set when nothing more happens to the nodes.
    is_calm: AtomicBool,
    clock: AtomicU64,
    made: Mutex<Vec<(String, History)>>,
}

impl Stage {
    async fn make_histories(&self, mut random: Random) {
        loop {
            let number = self.begun.fetch_add(1, Ordering::SeqCst);
            if number >= self.wanted && self.is_calm.load(Ordering::SeqCst) {
                return;
            }
            let name = format!("history-{number}");
            let history = client::play(&self.urls, &name, &self.clock, &mut random).await;
            self.made.lock().unwrap().push((name, history));
        }
    }
}

/// Kills and stops nodes, and starts them again.
fn disturb(nodes: &mut [Server], histories: usize, random: &mut Random) {
    let share = |number: usize| (number * histories).div_ceil(HISTORIES);
    let mut left = [share(KILLS), share(PAUSES), share(FREEZES)];
    while left.iter().sum::<usize>() > 0 {
        // Sleeps because nodes that are well take part, too.
        std::thread::sleep(random.span(Duration::from_millis(50), Duration::from_millis(900)));
        let which = random.below(left.iter().sum());
        let node = random.below(nodes.len());
        let node = &mut nodes[node];
        if which < left[0] {
            left[0] -= 1;
            node.kill();
            node.start();
            node.wait_until_ready().unwrap();
            continue;
        }
        let kind = 1 + usize::from(which >= left[0] + left[1]);
        left[kind] -= 1;
        node.freeze();
        // Sleeps because that is how long it stands still.
        std::thread::sleep(match kind {
            1 => random.span(Duration::from_millis(5), Duration::from_millis(500)),
            _ => FROZEN,
        });
        node.thaw();
    }
}

#[test]
fn nothing_is_started_or_answered_from_before_what_is_effective() {
    let wanted = std::env::var("LOCKSTEP_HISTORIES");
    let wanted = wanted.map_or(HISTORIES, |text| text.parse().unwrap());
    let begun = Instant::now();
    let mut random = Random::new(seed("publishing histories"));
    let folder = tempfile::tempdir().unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_lockstep"));
    let cluster = Cluster::start(&["fsync=off"]).unwrap();
    let mut nodes = ["one", "two", "three"]
        .map(|name| Server::node(&program, &folder.path().join(name), &cluster.url(), &mut random));
    nodes.iter_mut().for_each(Server::start);
    for node in &mut nodes {
        node.wait_until_ready().unwrap();
    }
    let stage = Arc::new(Stage {
        urls: nodes.iter().map(|node| format!("http://{}", node.address())).collect(),
        wanted,
        begun: AtomicUsize::new(0),
        is_calm: AtomicBool::new(false),
        clock: AtomicU64::new(0),
        made: Mutex::default(),
    });
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let players: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (stage, random) = (Arc::clone(&stage), random.fork());
            runtime.spawn(async move { stage.make_histories(random).await })
        })
        .collect();
    disturb(&mut nodes, wanted, &mut random);
    stage.is_calm.store(true, Ordering::SeqCst);
    players.into_iter().for_each(|player| runtime.block_on(player).unwrap());
    let made = stage.made.lock().unwrap();
    let mut wrong = Vec::new();
    let mut sums = check::Sums::default();
    for (name, history) in &*made {
        sums.add(history);
        wrong.extend(check(history).into_iter().map(|wrong| format!("{name}: {wrong}")));
    }
    eprintln!("{} histories in {:.1?}: {sums}", made.len(), begun.elapsed());
    assert_eq!(wrong, [""; 0]);
    assert!(made.len() >= wanted);
    assert!(sums.is_enough(wanted), "{sums}");
}
