//! Events by which others can follow an instance: those of its lifecycle, as far as a trigger or a
//! wait asks for them by their type.
//!
//! What starts because of them must not go on for ever: a definition is never started by its own
//! instances in this way, and at most so many instances follow from each other.

use std::collections::BTreeMap;

use model::{CloudEvent, Id, Result};
use queue::Work;
use store::{Range, Row, TxExt as _, Value, tables};

use super::{
    advance::cloud_event,
    event, message,
    rows::{EventRow, InstanceRow, WaitRow},
};
use crate::{
    limits,
    publish::{TriggerRow, match_key},
    run::{Program, Record, lifecycle},
};

/// What the types of these events begin with.
const PREFIX: &str = "io.serverlessworkflow.";
/// What comes after all types that begin so.
const BEHIND: &str = "io.serverlessworkflow/";

/// Tells whether an event is of the lifecycle of an instance, and not merely called so by somebody
/// outside.
pub(super) fn is_lifecycle(row: &EventRow) -> bool {
    row.origin.is_some() && row.event.kind.starts_with(PREFIX)
}

/// The types of lifecycle events that somebody asks for.
pub(super) struct Followed {
    is_any: bool,
    types: BTreeMap<String, bool>,
}

impl Followed {
    /// Looks whether anybody asks for any.
    pub(super) fn look(work: &mut Work<'_>) -> Result<Self> {
        let bytes = |text| Value::Bytes(match_key(Some(text)).into());
        let range =
            Range::prefix([Value::id(work.live())]).after(Some(bytes(PREFIX))).upto(bytes(BEHIND));
        let is_any = is_there::<TriggerRow>(work, tables::TRIGGER_MATCH, &range)?
            || is_there::<WaitRow>(work, tables::WAIT_MATCH, &range)?;
        Ok(Self { is_any, types: BTreeMap::new() })
    }

    fn wants(&mut self, work: &mut Work<'_>, kind: &str) -> Result<bool> {
        if let Some(known) = self.types.get(kind) {
            return Ok(*known);
        }
        let key = Value::Bytes(match_key(Some(kind)).into());
        let range = Range::prefix([Value::id(work.live()), key]);
        let is_wanted = is_there::<TriggerRow>(work, tables::TRIGGER_MATCH, &range)?
            || is_there::<WaitRow>(work, tables::WAIT_MATCH, &range)?;
        self.types.insert(kind.to_owned(), is_wanted);
        Ok(is_wanted)
    }

    /// Sends what a row of a journal tells to those who ask for it.
    pub(super) fn tell(
        &mut self,
        work: &mut Work<'_>,
        row: &InstanceRow,
        program: &Program,
        record: &Record,
    ) -> Result<()> {
        if !self.is_any {
            return Ok(());
        }
        for event in lifecycle(program, &row.id.to_string(), row.body.seq, record) {
            let event: CloudEvent = cloud_event(&event)?;
            if self.wants(work, &event.kind)? {
                event::emit(work, row, event)?;
            }
        }
        Ok(())
    }
}

fn is_there<R: Row>(work: &mut Work<'_>, index: usize, range: &Range) -> Result<bool> {
    Ok(!work.tx.find::<R>(index, range, 1)?.is_empty())
}

/// Which triggers an event must not fire.
pub(super) enum Barred {
    /// None but those that their other conditions keep back.
    None,
    /// All: too many instances have followed from each other, or nobody knows how many.
    All,
    /// Those of the definition of the instance that the event is of, and those without a type.
    Own(Id),
}

impl Barred {
    /// Looks at where an event comes from.
    pub(super) fn of(work: &mut Work<'_>, row: &EventRow) -> Result<Self> {
        let Some(origin) = row.origin.filter(|_| is_lifecycle(row)) else { return Ok(Self::None) };
        Ok(match message::find(work, origin)? {
            Some(from) if from.body.depth < limits::FOLLOWING_MAX => Self::Own(from.definition),
            _ => Self::All,
        })
    }

    /// Tells whether a trigger is not even asked.
    pub(super) fn is_own(&self, trigger: &TriggerRow) -> bool {
        let is_untyped = trigger.match_key.as_deref() == Some(&match_key(None));
        match self {
            Self::None => false,
            Self::All => is_untyped,
            Self::Own(definition) => is_untyped || trigger.definition == *definition,
        }
    }
}

/// Gives how many instances have followed from each other when events start one more.
pub(super) fn depth(work: &mut Work<'_>, events: &[EventRow]) -> Result<u32> {
    let mut depth = 0;
    for row in events {
        let Some(origin) = row.origin else { continue };
        let from = message::find(work, origin)?.map_or(0, |from| from.body.depth);
        depth = depth.max(from + u32::from(is_lifecycle(row)));
    }
    Ok(depth)
}
