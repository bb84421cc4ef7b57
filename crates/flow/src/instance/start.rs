//! Starting instances: by hand, by triggers, by steps of others, and anew from a step.

use model::{Error, Id, InstanceStatus, Reply, Result, Start, TraceContext};
use queue::Work;
use serde_json::Value as Json;
use store::TxExt as _;

use super::{
    definition, message,
    rows::{Cause, InstanceBody, InstanceRow},
    trace, turn,
};
use crate::run::{self, ChildPlan, Fault, Message, Standard, StepResult, Uncaught};

/// An instance to begin.
pub(super) struct Begin<'b> {
    /// The name of the definition.
    pub(super) definition: &'b str,
    /// The version; none is the published one.
    pub(super) version: Option<&'b str>,
    /// What the workflow, or the step that it begins at, takes.
    pub(super) input: Json,
    /// What starts it.
    pub(super) cause: Cause,
    /// The step that it begins at.
    pub(super) from: Option<String>,
    /// The context that it begins with.
    pub(super) context: Option<Json>,
    /// See [`InstanceBody::depth`].
    pub(super) depth: u32,
    /// See [`InstanceBody::traceparent`].
    pub(super) traceparent: Option<String>,
}

/// Begins an instance. The head row is read in the transaction that starts it, so that nothing is
/// started from a version that was not the published one at that moment.
pub(super) fn begin(work: &mut Work<'_>, begin: Begin<'_>) -> Result<Id> {
    let live = work.live();
    let head = definition::head(work.tx, live, begin.definition)?;
    let (definition, chosen) = definition::choose(work.tx, head, begin.version)?;
    let id = work.next_id();
    // What is started by due work has no chance of its own, so the id makes the difference.
    let seed = work.draw() ^ id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let place = match &chosen.turns {
        Some(turns) => Some(turn::take(work, definition, (turns, &begin.input), id)?),
        None => None,
    };
    let waits = place.as_ref().is_some_and(|place| place.waits);
    let seal = work.draw() ^ seed.rotate_left(23).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let input = begin.input.clone();
    let start = run::Start {
        id: id.to_string(),
        seed,
        input: begin.input,
        from: begin.from,
        context: begin.context,
        uncaught: Uncaught::Fault,
    };
    let body = InstanceBody {
        definition: begin.definition.to_owned(),
        version: chosen.version,
        hash: chosen.hash,
        seq: 0,
        started: work.now,
        ended: None,
        cause: begin.cause,
        input,
        output: Json::Null,
        error: Json::Null,
        state: None,
        line: place.map(|place| place.line),
        waiting: waits.then(|| Box::new(start.clone())),
        traceparent: begin.traceparent,
        seal,
        depth: begin.depth,
        events_after: id,
        children: Vec::new(),
    };
    let namespace = work.live();
    let status = if waits { InstanceStatus::Waiting } else { InstanceStatus::Running };
    work.tx.add(&InstanceRow { namespace, id, definition, status, body })?;
    if waits {
        message::touch(work, id);
    } else {
        message::tell(work, id, Message::Start(Box::new(start)), None)?;
    }
    Ok(id)
}

/// Starts an instance because somebody asks for it.
pub(super) fn start(work: &mut Work<'_>, start: &Start) -> Result<Reply> {
    let traceparent = start.traceparent.clone();
    // What is no trace context is of no use, and may be long.
    let traceparent = traceparent.filter(|text| TraceContext::parse(text).is_some());
    let begun = begin(
        work,
        Begin {
            definition: &start.definition,
            version: None,
            input: start.input.clone(),
            cause: Cause::Manual,
            from: None,
            context: None,
            depth: 0,
            traceparent,
        },
    )?;
    Ok(Reply::Id(begun))
}

/// Starts an instance for a step of another. What cannot be started fails the step and nothing
/// else.
pub(super) fn child(work: &mut Work<'_>, row: &mut InstanceRow, plan: &ChildPlan) -> Result<()> {
    let step = (!plan.detached).then(|| plan.step.clone());
    let begun = if plan.namespace == work.name().as_str() {
        begin(
            work,
            Begin {
                definition: &plan.name,
                version: plan.version.as_deref(),
                input: plan.input.clone(),
                cause: Cause::Step { parent: row.id, step: step.clone() },
                from: None,
                context: None,
                depth: row.body.depth,
                traceparent: trace::of(work, row),
            },
        )
    } else {
        Err(Error::bad_input(format!(
            "a workflow can run others of its own namespace only, not of {:?}",
            plan.namespace
        )))
    };
    match (begun, step) {
        (Ok(id), Some(step)) => row.body.children.push((step, id)),
        (Ok(_), None) => {}
        (Err(error), _) if error.code().status >= 500 => return Err(error),
        (Err(error), _) => {
            let fault = Fault::standard(Standard::Configuration, error.to_string());
            let (step, result) = (plan.step.clone(), StepResult::Fault(fault));
            message::tell(work, row.id, Message::ChildDone { step, result }, None)?;
        }
    }
    Ok(())
}

/// Cancels the instance that a step waits for.
pub(super) fn cancel_child(work: &mut Work<'_>, row: &mut InstanceRow, step: &str) -> Result<()> {
    let Some(position) = row.body.children.iter().position(|(known, _)| known == step) else {
        return Ok(());
    };
    let (_, child) = row.body.children.remove(position);
    let reason = Some(format!("instance {} no longer waits for it", row.id));
    message::tell(work, child, Message::Cancel { reason }, None)
}
