//! Attempts.

use minicbor::{Decode, Encode, bytes::ByteSlice};
use model::{AttemptStatus, Data, Id, Result, SpecName, Time, UnitName, WorkerName};
use store::{Doc, Key, Row, Table, Value, tables};

use super::{decode, encode, parts};

/// An attempt.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The incarnation of its unit.
    pub unit: Id,
    /// Its id.
    pub id: Id,
    /// The incarnation of its worker.
    pub worker: Id,
    /// The incarnation of its spec.
    pub spec: Id,
    /// The names by which it is shown.
    pub names: Names,
    /// The status.
    pub status: AttemptStatus,
    /// Its own data; none while it is the same as its unit's.
    pub data: Option<Data>,
    /// When it started.
    pub start: Time,
    /// When it ended.
    pub end: Option<Time>,
    /// When its lease ends or ended.
    pub expiration: Time,
}

/// The names by which an attempt is shown.
#[derive(Clone, Debug)]
pub struct Names {
    /// Its spec.
    pub spec: SpecName,
    /// Its unit.
    pub unit: UnitName,
    /// Its worker.
    pub worker: WorkerName,
}

impl AttemptRow {
    /// Gives the primary key.
    pub fn key(namespace: Id, unit: Id, id: Id) -> Key {
        vec![Value::id(namespace), Value::id(unit), Value::id(id)]
    }
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct AttemptBody<'b> {
    #[n(0)]
    status: u8,
    #[n(1)]
    spec: u64,
    #[b(2)]
    spec_name: &'b str,
    #[b(3)]
    unit_name: &'b ByteSlice,
    #[b(4)]
    worker_name: &'b str,
    #[n(5)]
    start: i64,
    #[n(6)]
    expiration: i64,
    #[n(7)]
    end: Option<i64>,
    #[b(8)]
    data: Option<&'b ByteSlice>,
}

fn code(status: AttemptStatus) -> u8 {
    match status {
        AttemptStatus::Pending => 0,
        AttemptStatus::Expired => 1,
        AttemptStatus::Finished => 2,
        AttemptStatus::Failed => 3,
        AttemptStatus::Retryable => 4,
    }
}

impl Row for AttemptRow {
    const TABLE: &'static Table = &tables::ATTEMPT;

    fn to_doc(&self) -> Doc {
        let body = AttemptBody {
            status: code(self.status),
            spec: self.spec,
            spec_name: self.names.spec.as_str(),
            unit_name: self.names.unit.as_bytes().into(),
            worker_name: self.names.worker.as_str(),
            start: self.start.0,
            expiration: self.expiration.0,
            end: self.end.map(|time| time.0),
            data: self.data.as_ref().map(|data| data.as_cbor().into()),
        };
        let pending = self.status == AttemptStatus::Pending;
        let while_pending = |value: Value| if pending { value } else { Value::Null };
        Doc {
            key: Self::key(self.namespace, self.unit, self.id),
            columns: vec![
                Value::id(self.worker),
                while_pending(Value::id(self.worker)),
                while_pending(Value::Int(self.expiration.0)),
            ],
            body: encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let [namespace, unit, id] = parts(doc.key)?;
        let [worker, _busy, _due] = parts(doc.columns)?;
        let body: AttemptBody<'_> = decode("attempt", &doc.body)?;
        Ok(Self {
            namespace: namespace.as_id()?,
            unit: unit.as_id()?,
            id: id.as_id()?,
            worker: worker.as_id()?,
            spec: body.spec,
            names: Names {
                spec: SpecName::new(body.spec_name)?,
                unit: UnitName::new(&**body.unit_name)?,
                worker: WorkerName::new(body.worker_name)?,
            },
            status: AttemptStatus::ALL
                .into_iter()
                .find(|status| code(*status) == body.status)
                .unwrap_or(AttemptStatus::Expired),
            data: body.data.map(|data| Data::from_stored(data)),
            start: Time(body.start),
            end: body.end.map(Time),
            expiration: Time(body.expiration),
        })
    }
}
