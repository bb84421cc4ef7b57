//! Workers.

use minicbor::{Decode, Encode, bytes::ByteVec};
use model::{Data, Id, Result, Time, WorkerName};
use store::{Doc, Key, Row, Table, Value, tables};

use super::{decode, encode, optional_id, value};

/// A worker.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The name.
    pub name: WorkerName,
    /// The incarnation.
    pub id: Id,
    /// The incarnation of its parent.
    pub parent: Option<Id>,
    /// Whether it works.
    pub active: bool,
    /// What it is doing.
    pub mode: String,
    /// Its environment.
    pub data: Data,
    /// When it counts as dead.
    pub expiration: Time,
    /// When it last updated itself.
    pub last_update: Time,
}

impl WorkerRow {
    /// Gives the primary key.
    pub fn key(namespace: Id, name: &WorkerName) -> Key {
        vec![Value::id(namespace), Value::Text(name.as_str().into())]
    }
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct WorkerBody {
    #[n(0)]
    active: bool,
    #[n(1)]
    mode: String,
    #[n(2)]
    data: ByteVec,
    #[n(3)]
    expiration: i64,
    #[n(4)]
    last_update: i64,
}

impl Row for WorkerRow {
    const TABLE: &'static Table = &tables::WORKER;

    fn to_doc(&self) -> Doc {
        let body = WorkerBody {
            active: self.active,
            mode: self.mode.clone(),
            data: self.data.as_cbor().to_vec().into(),
            expiration: self.expiration.0,
            last_update: self.last_update.0,
        };
        let due = if self.active { Value::Int(self.expiration.0) } else { Value::Null };
        Doc {
            key: Self::key(self.namespace, &self.name),
            columns: vec![Value::id(self.id), self.parent.map_or(Value::Null, Value::id), due],
            body: encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let body: WorkerBody = decode("worker", &doc.body)?;
        Ok(Self {
            namespace: value(&doc.key, 0)?.as_id()?,
            name: WorkerName::new(value(&doc.key, 1)?.as_text()?)?,
            id: value(&doc.columns, 0)?.as_id()?,
            parent: optional_id(value(&doc.columns, 1)?)?,
            active: body.active,
            mode: body.mode,
            data: Data::from_stored(&body.data),
            expiration: Time(body.expiration),
            last_update: Time(body.last_update),
        })
    }
}
