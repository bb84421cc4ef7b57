//! Looking over everything that a store holds.

use model::Result;
use queue::{Findings, Verifier};
use store::{Doc, Snapshot, Table, tables};

use crate::admin::TokenRow;
use crate::audit::Chains;
use crate::blob::Parts;
use crate::request::RequestRow;
use crate::secret::SecretRow;
use crate::user::{SessionRow, UserRow};

/// Looks over all rows of a store, and tells of each when it comes.
///
/// # Errors
/// If the store cannot be read any more.
pub fn verify(snapshot: &mut dyn Snapshot, mut seen: impl FnMut()) -> Result<Findings> {
    let mut verifier = Verifier::default();
    for damage in snapshot.damage()? {
        verifier.findings.add(damage);
    }
    // What is left of destroyed things is known before their rows come.
    let first = [&tables::NAMESPACE, &tables::RUBBLE, &tables::AUDIT_HEAD, &tables::BLOB];
    let mut beside = Beside::default();
    let rest = tables::ALL.into_iter().filter(|table| first.iter().all(|it| it.id != table.id));
    for table in first.into_iter().chain(rest) {
        let all = snapshot.each(table, &mut |doc| {
            seen();
            row(&mut verifier, &mut beside, table, doc);
            Ok(())
        });
        match all {
            Err(model::Error::Internal(damage)) => verifier.findings.add(damage),
            other => other?,
        }
    }
    beside.chains.findings(&mut verifier.findings);
    beside.parts.end(&mut verifier.findings);
    Ok(verifier.end())
}

/// What is looked over beside the work.
#[derive(Default)]
struct Beside {
    chains: Chains,
    parts: Parts,
}

fn row(verifier: &mut Verifier, beside: &mut Beside, table: &'static Table, doc: Doc) {
    let key = doc.key.clone();
    let read = match table.id {
        id if id == tables::TOKEN.id => {
            queue::read::<TokenRow>(doc, &mut verifier.findings).map(drop)
        }
        id if id == tables::REQUEST.id => {
            queue::read::<RequestRow>(doc, &mut verifier.findings).map(drop)
        }
        id if id == tables::USER.id => {
            queue::read::<UserRow>(doc, &mut verifier.findings).map(drop)
        }
        id if id == tables::SESSION.id => {
            queue::read::<SessionRow>(doc, &mut verifier.findings).map(drop)
        }
        id if id == tables::SECRET.id => {
            queue::read::<SecretRow>(doc, &mut verifier.findings).map(drop)
        }
        id if id == tables::AUDIT_HEAD.id => return beside.chains.head(doc),
        id if id == tables::AUDIT.id => return beside.chains.row(doc),
        id if id == tables::BLOB.id => return beside.parts.blob(doc, &mut verifier.findings),
        id if id == tables::BLOB_PART.id => {
            return beside.parts.part(doc, &mut verifier.findings);
        }
        _ => return verifier.row(table, doc),
    };
    if let Err(error) = read {
        verifier.findings.add(format!("{} {key:?}: {error}", table.name));
    }
}
