//! The audit log: who changed what and when, in the same transaction as the change.
//!
//! Each namespace has a chain of its own, in the order that its writes have already; the chain of
//! the whole installation is locked through a counter. Where a chain begins is a row of the latter,
//! so that no chain can go as a whole.

mod ask;
mod rows;
mod said;
mod verify;

use model::{AuditEntry, Caller, Command, Id, Reply, Result, Time, hex, limits};
use queue::{CounterRow, Work};
use sha2::{Digest as _, Sha256};
use store::{Tx, TxExt as _, Value};

pub(crate) use ask::answer;
pub(crate) use rows::{AuditRow, HeadRow};
use said::Said;
pub(crate) use verify::Chains;
pub use verify::{Followed, verify_audit};

/// The chain of the whole installation, and the counter that is locked for it.
const EVERYWHERE: Id = 0;
const COUNTER: &str = "audit";
/// What a row of it says where another chain begins.
const KIND_BEGIN: &str = "audit.begin";

/// Writes down what commands have done, as the last thing that a write does.
pub(crate) fn note<'c>(
    work: &mut Work<'_>,
    caller: &Caller,
    done: impl IntoIterator<Item = (&'c Command, &'c Reply)>,
) -> Result<()> {
    if work.events.is_empty() {
        return Ok(());
    }
    let name = work.name().as_str();
    let said = done.into_iter().filter_map(|(command, reply)| said::of(name, command, reply));
    let (everywhere, here): (Vec<Said>, Vec<Said>) = said.partition(|said| said.everywhere);
    if everywhere.is_empty() && here.is_empty() {
        return Ok(());
    }
    let name = name.to_owned();
    let (history, revision, now) = (work.history_id(), work.next_revision(), work.now);
    let mut by = By { caller, revision, now };
    let begun = match here.is_empty() {
        true => false,
        false => by.add(work.tx, history, Some(&name), here)?,
    };
    let first = begun.then(|| Said {
        kind: KIND_BEGIN,
        record: format!("namespace/{name}"),
        summary: "the first row of its chain".to_owned(),
        everywhere: true,
    });
    let everywhere: Vec<Said> = first.into_iter().chain(everywhere).collect();
    if !everywhere.is_empty() {
        by.add_everywhere(work.tx, everywhere)?;
    }
    Ok(())
}

/// Who did it, and when.
struct By<'c> {
    caller: &'c Caller,
    revision: u64,
    now: Time,
}

impl By<'_> {
    fn add_everywhere(&mut self, tx: &mut dyn Tx, said: Vec<Said>) -> Result<()> {
        // Locks the chain, before anything of it is read.
        let key = vec![Value::Text(COUNTER.into())];
        let count = tx.get::<CounterRow>(key)?.map_or(0, |counter| counter.value);
        let value = count + said.len() as u64;
        tx.put(&CounterRow { name: COUNTER.to_owned(), value })?;
        self.add(tx, EVERYWHERE, None, said).map(drop)
    }

    /// Adds rows to a chain; tells whether they are the first.
    fn add(
        &mut self,
        tx: &mut dyn Tx,
        chain: Id,
        namespace: Option<&str>,
        said: Vec<Said>,
    ) -> Result<bool> {
        let head: Option<HeadRow> = tx.get(HeadRow::key(chain))?;
        let is_first = head.is_none();
        let mut head = head.unwrap_or_else(|| HeadRow {
            chain,
            namespace: namespace.map(str::to_owned),
            seq: 0,
            hash: [0; 32],
        });
        let mut rows = Vec::with_capacity(said.len());
        for said in said {
            let previous = if head.seq == 0 { String::new() } else { hex(&head.hash) };
            head.seq += 1;
            let entry = self.entry(said, namespace, head.seq, previous);
            head.hash = Sha256::digest(entry.content()?).into();
            rows.push(AuditRow::new(chain, entry, head.hash));
        }
        tx.add_all(&rows)?;
        tx.put(&head)?;
        Ok(is_first)
    }

    fn entry(&self, said: Said, namespace: Option<&str>, seq: u64, previous: String) -> AuditEntry {
        AuditEntry {
            namespace: namespace.map(str::to_owned),
            seq,
            time: self.now,
            actor: self.caller.name.clone(),
            kind: said.kind.to_owned(),
            record: said.record,
            summary: cut(said.summary),
            trace: self.caller.trace.clone(),
            revision: self.revision,
            previous,
            hash: String::new(),
        }
    }
}

/// Cuts off what is too long to be said.
fn cut(mut summary: String) -> String {
    if summary.len() > limits::AUDIT_SUMMARY_BYTES_MAX {
        let end = summary.floor_char_boundary(limits::AUDIT_SUMMARY_BYTES_MAX);
        summary.truncate(end);
        summary.push('…');
    }
    summary
}
