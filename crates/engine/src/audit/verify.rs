//! Following all chains of a store, one row after another.

use std::collections::BTreeMap;

use model::{AuditHead, ChainCheck, Id, Result};
use queue::Findings;
use store::{Doc, Row as _, Snapshot, tables};

use super::{AuditRow, EVERYWHERE, HeadRow, KIND_BEGIN};

/// A chain: its namespace, where it should end, and what is wrong.
pub type Followed = (Option<String>, Option<AuditHead>, Vec<String>);

/// Takes the rows of the audit log, chain after chain; the heads have to come first.
#[derive(Default)]
pub(crate) struct Chains {
    heads: BTreeMap<Id, HeadRow>,
    /// The namespaces whose chains have begun.
    begun: Vec<String>,
    /// The chain that is being followed.
    under_way: Option<(Id, ChainCheck)>,
    followed: Vec<Followed>,
    unreadable: Vec<String>,
}

impl Chains {
    pub(crate) fn head(&mut self, doc: Doc) {
        match HeadRow::from_doc(doc) {
            Ok(head) => drop(self.heads.insert(head.chain, head)),
            Err(error) => self.unreadable.push(format!("a head row was changed: {error}")),
        }
    }

    pub(crate) fn row(&mut self, doc: Doc) {
        let number = |at: usize| doc.key.get(at).and_then(|value| value.as_id().ok()).unwrap_or(0);
        let (chain, seq) = (number(0), number(1));
        let entry = AuditRow::from_doc(doc).ok().map(|row| row.entry);
        if chain == EVERYWHERE
            && let Some(entry) = &entry
            && entry.kind == KIND_BEGIN
        {
            self.begun.extend(entry.record.strip_prefix("namespace/").map(str::to_owned));
        }
        if self.under_way.as_ref().is_some_and(|(under_way, _)| *under_way != chain) {
            self.close();
        }
        let name = self.heads.get(&chain).and_then(|head| head.namespace.clone());
        let (_, check) = self.under_way.get_or_insert_with(|| {
            // Without its head, the row itself says whose it is.
            let name = name.or_else(|| entry.as_ref().and_then(|entry| entry.namespace.clone()));
            (chain, ChainCheck::new(name.as_deref()))
        });
        check.row(seq, entry.as_ref());
    }

    fn close(&mut self) {
        if let Some((chain, check)) = self.under_way.take() {
            let name = check.namespace().map(str::to_owned);
            let head = self.heads.remove(&chain).map(HeadRow::shown);
            let faults = check.end(head.as_ref());
            self.followed.push((name, head, faults));
        }
    }

    /// Ends it, after all rows.
    pub(crate) fn end(mut self) -> Vec<Followed> {
        self.close();
        for head in std::mem::take(&mut self.heads).into_values() {
            let (name, head) = (head.namespace.clone(), head.shown());
            let faults = ChainCheck::new(name.as_deref()).end(Some(&head));
            self.followed.push((name, Some(head), faults));
        }
        for name in std::mem::take(&mut self.begun) {
            if !self.followed.iter().any(|(it, _, _)| it.as_ref() == Some(&name)) {
                let faults = vec!["the whole chain was removed".to_owned()];
                self.followed.push((Some(name), None, faults));
            }
        }
        if !self.unreadable.is_empty() {
            self.followed.push((None, None, self.unreadable));
        }
        self.followed
    }

    /// The same, told among other findings.
    pub(crate) fn findings(self, findings: &mut Findings) {
        for (name, _, faults) in self.end() {
            let of = name.map_or("the installation".to_owned(), |name| format!("\"{name}\""));
            faults.iter().for_each(|fault| findings.add(format!("audit log of {of}: {fault}")));
        }
    }
}

/// Follows all chains of a store.
///
/// # Errors
/// If the store cannot be read.
pub fn verify_audit(snapshot: &mut dyn Snapshot) -> Result<Vec<Followed>> {
    let mut chains = Chains::default();
    snapshot.each(&tables::AUDIT_HEAD, &mut |doc| {
        chains.head(doc);
        Ok(())
    })?;
    snapshot.each(&tables::AUDIT, &mut |doc| {
        chains.row(doc);
        Ok(())
    })?;
    Ok(chains.end())
}
