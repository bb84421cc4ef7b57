//! Workers.

use minicbor::{Decode, Encode, bytes::ByteSlice};
use model::{Data, Id, Result, Time, WorkerName};
use store::{Doc, Key, Row, Table, Value, tables};

use super::{decode, encode, optional_id, parts};

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
struct WorkerBody<'b> {
    #[n(0)]
    active: bool,
    #[b(1)]
    mode: &'b str,
    #[b(2)]
    data: &'b ByteSlice,
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
            mode: &self.mode,
            data: self.data.as_cbor().into(),
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
        let ([namespace, name], [id, parent, _due]) = (parts(doc.key)?, parts(doc.columns)?);
        let body: WorkerBody<'_> = decode("worker", &doc.body)?;
        Ok(Self {
            namespace: namespace.as_id()?,
            name: WorkerName::new(name.into_text()?)?,
            id: id.as_id()?,
            parent: optional_id(&parent)?,
            active: body.active,
            mode: body.mode.to_owned(),
            data: Data::from_stored(body.data),
            expiration: Time(body.expiration),
            last_update: Time(body.last_update),
        })
    }
}
