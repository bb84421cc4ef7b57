//! The remote backend, against a real server and against one that plays a part.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use client::{
    Keys, Lockstep, Remote, RemoteOptions,
    worker::{Outcome, Tally, Worker, WorkerOptions},
};
use engine::{Engine, SystemClock};
use model::{
    Backend, Claim, Committed, Error, Page, Query, QueueCommand, SpecName, SpecRef, UnitStatus,
    WorkerName, Write,
};
use serde_json::{Value, json as value};
use store::Memory;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::support::{eventually, json, namespace, options, run, spec, text_of, units};

fn remote(address: SocketAddr, options: RemoteOptions) -> Remote {
    Remote::new(&format!("http://{address}"), options).unwrap()
}

fn quick() -> RemoteOptions {
    RemoteOptions { answer_max: Duration::from_millis(300), ..RemoteOptions::standard() }
}

/// A real server that can be stopped.
pub(crate) struct Real {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Arc<Engine>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Real {
    pub(crate) fn start(engine: &Arc<Engine>, listen: SocketAddr, open: bool) -> Self {
        Self::limited(engine, listen, open, server::Rate::Usual)
    }

    fn limited(engine: &Arc<Engine>, listen: SocketAddr, open: bool, rate: server::Rate) -> Self {
        let options = server::Options { listen, open, rate, grace: Duration::from_secs(5) };
        let bound = server::bind(options, engine.clone()).unwrap();
        let address = bound.address();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            bound.serve(async { stopped.await.unwrap_or_default() }).await.unwrap();
        });
        Self { address, engine: engine.clone(), stop, serving }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
    }
}

pub(crate) fn real_engine() -> Arc<Engine> {
    let engine = Engine::new(Arc::new(Memory::new()), Arc::new(SystemClock));
    tokio::spawn(engine.clone().run_due());
    engine
}

fn real() -> Real {
    Real::start(&real_engine(), SocketAddr::from(([127, 0, 0, 1], 0)), true)
}

fn lockstep(real: &Real) -> Lockstep {
    let remote = remote(real.address, RemoteOptions::standard());
    Lockstep::new(Arc::new(remote), namespace("a/b"))
}

#[tokio::test]
async fn too_many_requests_wait_their_turn() {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let rate = server::Rate::Max(std::num::NonZeroU32::new(4).unwrap());
    let real = Real::limited(&real_engine(), listen, true, rate);
    let backend = remote(real.address, RemoteOptions::standard());
    for _ in 0..10 {
        backend.read(Query::Namespaces(Page::default()), 0).await.unwrap();
    }
    let hasty = RemoteOptions { tries_max: 1, ..RemoteOptions::standard() };
    let hasty = remote(real.address, hasty);
    let mut refused = None;
    for _ in 0..1_000 {
        let read = hasty.read(Query::Namespaces(Page::default()), 0).await;
        refused = refused.or(read.err());
    }
    assert!(matches!(refused, Some(Error::TooManyRequests { seconds: 1, .. })), "{refused:?}");
}

/// What a played server does with a request.
#[derive(Clone, Copy)]
enum Act {
    /// Closes the connection.
    Hang,
    /// Never answers.
    Sleep,
    /// Answers.
    Say(u16, &'static str),
}

/// One request that a played server got.
struct Heard {
    head: String,
    body: Value,
}

/// A server that plays a part and keeps what it heard; its last act is repeated.
struct Played {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Played {
    async fn start(acts: &'static [Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = heard.clone();
        tokio::spawn(async move {
            loop {
                let stream = listener.accept().await.unwrap().0;
                tokio::spawn(Self::connection(stream, acts, all.clone()));
            }
        });
        Self { address, heard }
    }

