//! Locks.

use minicbor::{Decode, Encode};
use model::{Id, LockPath, Result, Time};
use store::{Doc, Key, Row, Table, Value, tables};

use super::{decode, encode, parts};

/// A lock that is held.
#[derive(Clone, Debug)]
pub struct LockRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The path.
    pub path: LockPath,
    /// Who holds it.
    pub owner: String,
    /// When it runs out.
    pub due: Time,
}

impl LockRow {
    /// Gives the primary key.
    pub fn key(namespace: Id, path: &LockPath) -> Key {
        vec![Value::id(namespace), Value::Bytes(path.as_bytes().into())]
    }
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct LockBody {
    #[n(0)]
    owner: String,
}

impl Row for LockRow {
    const TABLE: &'static Table = &tables::LOCK;

    fn to_doc(&self) -> Doc {
        Doc {
            key: Self::key(self.namespace, &self.path),
            columns: vec![Value::Int(self.due.0)],
            body: encode(&LockBody { owner: self.owner.clone() }),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let ([namespace, path], [due]) = (parts(doc.key)?, parts(doc.columns)?);
        let body: LockBody = decode("lock", &doc.body)?;
        Ok(Self {
            namespace: namespace.as_id()?,
            path: LockPath::from_bytes(path.as_bytes()?)?,
            owner: body.owner,
            due: Time(due.as_int()?),
        })
    }
}
