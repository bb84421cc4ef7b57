//! What it costs to ask triggers whether an event is for them, and to compute an expression.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, bail, ensure};
use engine::expr::{Pool, PoolOptions};
use flow::{
    publish::{OnEvent, TriggerBody, TriggerRow, TriggerSpec, match_key},
    run::{Answer as Computed, Ask},
};
use model::{
    Answer, Backend, Id, InstanceAnswer, InstanceQuery, Namespace, Query, QueueCommand, Write,
};
use serde_json::json;
use store::{Job, Sqlite, SqliteOptions, Store, Tx, TxExt as _};
use tokio::{runtime::Runtime, sync::oneshot};

use super::place::{self, NAMESPACE};
use crate::bench::{figure::Figure, inside, plan::Plan, report::grouped};

/// What the figures stand under.
pub(super) const PART: &str = "triggers and expressions, in process";
/// What the figures are called.
pub(super) const EACH: &str = "one candidate of 1,000 triggers for an event";
pub(super) const JQ_ONE: &str = "one expression in the child";
pub(super) const JQ_MANY: &str = "100 expressions in one call";

/// How many triggers there are, of which one is for the event.
const AMONG: [u64; 3] = [10, 1_000, 100_000];
/// Triggers that are all for one type of event.
const CANDIDATES: u64 = 1_000;
/// What no shortcut knows.
const EXPRESSION: &str = "[.list[] | select(. % 2 == 0) | . * 3] | add";

/// Gives the name of the figure for an event among so many triggers.
pub(super) fn among(triggers: u64) -> String {
    format!("an event for one of {} triggers", grouped(triggers as f64))
}

/// Tells whether any of it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    let fixed = [EACH, JQ_ONE, JQ_MANY].into_iter().any(|what| plan.wants(PART, what, None));
    fixed || AMONG.into_iter().any(|count| plan.wants(PART, &among(count), None))
}

/// Measures microseconds.
pub(super) fn measure(plan: &Plan, folder: &Path) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut figures = Vec::new();
    let mut few: Option<Figure> = None;
    for count in AMONG {
        let bench = Bench::make(&runtime, folder, count, |number| format!("kind.{number}"))?;
        let (matches, micros) = bench.ask("kind.7", plan.samples)?;
        ensure!(matches == 1, "{matches} triggers were for an event of one");
        let figure = Figure::new(PART, among(count), micros, "µs");
        figures.push(figure.clone().bounded("10", few.as_ref()));
        few.get_or_insert(figure);
    }
    let bench = Bench::make(&runtime, folder, CANDIDATES, |_| "kind.all".to_owned())?;
    let (matches, micros) = bench.ask("kind.all", plan.samples / 5)?;
    ensure!(matches == CANDIDATES as usize, "{matches} triggers were for an event of all");
    figures.push(Figure::new(PART, EACH, micros / CANDIDATES as f64, "µs"));
    figures.extend(runtime.block_on(expressions(plan))?);
    runtime.shutdown_background();
    figures.retain(|figure| plan.wants(PART, &figure.what, None));
    Ok(figures)
}

/// A store with triggers in it.
struct Bench<'a> {
    runtime: &'a Runtime,
    backend: Arc<dyn Backend>,
    namespace: Namespace,
}

