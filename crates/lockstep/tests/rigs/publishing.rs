//! Publishing on real servers that are killed and frozen: nobody is told what is no longer so.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use client::{Keys, Remote, RemoteOptions};
use model::{
    Answer, Backend as _, DefinitionAnswer, DefinitionCommand, DefinitionQuery, Error, Namespace,
    Page, Publish, Published, Query, Reply, Running, Terms, Write,
};
use testkit::{
    cluster,
    rig::{Random, Server, seed},
};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_lockstep"))
}

fn namespace() -> Namespace {
    Namespace::new("rig").unwrap()
}

fn remote(server: &Server) -> Remote {
    let options = RemoteOptions {
        tries_max: 1,
        keys: Keys::Given,
        connect_max: Duration::from_secs(1),
        answer_max: Duration::from_secs(15),
        ..RemoteOptions::standard()
    };
    Remote::new(&format!("http://{}", server.address()), options).unwrap()
}

fn publish(name: &str, version: u64) -> DefinitionCommand {
    let source = format!(
        "document: {{dsl: '1.0.3', namespace: rig, name: {name}, version: '1.{version}.0'}}\n\
         schedule: {{every: PT{}H}}\ndo: [{{x: {{set: {{a: {version}}}}}}}]\n",
        1 + version % 3
    );
    DefinitionCommand::Publish(Publish { source, base: None, terms: Terms::default() })
}

fn withdraw(name: &str, deletes: bool) -> DefinitionCommand {
    let (name, base, running) = (name.to_owned(), None, Running::Keep);
    let terms = Terms::default();
    if deletes {
        DefinitionCommand::Delete { name, base, running, terms }
    } else {
        DefinitionCommand::Retract { name, base, running, terms }
    }
}

async fn send(node: &Remote, command: DefinitionCommand, key: &str) -> Result<Published, Error> {
    let write = Write { request_id: Some(key.to_owned()), ..Write::one(&namespace(), command) };
    match node.write(write).await?.replies.into_iter().next() {
        Some(Reply::Definition(published)) => Ok(published),
        other => panic!("{other:?}"),
    }
}

async fn ask(node: &Remote, query: DefinitionQuery) -> Result<DefinitionAnswer, Error> {
    match node.read(Query::Definitions(namespace(), query), 0).await?.answer {
        Answer::Definitions(answer) => Ok(answer),
        other => panic!("{other:?}"),
    }
}

async fn audit(node: &Remote) {
    let findings = ask(node, DefinitionQuery::Audit).await.unwrap();
    assert_eq!(findings, DefinitionAnswer::Audit(Vec::new()));
}

/// A server on SQLite is killed while it publishes: what was answered is there, everything holds,
/// and every run comes to an end.
#[test]
fn a_server_that_is_killed_leaves_no_half_published_definition() {
    let mut random = Random::new(seed("killed while publishing"));
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::new(&program(), folder.path(), &mut random);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let mut version = 0;
    let mut acknowledged = 0;
    for _ in 0..12 {
        server.start();
        server.wait_until_ready().unwrap();
        let node = remote(&server);
        let pause = random.span(Duration::from_millis(1), Duration::from_millis(60));
        runtime.block_on(async {
            audit_unless_new(&node, acknowledged).await;
            let publishing = async {
                loop {
                    version += 1;
                    let command = publish("a", version);
                    match send(&node, command, &format!("key-{version}")).await {
                        Ok(published) => acknowledged = published.revision,
                        Err(_) => return,
                    }
                }
            };
            // Sleeps because the server is to be killed at a moment that nothing else decides.
            let moment = tokio::time::sleep(pause);
            tokio::select! {
                () = publishing => {}
                () = moment => {}
            }
        });
        server.kill();
    }
    assert!(acknowledged > 0, "something was published");
    server.start();
    server.wait_until_ready().unwrap();
    let node = remote(&server);
    runtime.block_on(audit_unless_new(&node, acknowledged));
}

/// Holds what is there against what was acknowledged.
async fn audit_unless_new(node: &Remote, acknowledged: u64) {
    if acknowledged == 0 {
        return;
    }
    audit(node).await;
    let found = ask(node, DefinitionQuery::One("a".to_owned())).await.unwrap();
    let DefinitionAnswer::Definition(found) = found else { panic!("{found:?}") };
    assert!(found.revision >= acknowledged, "{} is lost, there is {found:?}", acknowledged);
}

/// What three nodes and their callers share.
struct Cluster {
    nodes: Vec<Remote>,
    /// The newest revision of each definition that was answered to be effective.
    effective: Mutex<[u64; NAMES.len()]>,
    is_over: AtomicBool,
    reads: AtomicU64,
    stale: Mutex<Vec<String>>,
}

