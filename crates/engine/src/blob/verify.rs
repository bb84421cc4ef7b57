//! Looking over the content of all blobs.

use std::collections::BTreeMap;

use model::{BlobId, Id};
use queue::Findings;
use sha2::{Digest as _, Sha256};
use store::{Doc, Row as _};

use super::rows::{BlobRow, PartRow};

/// Takes the rows of blobs, and then those of parts.
#[derive(Default)]
pub(crate) struct Parts {
    /// The parts that there must be, with the blob that they are of.
    expected: BTreeMap<(Id, Id), Expected>,
}

/// The blob, unless it is still being uploaded, and the hashes of the parts that were not seen yet.
type Expected = (Option<BlobId>, Vec<Option<[u8; 32]>>);

impl Parts {
    pub(crate) fn blob(&mut self, doc: Doc, findings: &mut Findings) {
        match queue::read::<BlobRow>(doc, findings) {
            Ok(row) => {
                let parts = row.parts.iter().copied().map(Some).collect();
                self.expected.insert((row.namespace, row.upload), (row.id, parts));
            }
            Err(error) => findings.add(format!("a blob cannot be read: {error}")),
        }
    }

    pub(crate) fn part(&mut self, doc: Doc, findings: &mut Findings) {
        let row = match PartRow::from_doc(doc) {
            Ok(row) => row,
            Err(error) => return findings.add(format!("a part of a blob: {error}")),
        };
        let of = self.expected.get_mut(&(row.namespace, row.upload));
        let hash = of.and_then(|(id, parts)| {
            let place = usize::try_from(row.seq).ok()?;
            Some((*id, parts.get_mut(place)?.take()?))
        });
        let Some((id, hash)) = hash else {
            // What is swept away goes table by table.
            return;
        };
        if Sha256::digest(&row.content).as_slice() != hash {
            let of = id.map_or("an upload".to_owned(), |id| format!("blob {id}"));
            findings.add(format!("part {} of {of} is not what its hash says", row.seq));
        }
    }

    /// Ends it, after all rows.
    pub(crate) fn end(self, findings: &mut Findings) {
        for (id, parts) in self.expected.into_values() {
            if let (Some(id), true) = (id, parts.iter().any(Option::is_some)) {
                findings.add(format!("parts of blob {id} are not there"));
            }
        }
    }
}