impl<'a> Bench<'a> {
    /// Makes so many triggers, each for events of the type that is made of its number.
    fn make(
        runtime: &'a Runtime,
        folder: &Path,
        count: u64,
        kind: impl Fn(u64) -> String,
    ) -> Result<Self> {
        let database = folder.join(format!("triggers-{count}-{}.db", kind(0)));
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(database, SqliteOptions::default())?);
        let backend = inside::start(Arc::clone(&store), runtime);
        let namespace = Namespace::new(NAMESPACE)?;
        let create = Write::one(&namespace, QueueCommand::CreateNamespace);
        runtime.block_on(backend.write(create))?;
        let rows: Vec<TriggerRow> = (0..count).map(|number| row(number, &kind(number))).collect();
        for some in rows.chunks(1_000) {
            let (reply, answer) = oneshot::channel();
            let namespace = namespace.clone();
            store.write(Box::new(Put { namespace, rows: some.to_vec(), reply }));
            runtime.block_on(answer).context("the store has stopped")??;
        }
        Ok(Self { runtime, backend, namespace })
    }

    /// Asks so often what the triggers say to an event of a type; gives how many say yes, and the
    /// median of the microseconds that it took.
    fn ask(&self, kind: &str, samples: usize) -> Result<(usize, f64)> {
        let event = place::event(kind, 1)?;
        let (mut matches, mut spans) = (0, Vec::new());
        for _ in 0..samples.max(5) {
            let query = InstanceQuery::Match(event.clone());
            let query = Query::Instances(self.namespace.clone(), query);
            let before = Instant::now();
            let read = self.runtime.block_on(self.backend.read(query, 0))?;
            spans.push(before.elapsed().as_secs_f64() * 1e6);
            let Answer::Instances(InstanceAnswer::Explained(explained)) = read.answer else {
                bail!("triggers were asked, and something else answered");
            };
            matches = explained.iter().filter(|one| one.is_match).count();
        }
        Ok((matches, crate::bench::figure::median(spans)))
    }
}

fn row(number: u64, kind: &str) -> TriggerRow {
    let with = json!({"type": kind, "data": "${ .n > 5 }"});
    let on = OnEvent {
        with,
        correlate: json!(null),
        all: Vec::new(),
        key: None,
        overlap: flow::Overlap::Allow,
    };
    TriggerRow {
        namespace: 0,
        definition: number + 1,
        name: "on".to_owned(),
        match_key: Some(match_key(Some(kind))),
        route: None,
        body: TriggerBody {
            definition: format!("definition-{number}"),
            version: "1.0.0".to_owned(),
            revision: 1,
            spec_hash: number.to_string(),
            spec: TriggerSpec::Event(on),
        },
    }
}

/// Puts triggers into a namespace.
struct Put {
    namespace: Namespace,
    rows: Vec<TriggerRow>,
    reply: oneshot::Sender<model::Result<()>>,
}

impl Job for Put {
    fn run(&mut self, tx: &mut dyn Tx) -> model::Result<()> {
        let (_, live): (_, Id) = queue::live(tx, &self.namespace)?;
        for row in &self.rows {
            tx.put(&TriggerRow { namespace: live, ..row.clone() })?;
        }
        Ok(())
    }

    fn done(self: Box<Self>, outcome: model::Result<()>) {
        // A caller that has gone needs no answer.
        let _gone = self.reply.send(outcome);
    }
}

/// Measures expressions in a child of this program.
async fn expressions(plan: &Plan) -> Result<Vec<Figure>> {
    let pool = Pool::new(PoolOptions::of_this_program());
    let ask = |number: usize| Ask::Expression {
        source: EXPRESSION.to_owned(),
        input: json!({"list": [number, 2, 3, 4, 5, 6, 7, 8]}),
        variables: BTreeMap::new(),
        secrets: false,
    };
    let mut figures = Vec::new();
    for (what, count) in [(JQ_ONE, 1), (JQ_MANY, 100)] {
        let mut spans = Vec::new();
        for _ in 0..plan.samples.max(10) {
            let asks: Vec<Ask> = (0..count).map(ask).collect();
            let before = Instant::now();
            let answers = pool.evaluate(asks).await;
            spans.push(before.elapsed().as_secs_f64() * 1e6);
            let is_right = |answer: &Computed| matches!(answer, Computed::Value(_));
            ensure!(answers.len() == count && answers.iter().all(is_right), "{answers:?}");
        }
        figures.push(Figure::new(PART, what, crate::bench::figure::median(spans), "µs"));
    }
    Ok(figures)
}
