//! The audit log where many write at once.

use std::sync::Arc;

use engine::{Engine, clock_of};
use model::{
    AdminCommand, Answer, AuditAnswer, AuditEntry, AuditQuery, Backend as _, Caller, ChainCheck,
    Command, Control, Data, Datum, Dict, Namespace, Page, Query, QueueCommand, Scope, SpecName,
    SpecRef, Time, TokenInfo, Write,
};
use store::{Memory, Postgres, PostgresOptions, Sqlite, SqliteOptions, Store};
use testkit::cluster;
use tokio::task::JoinSet;

const WRITERS: usize = 8;
const WRITES: usize = 12;

async fn read(engine: &Engine, query: AuditQuery) -> AuditAnswer {
    match engine.read(Query::Audit(query), 0).await.unwrap().answer {
        Answer::Audit(answer) => answer,
        other => panic!("the audit log answers {other:?}"),
    }
}

/// Follows a chain to its end.
async fn chain(engine: &Engine, namespace: Option<Namespace>) -> Vec<AuditEntry> {
    let mut check = ChainCheck::new(namespace.as_ref().map(Namespace::as_str));
    let query = AuditQuery::Chain(namespace, Page::default());
    let AuditAnswer::Chain { rows, head } = read(engine, query).await else { panic!("no chain") };
    rows.iter().for_each(|(seq, entry)| check.row(*seq, entry.as_ref()));
    assert_eq!(check.end(head.as_ref()), Vec::<String>::new());
    rows.into_iter().map(|(_, entry)| entry.unwrap()).collect()
}

fn namespaces() -> [Namespace; 2] {
    ["left", "right"].map(|name| Namespace::new(name).unwrap())
}

fn set() -> QueueCommand {
    let dict = Dict::from([("name".to_owned(), Datum::Text("s".to_owned()))]);
    QueueCommand::SetSpec { data: Data::from_dict(&dict).unwrap() }
}

fn control(priority: i64) -> QueueCommand {
    QueueCommand::ControlSpec {
        spec: SpecRef { name: SpecName::new("s").unwrap(), id: None },
        control: Control { priority: Some(priority), ..Control::default() },
    }
}

fn token(id: String) -> Command {
    let mut hash = [0; 32];
    hash.iter_mut().zip(id.bytes()).for_each(|(to, from)| *to = from);
    let (namespace, scopes, created, expires) = (None, vec![Scope::ALL], Time(0), None);
    let info = TokenInfo { id, namespace, scopes, created, expires };
    Command::Admin(AdminCommand::CreateToken { info, hash })
}

/// Lets writers change two namespaces and the installation at once, each through one of the
/// engines, some in writes that fail.
async fn write_from_all_sides(engines: &[Arc<Engine>]) {
    for namespace in namespaces() {
        engines[0].write(Write::one(&namespace, set())).await.unwrap();
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let engine = Arc::clone(&engines[writer % engines.len()]);
        writers.spawn(async move {
            for round in 0..WRITES {
                let namespace = &namespaces()[(writer + round) % 2];
                let caller = Caller { name: format!("writer {writer}"), trace: None };
                let priority = i64::try_from(1 + writer * WRITES + round).unwrap();
                let mut commands = vec![Command::from(control(priority))];
                if round % 4 == 1 {
                    commands.push(token(format!("{writer}-{round}")));
                }
                if round % 4 == 2 {
                    // This one is refused, and the row before it goes with it.
                    commands.push(Command::Admin(AdminCommand::RevokeToken { id: "no".into() }));
                }
                let write = Write { caller, ..Write::of(namespace, commands) };
                let made = engine.write(write).await;
                assert_eq!(made.is_ok(), round % 4 != 2, "{made:?}");
            }
        });
    }
    writers.join_all().await;
    for engine in engines {
        look(engine).await;
    }
}

/// Each change that was answered has one row, with the one who made it, in whole chains.
async fn look(engine: &Engine) {
    let mut rows = Vec::new();
    for namespace in namespaces() {
        let chain = chain(engine, Some(namespace)).await;
        let revisions: Vec<u64> = chain.iter().map(|row| row.revision).collect();
        assert!(revisions.is_sorted(), "{revisions:?}");
        rows.extend(chain.into_iter().filter(|row| row.kind == "spec.control"));
    }
    assert_eq!(rows.len(), WRITERS * WRITES * 3 / 4);
    for row in &rows {
        let priority: usize = row.summary.strip_prefix("priority ").unwrap().parse().unwrap();
        assert_eq!(row.actor, format!("writer {}", (priority - 1) / WRITES));
    }
    let everywhere = chain(engine, None).await;
    let count = |kind: &str| everywhere.iter().filter(|row| row.kind == kind).count();
    assert_eq!(count("token.create"), WRITERS * WRITES / 4);
    assert_eq!(count("audit.begin"), 2);
}

fn over(store: Arc<dyn Store>) -> Arc<Engine> {
    let clock = clock_of(&store);
    Engine::new(store, clock)
}

#[tokio::test]
async fn chains_are_whole_after_eight_writers_in_memory() {
    write_from_all_sides(&[over(Arc::new(Memory::new()))]).await;
}

#[tokio::test]
async fn chains_are_whole_after_eight_writers_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { readers: 1, ..SqliteOptions::default() };
    let store = Sqlite::open(folder.path().join("lockstep.db"), options).unwrap();
    write_from_all_sides(&[over(Arc::new(store))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_are_whole_after_eight_writers_on_three_nodes() {
    let url = cluster::url();
    let node = |_| {
        let options = PostgresOptions { readers: 1, ..PostgresOptions::default() };
        over(Arc::new(Postgres::open(&url, &options).unwrap()))
    };
    let engines: Vec<Arc<Engine>> = (0..3).map(node).collect();
    write_from_all_sides(&engines).await;
}
