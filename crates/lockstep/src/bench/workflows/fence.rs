//! What the fence costs: a start reads the head and the version that it starts from in its own
//! transaction; the same rows are also written without looking at either.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Context as _, Result};
use flow::{
    TimerKind, TimerRow,
    instance::{Cause, InboxRow, InstanceBody, InstanceRow},
    run::{Delivery, Message, Start, Uncaught},
};
use model::{
    Command, DefinitionCommand, EventBody, InstanceCommand, InstanceStatus, Namespace, Publish,
    Reply, Terms, Time, Write,
};
use queue::Work;
use serde_json::Value as Json;
use store::{Job, Sqlite, SqliteOptions, Store, Tx, TxExt as _};
use tokio::sync::oneshot;

use super::{instances::PART, place};
use crate::bench::{
    figure::{Figure, median},
    inside,
    plan::Plan,
};

/// What the figure is called.
pub(super) const WHAT: &str = "start with the fence, against the same rows without";

/// Starts of one transaction, so that what is timed is not the disk.
const BATCH: usize = 100;

/// When all of them are started, as far as they know: nothing that follows falls due meanwhile.
const NOW: Time = Time(4_000_000_000_000_000_000);

/// Tells whether it is asked for.
pub(super) fn is_wanted(plan: &Plan) -> bool {
    plan.wants(PART, WHAT, None)
}

/// Measures the microseconds of one start, in turns with one without the fence.
pub(super) fn measure(plan: &Plan, folder: &Path) -> Result<Vec<Figure>> {
    let store: Arc<dyn Store> =
        Arc::new(Sqlite::open(folder.join("fence.db"), SqliteOptions::default())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let backend = inside::start(Arc::clone(&store), &runtime);
    let source = format!("{}do:\n  - one: {{set: {{n: 1}}}}\n", place::head("fence", 0));
    let publish = Publish { source, base: None, terms: Terms::default() };
    let command = Command::from(DefinitionCommand::Publish(publish));
    let namespace = Namespace::new(place::NAMESPACE)?;
    runtime.block_on(backend.write(Write::one(&namespace, command)))?;
    let (mut fenced, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..plan.samples.max(10) {
        fenced.push(runtime.block_on(timed(&store, fenced_start))?);
        bare.push(runtime.block_on(timed(&store, bare_start))?);
    }
    runtime.shutdown_background();
    let floor = Figure::new(PART, "without", median(bare), "µs");
    let figure = Figure::new(PART, WHAT, median(fenced), "µs");
    Ok(vec![figure.bounded("bare", Some(&floor))])
}

type Rule = fn(&mut Work<'_>) -> model::Result<()>;

/// Gives the microseconds that a rule takes, of many in one transaction, without the commit.
async fn timed(store: &Arc<dyn Store>, rule: Rule) -> Result<f64> {
    let (reply, answer) = oneshot::channel();
    store.write(Box::new(Starts { rule, micros: f64::NAN, reply }));
    let micros = answer.await.context("the store has stopped")??;
    Ok(micros)
}

struct Starts {
    rule: Rule,
    micros: f64,
    reply: oneshot::Sender<model::Result<f64>>,
}

impl Job for Starts {
    fn run(&mut self, tx: &mut dyn Tx) -> model::Result<()> {
        let mut work = Work::open(tx, &Namespace::new(place::NAMESPACE)?, NOW, 7)?;
        let before = Instant::now();
        for _ in 0..BATCH {
            (self.rule)(&mut work)?;
        }
        self.micros = before.elapsed().as_secs_f64() * 1e6 / BATCH as f64;
        work.close().map(drop)
    }

    fn done(self: Box<Self>, outcome: model::Result<()>) {
        let Self { micros, reply, .. } = *self;
        // A caller that has gone needs no answer.
        let _gone = reply.send(outcome.map(|()| micros));
    }
}

fn fenced_start(work: &mut Work<'_>) -> model::Result<()> {
    let start =
        model::Start { definition: "fence".to_owned(), input: Json::Null, traceparent: None };
    match flow::instance::apply(work, &InstanceCommand::Start(start))? {
        Reply::Id(_) => Ok(()),
        other => Err(model::Error::Internal(format!("a start was answered with {other:?}"))),
    }
}

/// Writes what a start writes, of a version that somebody remembers.
fn bare_start(work: &mut Work<'_>) -> model::Result<()> {
    let (namespace, id, now) = (work.live(), work.next_id(), work.now);
    let seed = work.draw() ^ id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let body = InstanceBody {
        definition: "fence".to_owned(),
        version: "1.0.0".to_owned(),
        hash: "0".repeat(64),
        seq: 0,
        started: now,
        ended: None,
        cause: Cause::Manual,
        input: Json::Null,
        output: Json::Null,
        error: Json::Null,
        state: None,
        line: None,
        waiting: None,
        traceparent: None,
        seal: 0,
        depth: 0,
        events_after: id,
        children: Vec::new(),
    };
    let status = InstanceStatus::Finished;
    work.tx.put(&InstanceRow { namespace, id, definition: 1, status, body })?;
    let start = Start {
        id: id.to_string(),
        seed,
        input: Json::Null,
        from: None,
        context: None,
        uncaught: Uncaught::Fault,
    };
    let delivery = Delivery { at: now, message: Message::Start(Box::new(start)) };
    let seq = work.next_id();
    work.tx.put(&InboxRow { namespace, instance: id, seq, delivery, event: None })?;
    work.tx.put(&TimerRow::new(namespace, TimerKind::Advance, id, "", Time::MAX))?;
    work.events.push(EventBody::InstancesChanged(vec![id]));
    Ok(())
}
