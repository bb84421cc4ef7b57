//! Turns: how many instances of a definition are under way at one time, by key.

use std::collections::VecDeque;

use model::{Error, Id, InstanceStatus, Result};
use queue::Work;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use store::{TxExt as _, tables};

use super::{message, rows::InstanceRow};
use crate::{
    concurrency::{Beyond, Turns},
    definition::hex,
    limits,
    rows::{body, json},
    run::Message,
    timer::{TimerKind, TimerRow},
};

/// Who is under way, and who waits, both in the order in which they came.
#[derive(Default, Serialize, Deserialize)]
struct Line {
    running: Vec<Id>,
    #[serde(default)]
    waiting: VecDeque<Id>,
}

/// The place of an instance among those that it counts together with.
pub(super) struct Place {
    /// The name of the line.
    pub(super) line: String,
    /// Whether it has to wait.
    pub(super) waits: bool,
}

/// Says that there are as many instances as there may be.
pub(super) fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Refused { stage, .. } if stage == STAGE)
}

const STAGE: &str = "concurrency";

/// Puts an instance that starts into its line.
pub(super) fn take(
    work: &mut Work<'_>,
    definition: Id,
    (turns, input): (&Turns, &Json),
    id: Id,
) -> Result<Place> {
    let name = hex(&Sha256::digest(turns.key_of(input).to_string().as_bytes()));
    let mut line = load(work, definition, &name)?;
    let mut waits = false;
    if (line.running.len() as u64) < turns.limit {
        line.running.push(id);
    } else {
        match turns.beyond {
            Beyond::Wait if line.waiting.len() >= limits::TURNS_WAITING_MAX => {
                let (count, most) = (line.waiting.len() + 1, limits::TURNS_WAITING_MAX);
                return Err(Error::too_large("instances that wait for their turn", count, most));
            }
            Beyond::Wait => {
                waits = true;
                line.waiting.push_back(id);
            }
            Beyond::Refuse => {
                let why = format!("{} instances are under way already", line.running.len());
                return Err(Error::Refused { stage: STAGE.to_owned(), why });
            }
            Beyond::Cancel => {
                let oldest = line.running.remove(0);
                line.running.push(id);
                let reason = Some("another one takes its turn".to_owned());
                message::tell(work, oldest, Message::Cancel { reason }, None)?;
            }
        }
    }
    save(work, definition, &name, &line)?;
    Ok(Place { line: name, waits })
}

/// Lets the next one begin in the place of an instance that has ended.
pub(super) fn leave(work: &mut Work<'_>, row: &InstanceRow) -> Result<()> {
    let Some(name) = &row.body.line else { return Ok(()) };
    let mut line = load(work, row.definition, name)?;
    line.waiting.retain(|id| *id != row.id);
    if let Some(place) = line.running.iter().position(|id| *id == row.id) {
        line.running.remove(place);
        while let Some(next) = line.waiting.pop_front() {
            if begin(work, next)? {
                line.running.push(next);
                break;
            }
        }
    }
    save(work, row.definition, name, &line)
}

/// Begins an instance that has waited, unless it has ended meanwhile.
fn begin(work: &mut Work<'_>, id: Id) -> Result<bool> {
    let Some(mut row) = message::find(work, id)? else { return Ok(false) };
    let Some(start) = row.body.waiting.take().filter(|_| !row.status.is_over()) else {
        return Ok(false);
    };
    row.status = InstanceStatus::Running;
    work.tx.put(&row)?;
    message::tell(work, id, Message::Start(start), None)?;
    Ok(true)
}

fn load(work: &mut Work<'_>, definition: Id, name: &str) -> Result<Line> {
    let key = TimerRow::key(work.live(), TimerKind::Line, definition, name);
    let row: Option<TimerRow> = work.tx.get(key)?;
    row.map_or_else(|| Ok(Line::default()), |row| json("timer", &row.body))
}

fn save(work: &mut Work<'_>, definition: Id, name: &str, line: &Line) -> Result<()> {
    let row = TimerRow {
        namespace: work.live(),
        kind: TimerKind::Line,
        owner: definition,
        name: name.to_owned(),
        due: None,
        body: body(line),
    };
    if line.running.is_empty() && line.waiting.is_empty() {
        work.tx.remove(&tables::TIMER, &[row.own_key()])
    } else {
        work.tx.put(&row)
    }
}
