//! Stages that are added: in order, able to refuse, in the transaction, and tried again.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use engine::{
    CommitStage, Engine, Extensions, Order, PrepareStage, Proposal, SettleStage, SystemClock,
};
use flow::publish::Change;
use model::{
    Answer, Backend as _, BoxFuture, Definition, DefinitionAnswer, DefinitionCommand,
    DefinitionQuery, Error, Namespace, Publish, Query, Reply, Result, Run, Terms, Until, Write,
};
use queue::Work;
use store::Memory;

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn add(&self, note: &str) {
        self.0.lock().unwrap().push(note.to_owned());
    }
}

struct Stage {
    id: &'static str,
    after: &'static [&'static str],
    refuses: bool,
    notes: Arc<Notes>,
    fails: AtomicU32,
}

fn stage(id: &'static str, after: &'static [&'static str], notes: &Arc<Notes>) -> Stage {
    Stage { id, after, refuses: false, notes: notes.clone(), fails: AtomicU32::new(0) }
}

impl Stage {
    fn order_of(&self) -> Order {
        let after = self.after.iter().map(|id| (*id).to_owned()).collect();
        Order { after, ..Order::default() }
    }

    fn outcome(&self) -> Result<String> {
        self.notes.add(self.id);
        if self.refuses {
            let (stage, why) = (self.id.to_owned(), "not on a Sunday".to_owned());
            return Err(Error::Refused { stage, why });
        }
        Ok("looked".to_owned())
    }
}

impl PrepareStage for Stage {
    fn id(&self) -> &str {
        self.id
    }

    fn order(&self) -> Order {
        self.order_of()
    }

    fn run<'a>(&'a self, proposal: Proposal<'a>) -> BoxFuture<'a, Result<String>> {
        assert_eq!(proposal.changes.len(), 1);
        Box::pin(async { self.outcome() })
    }
}

impl CommitStage for Stage {
    fn id(&self) -> &str {
        self.id
    }

    fn run(&self, _: &mut Work<'_>, changes: &[Change]) -> Result<String> {
        assert_eq!(changes[0].name, "a");
        self.outcome()
    }
}

impl SettleStage for Stage {
    fn id(&self) -> &str {
        self.id
    }

    fn run<'a>(
        &'a self,
        _: &'a Namespace,
        definition: &'a Definition,
    ) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let left = self.fails.load(Ordering::SeqCst);
            if left > 0 {
                self.fails.store(left - 1, Ordering::SeqCst);
                return Err(Error::Unavailable("the outside is away".to_owned()));
            }
            self.notes.add(&format!("{} at {}", self.id, definition.revision));
            Ok(String::new())
        })
    }
}

fn engine(extensions: Extensions) -> Arc<Engine> {
    Engine::extended(Arc::new(Memory::new()), Arc::new(SystemClock), extensions).unwrap()
}

async fn publish(engine: &Engine, version: &str) -> Result<model::Published> {
    let source = format!(
        "document: {{dsl: '1.0.3', namespace: x, name: a, version: '{version}'}}\n\
         schedule: {{every: PT5M}}\ndo: [{{x: {{set: {{a: 1}}}}}}]\n"
    );
    let terms = Terms { until: Until::Settled, ..Terms::default() };
    let command = DefinitionCommand::Publish(Publish { source, base: None, terms });
    let committed = engine.write(Write::one(&namespace(), command)).await?;
    match committed.replies.into_iter().next() {
        Some(Reply::Definition(published)) => Ok(published),
        other => panic!("{other:?}"),
    }
}

fn namespace() -> Namespace {
    Namespace::new("x").unwrap()
}

async fn ask(engine: &Engine, query: DefinitionQuery) -> Result<DefinitionAnswer> {
    match engine.read(Query::Definitions(namespace(), query), 0).await?.answer {
        Answer::Definitions(answer) => Ok(answer),
        other => panic!("{other:?}"),
    }
}

