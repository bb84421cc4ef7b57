//! The rows of the audit log.

use model::{AuditEntry, AuditHead, Error, Id, Result, hex};
use store::{Doc, Key, Row, Table, Value, tables};

/// A row of a chain.
pub(crate) struct AuditRow {
    /// The lasting id of the namespace; 0 for the whole installation.
    pub(crate) chain: Id,
    pub(crate) entry: AuditEntry,
    hash: [u8; 32],
}

impl AuditRow {
    pub(super) fn new(chain: Id, entry: AuditEntry, hash: [u8; 32]) -> Self {
        Self { chain, entry, hash }
    }

    fn try_content(&self) -> Vec<u8> {
        // Texts and numbers can always be written.
        self.entry.content().unwrap_or_default()
    }
}

fn missing() -> Error {
    Error::Internal("a stored row is too short".to_owned())
}

fn hash(doc: &Doc, at: usize) -> Result<[u8; 32]> {
    let bytes = doc.columns.get(at).ok_or_else(missing)?.as_bytes()?;
    bytes.try_into().map_err(|_| Error::Internal("a hash has 32 bytes".to_owned()))
}

impl Row for AuditRow {
    const TABLE: &'static Table = &tables::AUDIT;

    fn to_doc(&self) -> Doc {
        Doc {
            key: vec![Value::id(self.chain), Value::id(self.entry.seq)],
            columns: vec![Value::Bytes(self.hash.into())],
            body: self.try_content(),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let chain = doc.key.first().ok_or_else(missing)?.as_id()?;
        let hash = hash(&doc, 0)?;
        let entry = AuditEntry::from_content(&doc.body, hex(&hash))?;
        if entry.content()? != doc.body {
            return Err(Error::Internal("an audit row is not in its canonical form".to_owned()));
        }
        Ok(Self { chain, entry, hash })
    }
}

/// Where a chain ends.
#[derive(Clone)]
pub(crate) struct HeadRow {
    pub(crate) chain: Id,
    pub(crate) namespace: Option<String>,
    pub(crate) seq: u64,
    pub(crate) hash: [u8; 32],
}

impl HeadRow {
    pub(super) fn key(chain: Id) -> Key {
        vec![Value::id(chain)]
    }

    pub(crate) fn shown(self) -> AuditHead {
        AuditHead { namespace: self.namespace, seq: self.seq, hash: hex(&self.hash) }
    }
}

impl Row for HeadRow {
    const TABLE: &'static Table = &tables::AUDIT_HEAD;

    fn to_doc(&self) -> Doc {
        let name = self.namespace.as_ref().map(|name| Value::Text(name.as_str().into()));
        Doc {
            key: Self::key(self.chain),
            columns: vec![
                name.unwrap_or(Value::Null),
                Value::id(self.seq),
                Value::Bytes(self.hash.into()),
            ],
            body: Vec::new(),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let namespace = match doc.columns.first().ok_or_else(missing)? {
            Value::Null => None,
            name => Some(name.as_text()?.to_owned()),
        };
        Ok(Self {
            chain: doc.key.first().ok_or_else(missing)?.as_id()?,
            namespace,
            seq: doc.columns.get(1).ok_or_else(missing)?.as_id()?,
            hash: hash(&doc, 2)?,
        })
    }
}
