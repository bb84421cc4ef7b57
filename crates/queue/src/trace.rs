//! The spans of work: what a commit tells of attempts and units that ended.

use model::{AttemptRef, AttemptStatus, EventBody, Id, Result, Span, SpanKind, Time, TraceContext};
use store::{Tx, TxExt as _};

use crate::rows::{AttemptRow, SpecRow, UnitRow};

/// Gives the spans of the attempts that ended in a commit, and of units that are done with them,
/// as far as their traces are recorded.
pub fn spans(tx: &mut dyn Tx, live: Id, events: &[EventBody]) -> Result<Vec<Span>> {
    let mut spans = Vec::new();
    for event in events {
        let (spec, unit, id, is_done) = match event {
            EventBody::UnitFinished(spec, unit, id) | EventBody::UnitFailed(spec, unit, id) => {
                (spec, unit, *id, true)
            }
            EventBody::UnitReleased(spec, unit, id) => (spec, unit, *id, false),
            _ => continue,
        };
        let attempt = AttemptRef { spec: spec.clone(), unit: unit.clone(), id };
        let Some((unit, row)) = find(tx, live, &attempt)? else { continue };
        let Some(context) = TraceContext::in_data(&unit.data).filter(|c| c.is_sampled()) else {
            continue;
        };
        let whole = context.unit(spec.as_str(), unit.name.as_bytes(), unit.id);
        let end = row.end.unwrap_or(row.start);
        spans.push(of_attempt(&attempt, &row, (context.attempt(&attempt), whole), end));
        if is_done {
            spans.push(Span {
                context: whole,
                parent: Some(context),
                name: format!("unit {spec}"),
                kind: SpanKind::Producer,
                start: unit.created,
                end,
                is_error: row.status == AttemptStatus::Failed,
                attributes: vec![
                    ("lockstep.spec", spec.to_string()),
                    ("lockstep.unit", unit.name.to_string()),
                    ("lockstep.attempts", unit.attempts.to_string()),
                ],
            });
        }
    }
    Ok(spans)
}

fn find(tx: &mut dyn Tx, live: Id, of: &AttemptRef) -> Result<Option<(UnitRow, AttemptRow)>> {
    let Some(spec) = tx.get::<SpecRow>(SpecRow::key(live, &of.spec))? else { return Ok(None) };
    let Some(unit) = tx.get::<UnitRow>(UnitRow::key(live, spec.id, &of.unit))? else {
        return Ok(None);
    };
    let row = tx.get::<AttemptRow>(AttemptRow::key(live, unit.id, of.id))?;
    Ok(row.map(|row| (unit, row)))
}

/// Gives the span from the claim to the end.
fn of_attempt(
    attempt: &AttemptRef,
    row: &AttemptRow,
    (context, unit): (TraceContext, TraceContext),
    end: Time,
) -> Span {
    Span {
        context,
        parent: Some(unit),
        name: format!("attempt {}", attempt.spec),
        kind: SpanKind::Consumer,
        start: row.start,
        end,
        is_error: matches!(row.status, AttemptStatus::Failed | AttemptStatus::Expired),
        attributes: vec![
            ("lockstep.spec", attempt.spec.to_string()),
            ("lockstep.unit", attempt.unit.to_string()),
            ("lockstep.attempt", attempt.id.to_string()),
            ("lockstep.worker", row.names.worker.to_string()),
            ("lockstep.status", row.status.as_str().to_owned()),
        ],
    }
}
