//! Taking note of rows that refer to blobs, as they are written.
//!
//! Whatever saves a row with a reference in it leaves a note in the same transaction, whichever
//! rule that was. Nothing is noted when a row changes or goes: the note only says where to look.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use memchr::memmem::Finder;
use model::{BlobId, Result, Time};
use store::{Doc, Job, Key, Range, Store, Table, Tx, TxExt as _, Value, tables};

use super::rows::{BlobRow, RefRow};

/// The key of a value that is a reference; see [`model::BlobInfo::reference`].
static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"$blob"));

/// The tables whose rows keep blobs by referring to them.
const REFERRING: [&Table; 10] = [
    &tables::SPEC_DATA,
    &tables::UNIT,
    &tables::ATTEMPT,
    &tables::VERSION,
    &tables::INSTANCE,
    &tables::JOURNAL,
    &tables::INBOX,
    &tables::WAIT,
    &tables::EVENT,
    &tables::TIMER,
];

/// Gives the ids that may be references in an encoded body: everything that looks like one, if
/// there is a mark anywhere. Too many do no harm.
pub(super) fn ids_in(body: &[u8]) -> BTreeSet<BlobId> {
    if MARK.find(body).is_none() {
        return BTreeSet::new();
    }
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let runs = body.split(|byte| !is_digit(byte)).filter(|run| run.len() >= 64);
    // What stands before or behind an id in an encoding may look like a digit.
    let places = runs.flat_map(|run| run.windows(64));
    places.filter_map(|id| BlobId::parse(str::from_utf8(id).ok()?).ok()).collect()
}

/// A store whose transactions take note of references.
pub(crate) struct Referring(pub(crate) Arc<dyn Store>);

impl Store for Referring {
    fn write(&self, job: Box<dyn Job>) {
        self.0.write(Box::new(ReferringJob(job)));
    }

    fn read(&self, job: Box<dyn Job>) {
        self.0.read(job);
    }

    fn now(&self) -> Option<Time> {
        self.0.now()
    }

    fn on_hint(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.0.on_hint(wake);
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }
}

struct ReferringJob(Box<dyn Job>);

impl Job for ReferringJob {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.0.run(&mut ReferringTx(tx))
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        self.0.done(outcome);
    }
}

struct ReferringTx<'t>(&'t mut dyn Tx);

impl ReferringTx<'_> {
    fn note(&mut self, table: &'static Table, doc: &Doc) -> Result<()> {
        for id in ids_in(&doc.body) {
            let note = RefRow::new(id, table, &doc.key)?;
            // What is no blob here needs no note.
            if BlobRow::find(self.0, note.namespace, &id)?.is_some() {
                self.0.put(&note)?;
            }
        }
        Ok(())
    }

    fn note_all(&mut self, table: &'static Table, docs: &[Doc]) -> Result<()> {
        if REFERRING.iter().any(|it| it.id == table.id) {
            docs.iter().try_for_each(|doc| self.note(table, doc))?;
        }
        Ok(())
    }
}

impl Tx for ReferringTx<'_> {
    fn load(&mut self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Doc>>> {
        self.0.load(table, keys)
    }

    fn save(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.note_all(table, &docs)?;
        self.0.save(table, docs)
    }

    fn insert(&mut self, table: &'static Table, docs: Vec<Doc>) -> Result<()> {
        self.note_all(table, &docs)?;
        self.0.insert(table, docs)
    }

    fn remove(&mut self, table: &'static Table, keys: &[Key]) -> Result<()> {
        self.0.remove(table, keys)
    }

    fn scan(
        &mut self,
        table: &'static Table,
        index: usize,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<Doc>> {
        self.0.scan(table, index, range, limit)
    }

    fn first(&mut self, table: &'static Table, index: usize) -> Result<Option<Value>> {
        self.0.first(table, index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(body: &str) -> usize {
        ids_in(body.as_bytes()).len()
    }

    #[test]
    fn references_are_found_in_any_encoding() {
        let id = "9f".repeat(32);
        assert_eq!(count(&format!("{{\"$blob\":{{\"id\":\"{id}\"}}}}")), 1);
        assert_eq!(count(&format!("\u{5}$blob\u{1}bid\u{7f}{id}ebytes")), 3, "one of them is it");
        assert!(ids_in(format!("$blob bx{id}").as_bytes()).contains(&BlobId([0x9f; 32])));
        assert_eq!(count(&format!("$blob {} $blob {id}", "00".repeat(32))), 2);
    }

    #[test]
    fn without_a_mark_there_is_no_reference() {
        assert_eq!(count(&"9f".repeat(32)), 0);
        assert_eq!(count("$blob 9f9f"), 0);
    }
}
