//! What an instance was at an entry of its journal.

use model::{Error, Id, InstanceAnswer, Result, limits};
use store::{PRIMARY, Range, Tx, TxExt as _, Value};

use super::rows::{InstanceRow, JournalRow};
use crate::run::{Program, Record, State, retake};

/// An instance with the beginning of its journal.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The incarnation of its definition.
    pub definition: Id,
    /// The version that it follows.
    pub version: String,
    /// The entries up to the one that is asked about, which is the last.
    records: Vec<Record>,
}

/// Loads what is needed to tell what an instance was at an entry of its journal.
///
/// # Errors
/// [`Error::NoSuchInstance`]; [`Error::BadInput`] if there is no such entry;
/// [`Error::TooLarge`] if there are too many before it.
pub fn replay(tx: &mut dyn Tx, namespace: Id, instance: Id, seq: u64) -> Result<Replay> {
    let row: Option<InstanceRow> = tx.get(InstanceRow::key(namespace, instance))?;
    let row = row.ok_or_else(|| Error::NoSuchInstance(instance.to_string()))?;
    let size = usize::try_from(seq).unwrap_or(usize::MAX);
    if size > limits::REPLAY_MAX {
        let what = "entries of a journal that are gone through again";
        return Err(Error::too_large(what, size, limits::REPLAY_MAX));
    }
    let range = Range::prefix([Value::id(namespace), Value::id(instance)]).upto(Value::id(seq));
    let rows: Vec<JournalRow> = tx.find(PRIMARY, &range, limits::REPLAY_MAX as u32)?;
    if seq == 0 || rows.len() != size {
        return Err(Error::bad_input(format!(
            "the journal of instance {instance} does not have all entries up to {seq}"
        )));
    }
    let InstanceRow { definition, body, .. } = row;
    let records = rows.into_iter().map(|row| row.record).collect();
    Ok(Replay { definition, version: body.version, records })
}

impl Replay {
    /// Takes all entries again, and shows the states before and after the last.
    pub async fn states(self, program: &Program) -> InstanceAnswer {
        let mut state = State::default();
        let last = self.records.len().saturating_sub(1);
        let mut before = None;
        for (place, record) in self.records.iter().enumerate() {
            if place == last {
                before = Some(state.view(program));
            }
            state = retake(program, state, record).await.0;
        }
        InstanceAnswer::States(before.unwrap_or_default(), state.view(program))
    }
}
