//! Crashes: every operation of every transaction of every kind of run goes wrong in every way.
//! Then all invariants must hold, the state must be that before or that after, and the same request
//! made again must end in that after.

use std::{sync::Arc, time::Duration};

use engine::Engine;
use model::{
    Answer, Backend as _, Definition, DefinitionAnswer, DefinitionCommand, DefinitionQuery, Error,
    Namespace, Page, Publish, Query, Running, Terms, Trigger, Write,
};
use store::{Memory, Postgres, PostgresOptions, Sqlite, SqliteOptions, Store};
use tempfile::TempDir;
use testkit::{ManualClock, cluster};

use super::faulty::{Fault, Faulty, Plan};

/// A store with the folder that it is in.
type Opened = (Arc<dyn Store>, Option<TempDir>);

fn memory() -> Opened {
    (Arc::new(Memory::new()), None)
}

fn sqlite() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { readers: 1, ..SqliteOptions::default() };
    let store = Sqlite::open(folder.path().join("lockstep.db"), options).unwrap();
    (Arc::new(store), Some(folder))
}

fn postgres() -> Opened {
    let options = PostgresOptions { readers: 1, ..PostgresOptions::default() };
    (Arc::new(Postgres::open(&cluster::url(), &options).unwrap()), None)
}

fn namespace() -> Namespace {
    Namespace::new("crash").unwrap()
}

fn document(name: &str, version: &str, schedule: &str) -> DefinitionCommand {
    let source = format!(
        "document: {{dsl: '1.0.3', namespace: crash, name: {name}, version: '{version}'}}\n\
         schedule: {schedule}\ndo:\n  - answer: {{set: {{from: '{version}'}}}}\n"
    );
    DefinitionCommand::Publish(Publish { source, base: None, terms: Terms::default() })
}

const HOOK: &str = "{on: {any: [{with: {type: io.lockstep.http.request.v1, subject: orders}, \
                    exclusive: true, name: hook}, {with: {type: com.acme.a}, name: a}]}}";

/// What is there before: one definition with two versions, and another one.
fn before() -> Vec<Vec<DefinitionCommand>> {
    vec![
        vec![document("a", "1.0.0", HOOK)],
        vec![document("a", "1.1.0", "{every: PT5M}"), document("b", "1.0.0", "{every: PT1H}")],
    ]
}

fn publish() -> Vec<DefinitionCommand> {
    vec![document("a", "1.2.0", HOOK)]
}

fn retract() -> Vec<DefinitionCommand> {
    let (name, base, running) = ("a".to_owned(), None, Running::Keep);
    vec![DefinitionCommand::Retract { name, base, running, terms: Terms::default() }]
}

fn delete() -> Vec<DefinitionCommand> {
    let (name, base, running) = ("a".to_owned(), None, Running::Keep);
    vec![DefinitionCommand::Delete { name, base, running, terms: Terms::default() }]
}

fn rollback() -> Vec<DefinitionCommand> {
    let (name, version, base) = ("a".to_owned(), "1.0.0".to_owned(), None);
    vec![DefinitionCommand::Rollback { name, version, base, terms: Terms::default() }]
}

fn bundle() -> Vec<DefinitionCommand> {
    let (name, base, running) = ("b".to_owned(), None, Running::Keep);
    vec![
        document("a", "1.2.0", HOOK),
        document("c", "1.0.0", "{cron: '0 9 * * *'}"),
        DefinitionCommand::Retract { name, base, running, terms: Terms::default() },
    ]
}

fn write(commands: Vec<DefinitionCommand>, key: Option<&str>) -> Write {
    Write {
        request_id: key.map(str::to_owned),
        ..Write::of(&namespace(), commands.into_iter().map(Into::into).collect())
    }
}

async fn ask(engine: &Engine, query: DefinitionQuery) -> Result<DefinitionAnswer, Error> {
    match engine.read(Query::Definitions(namespace(), query), 0).await?.answer {
        Answer::Definitions(answer) => Ok(answer),
        other => panic!("{other:?}"),
    }
}

/// What is published, without what differs from run to run.
type State = (Vec<(String, Option<String>, u64)>, Vec<(String, String)>);

