//! What follows a commit: until it holds everywhere, and until all that it wants is done. Anyone
//! can do it, and doing it twice is no harm.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use flow::{instance::Left, publish::RunRow};
use model::{Id, Namespace, Result, Stage, Until, limits};

use super::trace::Trace;
use crate::{
    node,
    shared::Shared,
    workflow::{
        job,
        settle::{self, Settled},
    },
};

/// Time between two looks at the other nodes, if no hint comes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How far a run is to be.
pub(super) struct Goal {
    pub(super) namespace: Namespace,
    pub(super) run: Id,
    pub(super) until: Until,
}

/// Takes up a run that nobody waits for any more.
pub(crate) async fn take_up(shared: &Arc<Shared>, namespace: &Namespace, run: Id) -> Result<()> {
    advance(shared, namespace, run, Until::Settled).await.map(drop)
}

/// A run that is handed on if its caller goes away.
struct Handed<'s> {
    shared: &'s Shared,
    goal: &'s Goal,
    is_over: bool,
}

impl Drop for Handed<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared.drivers.push(&self.goal.namespace, Left::Run(self.goal.run));
        }
    }
}

/// Finishes a run as far as its caller wants, and gives the state that it is in.
pub(super) async fn finish(shared: &Arc<Shared>, goal: Goal) -> String {
    let mut handed = Handed { shared, goal: &goal, is_over: false };
    if goal.until == Until::Committed {
        return "committed".to_owned();
    }
    let advance = advance(shared, &goal.namespace, goal.run, goal.until);
    match tokio::time::timeout(limits::PUBLISH_WAIT_MAX, advance).await {
        Ok(Ok(state)) => {
            handed.is_over = state == "settled";
            state
        }
        Ok(Err(error)) => {
            tracing::warn!(run = goal.run, %error, "a run could not be finished yet");
            "committed".to_owned()
        }
        Err(_) => "committed".to_owned(),
    }
}

/// Moves a run on until it is as far as wanted; gives the state that it is in then.
async fn advance(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    run: Id,
    until: Until,
) -> Result<String> {
    let Some(mut row) = load(shared, namespace, run).await? else {
        // Its namespace was destroyed, and everything in it.
        return Ok("settled".to_owned());
    };
    if row.body.run.state == "committed" {
        row = propagate(shared, namespace, row).await?;
    }
    let is_left = matches!(row.body.run.state.as_str(), "effective" | "degraded");
    if is_left && until == Until::Settled {
        row = settle(shared, namespace, row).await?;
    }
    Ok(row.body.run.state)
}

async fn load(shared: &Shared, namespace: &Namespace, run: Id) -> Result<Option<RunRow>> {
    let namespace = namespace.clone();
    job::look(shared, move |tx| flow::publish::run_of(tx, &namespace, run)).await
}

/// Waits until every other node has applied the change.
async fn propagate(shared: &Arc<Shared>, namespace: &Namespace, row: RunRow) -> Result<RunRow> {
    let mut trace = Trace::new(Arc::clone(&shared.clock));
    trace.stage("apply-local", || Ok(((), "with the commit".to_owned())))?;
    let poke = if shared.store.is_shared() { "with the commit" } else { "there is one node" };
    trace.stage("poke", || Ok(((), poke.to_owned())))?;
    let epoch = row.body.run.epoch.unwrap_or(0);
    trace.begin("barrier");
    let start = Instant::now();
    let seen = barrier(shared, epoch).await?;
    metrics::histogram!("lockstep_pipeline_barrier_seconds").record(start.elapsed().as_secs_f64());
    trace.end(seen);
    let mut state = "effective";
    if !settle::is_wanted(shared, &row) {
        trace.skip("effects", "nothing is wanted elsewhere");
        trace.stage("announce", || Ok(((), announce(namespace, &row))))?;
        state = "settled";
    }
    mark(shared, namespace, &row, state, trace.stages, None).await
}

/// Waits until each other node has applied an epoch, or its lease is over.
async fn barrier(shared: &Arc<Shared>, epoch: u64) -> Result<String> {
    if !shared.store.is_shared() {
        return Ok("there is one node".to_owned());
    }
    loop {
        let hinted = shared.hinted.notified();
        let of = Arc::clone(shared);
        let (late, seen) = job::look(shared, move |tx| node::behind(tx, &of, epoch)).await?;
        if late == 0 {
            return Ok(seen);
        }
        tokio::select! {
            () = hinted => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Waits until every other node has applied what is in the catalog by now, for so long as whoever
/// publishes would.
pub(crate) async fn everywhere(shared: &Arc<Shared>) {
    let wait = async {
        let epoch = job::look(shared, flow::publish::epoch).await?;
        barrier(shared, epoch).await
    };
    match tokio::time::timeout(limits::PUBLISH_WAIT_MAX, wait).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "nobody knows whether all nodes know of it"),
        Err(_) => tracing::warn!("not all nodes know of a namespace that was destroyed"),
    }
}

/// Does once what is left; what cannot be done is tried again later.
async fn settle(shared: &Arc<Shared>, namespace: &Namespace, row: RunRow) -> Result<RunRow> {
    let mut trace = Trace::new(Arc::clone(&shared.clock));
    let settled = settle::settle(shared, namespace, &row, &mut trace).await?;
    match settled {
        Settled::All => {
            trace.stage("announce", || Ok(((), announce(namespace, &row))))?;
            mark(shared, namespace, &row, "settled", trace.stages, None).await
        }
        Settled::Not(why) => {
            mark(shared, namespace, &row, "degraded", trace.stages, Some(why)).await
        }
    }
}

/// Tells the log what was done.
fn announce(namespace: &Namespace, row: &RunRow) -> String {
    let run = &row.body.run;
    let (operation, names) = (&run.operation, run.definitions.join(", "));
    tracing::info!(
        run = run.id,
        epoch = run.epoch,
        actor = run.actor,
        %namespace,
        "{operation} {names}"
    );
    format!("{operation} {names}")
}

/// Writes down how far a run has come, unless somebody else has brought it further.
async fn mark(
    shared: &Arc<Shared>,
    namespace: &Namespace,
    row: &RunRow,
    state: &'static str,
    stages: Vec<Stage>,
    error: Option<String>,
) -> Result<RunRow> {
    let seen = row.clone();
    let marked = job::change(shared, namespace, move |work| {
        let mut row = match RunRow::load(work, seen.body.run.id)? {
            Some(row) if row.body.run.state == seen.body.run.state => row,
            Some(other) => return Ok(other),
            None => return Ok(seen.clone()),
        };
        let run = &mut row.body.run;
        state.clone_into(&mut run.state);
        run.error.clone_from(&error);
        run.stages.retain(|one| !stages.iter().any(|other| other.name == one.name));
        run.stages.extend(stages.iter().cloned());
        run.ended = Some(work.now).filter(|_| state == "settled");
        row.body.tries = if state == "degraded" { row.body.tries + 1 } else { 0 };
        row.save(work)?;
        Ok(row)
    });
    Ok(marked.await?.value)
}