    async fn connection(stream: TcpStream, acts: &[Act], heard: Arc<Mutex<Vec<Heard>>>) {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap() == 0 {
                    return;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
                head += &line;
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            let act = {
                let mut heard = heard.lock().unwrap();
                let body = serde_json::from_slice(&body).unwrap();
                heard.push(Heard { head, body });
                *acts.get(heard.len() - 1).or(acts.last()).unwrap()
            };
            match act {
                Act::Hang => return,
                Act::Sleep => std::future::pending().await,
                Act::Say(status, text) => {
                    let length = text.len();
                    let answer = format!(
                        "HTTP/1.1 {status} X\r\nlockstep-revision: 9\r\n\
                         content-length: {length}\r\n\r\n{text}"
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        }
    }

    fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

const DONE: &str = r#"{"revision": 7, "replies": ["done"], "events": []}"#;

fn create() -> Write {
    Write::one(&namespace("n"), QueueCommand::CreateNamespace)
}

fn claim_one() -> Claim {
    Claim {
        worker: WorkerName::new("w").unwrap(),
        specs: Vec::new(),
        runtimes: Vec::new(),
        count: 1,
        lifetime: None,
        available_gb: None,
    }
}

#[test]
fn a_url_that_is_none_is_refused() {
    for url in [
        "",
        "127.0.0.1:5980",
        "localhost",
        "/",
        "ftp://127.0.0.1/",
        "http://",
        "http:///path",
        "http://user:secret@127.0.0.1",
        "http://127.0.0.1/?x=1",
        "http://bad host/",
    ] {
        let error = Remote::new(url, RemoteOptions::standard()).unwrap_err();
        assert!(matches!(error, Error::BadInput(_)), "{url}: {error:?}");
        assert!(error.to_string().contains("http://127.0.0.1:5980"), "{error}");
    }
    let options = RemoteOptions { token: Some("a\nb".to_owned()), ..RemoteOptions::standard() };
    assert!(matches!(Remote::new("http://127.0.0.1", options), Err(Error::BadInput(_))));
}

#[tokio::test]
async fn lost_answers_are_asked_for_again_with_the_same_key() {
    let played = Played::start(&[Act::Hang, Act::Sleep, Act::Say(200, DONE)]).await;
    let committed: Committed = remote(played.address, quick()).write(create()).await.unwrap();
    assert_eq!(committed.revision, 7);
    let heard = played.heard.lock().unwrap();
    let keys: Vec<_> = heard.iter().map(|one| one.body["request_id"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys[0].len() == 32 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

/// An error has no place for a revision, so it is the client that remembers it.
#[tokio::test]
async fn nothing_older_is_read_than_an_absence() {
    const ABSENT: &str = r#"{"error": {"no_such_work_spec": "s"}}"#;
    let played = Played::start(&[Act::Say(404, ABSENT)]).await;
    let remote = remote(played.address, quick());
    for name in ["n", "n", "m"] {
        let spec = SpecRef { name: SpecName::new("s").unwrap(), id: None };
        let read = remote.read(Query::Spec(namespace(name), spec), 0).await;
        assert_eq!(read.unwrap_err(), Error::NoSuchWorkSpec("s".to_owned()));
    }
    let heard = played.heard.lock().unwrap();
    let asked: Vec<_> = heard.iter().map(|one| one.body["at_least"].as_u64()).collect();
    assert_eq!(asked, [Some(0), Some(9), Some(0)]);
}

#[tokio::test]
async fn a_write_without_key_is_never_repeated() {
    let played = Played::start(&[Act::Hang]).await;
    let options = RemoteOptions { keys: Keys::Given, ..quick() };
    let remote = remote(played.address, options);
    assert!(matches!(remote.write(create()).await, Err(Error::Unavailable(_))));
    assert_eq!(played.count(), 1);
    let keyed = Write { request_id: Some("mine".to_owned()), ..create() };
    assert!(matches!(remote.write(keyed).await, Err(Error::Unavailable(_))));
    assert_eq!(played.count(), 1 + 5);
    assert_eq!(played.heard.lock().unwrap()[5].body["request_id"], "mine");
}

#[tokio::test]
async fn reads_are_repeated() {
    let played = Played::start(&[
        Act::Say(503, r#"{"error": {"unavailable": "drains"}}"#),
        Act::Say(200, r#"{"as_of": 3, "answer": {"namespaces": []}}"#),
    ])
    .await;
    let query = Query::Namespaces(Page::default());
    assert_eq!(remote(played.address, quick()).read(query, 2).await.unwrap().as_of, 3);
    assert_eq!(played.heard.lock().unwrap()[1].body["at_least"], 2);
}

#[tokio::test]
async fn refusals_are_not_repeated() {
    let played = Played::start(&[Act::Say(409, r#"{"error": {"key_reused": "k"}}"#)]).await;
    let error = remote(played.address, quick()).write(create()).await.unwrap_err();
    assert_eq!(error, Error::KeyReused("k".to_owned()));
    assert_eq!(played.count(), 1);
}

#[tokio::test]
async fn a_stranger_is_told_from_a_server() {
    for (status, code) in
        [(404, "bad_input"), (401, "unauthenticated"), (403, "denied"), (502, "unavailable")]
    {
        let acts: &'static [Act] = Box::leak(Box::new([Act::Say(status, "<html>")]));
        let played = Played::start(acts).await;
        let options = RemoteOptions { tries_max: 1, ..quick() };
        let error = remote(played.address, options).write(create()).await.unwrap_err();
        assert_eq!(error.code().code, code, "{error}");
        assert!(error.to_string().contains(&played.address.to_string()), "{error}");
    }
}

#[tokio::test]
async fn path_and_token_are_sent() {
    let played = Played::start(&[Act::Say(200, DONE)]).await;
    let options = RemoteOptions { token: Some("t0ken-text".to_owned()), ..quick() };
    assert!(!format!("{options:?}").contains("t0ken"));
    let remote = Remote::new(&format!("http://{}/below/", played.address), options).unwrap();
    remote.write(create()).await.unwrap();
    let heard = played.heard.lock().unwrap();
    assert!(heard[0].head.starts_with("POST /below/v1/write HTTP/1.1\r\n"), "{}", heard[0].head);
    assert!(heard[0].head.contains("authorization: Bearer t0ken-text\r\n"), "{}", heard[0].head);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = remote(address, quick()).write(create()).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("refused")), "{error}");
}

#[tokio::test]
async fn errors_keep_their_type() {
    let real = real();
    let lockstep = lockstep(&real);
    spec(&lockstep, value!({"name": "s"}), &[]).await;
    let unit = lockstep.unit(crate::support::spec_name("s"), crate::support::unit_name(b"\xff"));
    assert_eq!(unit.get().await.unwrap_err(), Error::NoSuchWorkUnit("\u{fffd}".to_owned()));
    let error = lockstep.set_spec(json(value!({"name": "s", "priority": true}))).await.unwrap_err();
    assert!(matches!(error, Error::BadWorkSpecKey { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_wants_a_token_says_so() {
    let real = Real::start(&real_engine(), SocketAddr::from(([127, 0, 0, 1], 0)), false);
    for token in [None, Some("wrong".to_owned())] {
        let remote = remote(real.address, RemoteOptions { token, ..quick() });
        let error = remote.write(create()).await.unwrap_err();
        assert!(matches!(error, Error::Unauthenticated(_)), "{error:?}");
    }
}

#[tokio::test]
async fn waiting_is_not_a_missing_answer() {
    let real = real();
    let remote = Arc::new(remote(real.address, quick()));
    let lockstep = Lockstep::new(remote, namespace("n"));
    let spec = spec(&lockstep, value!({"name": "s"}), &[]).await;
    let worker = lockstep.worker(WorkerName::new("w").unwrap());
    let start = Instant::now();
    let none = worker.claim(claim_one(), Duration::from_secs(1)).await.unwrap();
    assert!(none.is_empty() && start.elapsed() >= Duration::from_secs(1));
    let waiting = worker.claim(claim_one(), Duration::from_secs(30));
    let adding = async {
        // Sleeps because the answer must take longer than any that does not wait may.
        sleep(Duration::from_millis(400)).await;
        spec.add(vec![crate::support::new_unit("a", model::Data::default())]).await.unwrap();
    };
    let (attempts, ()) = tokio::join!(waiting, adding);
    assert_eq!(attempts.unwrap().len(), 1);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_worker_works_through_a_server() {
    let real = real();
    let lockstep = lockstep(&real);
    let names: Vec<String> = (0..500).map(|n| format!("{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let spec = spec(&lockstep, value!({"name": "s"}), &names).await;
    let options = WorkerOptions { concurrency: 16, ..options() };
    let tally = run(&lockstep, options, async |task| {
        let says = value!({"says": format!("hello, {}", task.unit())});
        Ok(Outcome::Finish(Some(json(says))))
    })
    .await;
    assert_eq!(tally, Tally { finished: 500, ..Tally::default() });
    let units = units(&spec).await;
    assert!(units.iter().all(|unit| (unit.status, unit.attempts) == (UnitStatus::Finished, 1)));
    assert_eq!(text_of(&units[7].data, "says"), "hello, 007");
    let events = lockstep.backend().events(lockstep.namespace(), 0, 5).await.unwrap();
    assert_eq!(events.iter().map(|event| event.revision).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_worker_outlives_restarts_of_its_server() {
    let engine = real_engine();
    let mut real = Real::start(&engine, SocketAddr::from(([127, 0, 0, 1], 0)), true);
    let address = real.address;
    let lockstep = lockstep(&real);
    let names: Vec<String> = (0..100).map(|n| format!("{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    spec(&lockstep, value!({"name": "s"}), &names).await;
    let inside = Lockstep::new(engine.clone(), namespace("a/b"));
    let spec = inside.spec(crate::support::spec_name("s"));
    let worker = Worker::new(lockstep, options()).other(async |_| {
        // Sleeps because it plays a task that takes some time.
        sleep(Duration::from_millis(20)).await;
        Ok(Outcome::Finish(None))
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = tokio::spawn(worker.run(stopped));
    for finished in [10, 40, 70] {
        let enough = async || {
            let counts = spec.get().await.unwrap().counts;
            (counts.finished >= finished).then_some(())
        };
        eventually("units to be finished", enough).await;
        real.stop().await;
        // Sleeps because the server is to be away for a while.
        sleep(Duration::from_millis(150)).await;
        real = Real::start(&engine, address, true);
    }
    let all = async || (spec.get().await.unwrap().counts.finished == 100).then_some(());
    eventually("all units to be finished", all).await;
    stop.send(()).unwrap();
    assert_eq!(worker.await.unwrap().unwrap(), Tally { finished: 100, ..Tally::default() });
    assert!(units(&spec).await.iter().all(|unit| unit.attempts == 1));
}