async fn state(engine: &Engine) -> State {
    let list = ask(engine, DefinitionQuery::List(Page::default())).await.unwrap();
    let DefinitionAnswer::Definitions(found) = list else { panic!("{list:?}") };
    let head = |it: Definition| (it.name, it.published, it.revision);
    let triggers = ask(engine, DefinitionQuery::Triggers(None)).await.unwrap();
    let DefinitionAnswer::Triggers(triggers) = triggers else { panic!("{triggers:?}") };
    let trigger = |it: Trigger| (it.definition, it.name);
    (found.into_iter().map(head).collect(), triggers.into_iter().map(trigger).collect())
}

async fn audit(engine: &Engine) {
    let answer = ask(engine, DefinitionQuery::Audit).await.unwrap();
    assert_eq!(answer, DefinitionAnswer::Audit(Vec::new()));
}

async fn epoch(engine: &Engine) -> usize {
    match ask(engine, DefinitionQuery::Changes(Page::default())).await {
        Ok(DefinitionAnswer::Changes(changes)) => changes.len(),
        other => panic!("{other:?}"),
    }
}

/// Waits until nothing is left to be done for any run.
async fn all_runs_end(engine: &Engine) {
    loop {
        let runs = ask(engine, DefinitionQuery::Runs(None, Page::default())).await.unwrap();
        let DefinitionAnswer::Runs(runs) = runs else { panic!("{runs:?}") };
        let over = ["settled", "unchanged", "failed", "aborted"];
        if runs.iter().all(|run| over.contains(&run.state.as_str())) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// One run with one fault; tells whether the fault was reached.
async fn once(open: fn() -> Opened, act: fn() -> Vec<DefinitionCommand>, plan: Arc<Plan>) -> bool {
    let (inner, _folder) = open();
    let clock = Arc::new(ManualClock::new());
    let healthy = Engine::new(inner.clone(), clock.clone());
    for commands in before() {
        healthy.write(write(commands, None)).await.unwrap();
    }
    let (old, changes) = (state(&healthy).await, epoch(&healthy).await);
    // Another node, or the same one before it dies.
    let store = Arc::new(Faulty { inner: inner.clone(), plan: plan.clone() });
    let faulty = Engine::new(store, clock.clone());
    let outcome = faulty.write(write(act(), Some("key"))).await;
    drop(faulty);
    // Whoever comes after finds the leases of what was left behind over, and takes it up.
    let next = Engine::new(inner, clock.clone());
    let driver = tokio::spawn(next.clone().run_workflows());
    clock.advance(Duration::from_secs(120));
    audit(&next).await;
    let between = state(&next).await;
    let is_done = epoch(&next).await > changes;
    assert!(is_done || between == old, "nothing was committed, and something has changed");
    assert!(is_done || outcome.is_err(), "what was answered is there: {outcome:?}");
    // The same request again has one effect, whatever became of the first.
    let again = next.write(write(act(), Some("key"))).await.unwrap();
    if let Ok(first) = &outcome {
        assert_eq!(again.replies.len(), first.replies.len());
    }
    let new = state(&next).await;
    assert!(!is_done || new == between, "it was done already");
    assert_ne!(new, old);
    assert_eq!(epoch(&next).await, changes + 1, "one change of the catalog");
    all_runs_end(&next).await;
    audit(&next).await;
    driver.abort();
    plan.has_struck()
}

/// Goes through the operations in steps, until a run ends before the fault is reached.
fn sweep(open: fn() -> Opened, act: fn() -> Vec<DefinitionCommand>, step: usize) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for fault in Fault::ALL {
            // There are few commits, so that none is left out.
            let step = if fault == Fault::Lost { 1 } else { step };
            let mut reached = 0;
            for number in (1..).step_by(step) {
                if !once(open, act, Plan::new(fault, number)).await {
                    break;
                }
                reached += 1;
            }
            assert!(reached > 1, "{fault:?} was reached {reached} times");
        }
    });
}

macro_rules! sweeps {
    ($store:ident, $step:literal: $($act:ident),+) => {
        mod $store {
            $(
                #[test]
                fn $act() {
                    super::sweep(super::$store, super::$act, $step);
                }
            )+
        }
    };
}

sweeps!(memory, 1: publish, retract, delete, rollback, bundle);
sweeps!(sqlite, 5: publish, retract, delete, rollback, bundle);
sweeps!(postgres, 29: publish, retract, delete, rollback, bundle);