impl Cluster {
    /// Changes one definition again and again, always to the end.
    async fn change(&self, at: usize, mut random: Random, count: u64) {
        for version in 1..=count {
            let command = match random.below(10) {
                0 => withdraw(NAMES[at], true),
                1 | 2 => withdraw(NAMES[at], false),
                _ => publish(NAMES[at], version),
            };
            let key = format!("{}-{version}", NAMES[at]);
            loop {
                let node = random.pick(&self.nodes);
                match send(node, command.clone(), &key).await {
                    Ok(published) if published.state != "committed" => {
                        let mut effective = self.effective.lock().unwrap();
                        effective[at] = effective[at].max(published.revision);
                        break;
                    }
                    // It is there, and asked again it waits until it is effective.
                    Ok(_) => {}
                    Err(Error::NoSuchDefinition(_)) => break,
                    // The node is down, or nobody knows: the same key tells.
                    Err(Error::Unavailable(_) | Error::Internal(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    async fn read(&self, mut random: Random) {
        while !self.is_over.load(Ordering::SeqCst) {
            let at = random.below(NAMES.len());
            let node = random.below(self.nodes.len());
            let before = self.effective.lock().unwrap()[at];
            let query = DefinitionQuery::One(NAMES[at].to_owned());
            if let Ok(DefinitionAnswer::Definition(found)) = ask(&self.nodes[node], query).await {
                self.reads.fetch_add(1, Ordering::SeqCst);
                if found.revision < before {
                    let wrong = format!("node {node}: {found:?} although {before} was effective");
                    self.stale.lock().unwrap().push(wrong);
                }
            }
        }
    }
}

/// Three nodes over one PostgreSQL are killed, frozen and started again while they publish, retract
/// and delete: no answer is from before what was effective when it was asked for.
#[test]
fn three_nodes_never_answer_from_before_what_is_effective() {
    let mut random = Random::new(seed("publishing nodes"));
    let folder = tempfile::tempdir().unwrap();
    let url = cluster::url();
    let names = ["one", "two", "three"];
    let mut servers =
        names.map(|name| Server::node(&program(), &folder.path().join(name), &url, &mut random));
    for server in &mut servers {
        server.start();
        server.wait_until_ready().unwrap();
    }
    let cluster = Arc::new(Cluster {
        nodes: servers.iter().map(remote).collect(),
        effective: Mutex::default(),
        is_over: AtomicBool::new(false),
        reads: AtomicU64::new(0),
        stale: Mutex::default(),
    });
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let writers: Vec<_> = (0..NAMES.len())
        .map(|at| {
            let (cluster, random) = (Arc::clone(&cluster), random.fork());
            runtime.spawn(async move { cluster.change(at, random, 60).await })
        })
        .collect();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (cluster, random) = (Arc::clone(&cluster), random.fork());
            runtime.spawn(async move { cluster.read(random).await })
        })
        .collect();
    let start = Instant::now();
    while writers.iter().any(|writer| !writer.is_finished()) {
        assert!(start.elapsed() < Duration::from_secs(150), "it does not come to an end");
        let at = random.below(servers.len());
        let pause = random.span(Duration::from_millis(50), Duration::from_millis(600));
        if random.percent(50) {
            servers[at].freeze();
            // Sleeps because that is how long it stands still.
            std::thread::sleep(pause * 6);
            servers[at].thaw();
        } else {
            servers[at].kill();
            // Sleeps because that is how long it is gone.
            std::thread::sleep(pause);
            servers[at].start();
            servers[at].wait_until_ready().unwrap();
        }
        // Sleeps because nodes that are well take part, too.
        std::thread::sleep(pause * 2);
    }
    cluster.is_over.store(true, Ordering::SeqCst);
    for task in writers.into_iter().chain(readers) {
        runtime.block_on(task).unwrap();
    }
    let reads = cluster.reads.load(Ordering::SeqCst);
    assert!(reads > 100, "there were hardly any reads: {reads}");
    assert_eq!(*cluster.stale.lock().unwrap(), [""; 0]);
    runtime.block_on(async {
        audit(&cluster.nodes[0]).await;
        // Whatever a node that was killed has left is finished by another one.
        loop {
            let runs = ask(&cluster.nodes[0], DefinitionQuery::Runs(None, Page::default()));
            let Ok(DefinitionAnswer::Runs(runs)) = runs.await else { panic!("no runs") };
            let is_left = |state: &str| state == "committed" || state == "effective";
            if !runs.iter().any(|run| is_left(&run.state)) {
                return;
            }
            // Sleeps because the leases of those runs end by the clock of the database.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
}