async fn run(engine: &Engine, id: u64) -> Run {
    match ask(engine, DefinitionQuery::Run(id)).await {
        Ok(DefinitionAnswer::Runs(mut runs)) => runs.remove(0),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn stages_run_in_their_declared_order() {
    let notes = Arc::new(Notes::default());
    let engine = engine(Extensions {
        prepare: vec![
            Arc::new(stage("first", &["second"], &notes)),
            Arc::new(stage("second", &[], &notes)),
        ],
        commit: vec![Arc::new(stage("along", &[], &notes))],
        settle: vec![Arc::new(stage("outside", &[], &notes))],
    });
    let published = publish(&engine, "1.0.0").await.unwrap();
    assert_eq!(published.state, "settled");
    let noted = notes.0.lock().unwrap().clone();
    assert_eq!(noted, ["second", "first", "along", "outside at 1"]);
    let run = run(&engine, published.run).await;
    let names: Vec<_> = run.stages.iter().map(|it| it.name.as_str()).collect();
    let at = |name: &str| names.iter().position(|it| *it == name).unwrap();
    assert!(at("plan-triggers") < at("prepare:second"));
    assert!(at("prepare:first") < at("seal"));
    assert!(at("write-effects") < at("commit:along") && at("commit:along") < at("flip-head"));
    assert!(at("barrier") < at("settle:outside") && at("settle:outside") < at("announce"));
    let Ok(DefinitionAnswer::Pipeline(pipeline)) = ask(&engine, DefinitionQuery::Pipeline).await
    else {
        panic!("no pipeline");
    };
    assert_eq!(run.fingerprint, pipeline.fingerprint);
    let plain = super::extensions::engine(Extensions::default());
    let Ok(DefinitionAnswer::Pipeline(other)) = ask(&plain, DefinitionQuery::Pipeline).await else {
        panic!("no pipeline");
    };
    assert_ne!(other.fingerprint, pipeline.fingerprint, "nodes that differ are seen to");
}

/// H7 of the design: what comes after the save cannot leave a definition without its triggers.
#[tokio::test]
async fn h7_a_stage_that_fails_leaves_everything_as_it_was() {
    let notes = Arc::new(Notes::default());
    for extensions in [
        Extensions {
            prepare: vec![Arc::new(Stage { refuses: true, ..stage("no", &[], &notes) })],
            ..Extensions::default()
        },
        Extensions {
            commit: vec![Arc::new(Stage { refuses: true, ..stage("no", &[], &notes) })],
            ..Extensions::default()
        },
    ] {
        let engine = engine(extensions);
        let refused = publish(&engine, "1.0.0").await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
        let none = ask(&engine, DefinitionQuery::One("a".to_owned())).await;
        assert!(matches!(none, Err(Error::NoSuchDefinition(_))), "{none:?}");
        let triggers = ask(&engine, DefinitionQuery::Triggers(None)).await;
        assert_eq!(triggers, Ok(DefinitionAnswer::Triggers(Vec::new())));
        let findings = ask(&engine, DefinitionQuery::Audit).await;
        assert_eq!(findings, Ok(DefinitionAnswer::Audit(Vec::new())));
    }
}

#[tokio::test]
async fn what_cannot_be_settled_is_tried_again() {
    let notes = Arc::new(Notes::default());
    let flaky = Stage { fails: AtomicU32::new(1), ..stage("outside", &[], &notes) };
    let settle: Vec<Arc<dyn SettleStage>> = vec![Arc::new(flaky)];
    let engine = engine(Extensions { settle, ..Extensions::default() });
    let due = tokio::spawn(engine.clone().run_due());
    let driver = tokio::spawn(engine.clone().run_workflows());
    let published = publish(&engine, "1.0.0").await.unwrap();
    assert_eq!(published.state, "degraded", "it is published all the same");
    while run(&engine, published.run).await.state != "settled" {
        tokio::task::yield_now().await;
    }
    assert_eq!(*notes.0.lock().unwrap(), ["outside at 1"]);
    due.abort();
    driver.abort();
}

#[test]
fn a_circle_of_stages_does_not_start() {
    let notes = Arc::new(Notes::default());
    let prepare: Vec<Arc<dyn PrepareStage>> =
        vec![Arc::new(stage("one", &["two"], &notes)), Arc::new(stage("two", &["one"], &notes))];
    let extensions = Extensions { prepare, ..Extensions::default() };
    let made = Engine::extended(Arc::new(Memory::new()), Arc::new(SystemClock), extensions);
    assert!(matches!(made, Err(Error::BadInput(_))));
}
