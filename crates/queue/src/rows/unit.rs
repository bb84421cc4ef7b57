//! Work units.

use minicbor::{Decode, Encode, bytes::ByteSlice};
use model::{Data, Id, Result, Time, UnitMeta, UnitName, UnitStatus};
use store::{Doc, Key, Row, Table, Value, tables};

use super::{decode, encode, parts, time_or_null};

/// A work unit.
#[derive(Clone, Debug)]
pub struct UnitRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The incarnation of its spec.
    pub spec: Id,
    /// The name.
    pub name: UnitName,
    /// The incarnation.
    pub id: Id,
    /// The status; a delayed unit turns available when its time comes.
    pub status: UnitStatus,
    /// Priority and delay.
    pub meta: UnitMeta,
    /// Its own data.
    pub data: Data,
    /// The id of the attempt that is pending, or that finished or failed it.
    pub active: Option<Id>,
    /// How many attempts there have been.
    pub attempts: u64,
    /// When it was added.
    pub created: Time,
}

impl UnitRow {
    /// Gives the primary key.
    pub fn key(namespace: Id, spec: Id, name: &UnitName) -> Key {
        vec![Value::id(namespace), Value::id(spec), Value::Bytes(name.as_bytes().into())]
    }
}

/// Fields at their default are left out of the stored body, since most units have most of them so.
#[derive(Encode, Decode)]
#[cbor(map)]
struct UnitBody<'b> {
    #[n(0)]
    status: u8,
    /// Left out where the `since` column has it.
    #[n(1)]
    created: Option<i64>,
    #[n(2)]
    priority: Option<f64>,
    #[n(3)]
    not_before: Option<i64>,
    #[b(4)]
    data: Option<&'b ByteSlice>,
    #[n(5)]
    active: Option<u64>,
    #[n(6)]
    attempts: Option<u64>,
}

fn code(status: UnitStatus) -> u8 {
    match status {
        UnitStatus::Available => 0,
        UnitStatus::Pending => 1,
        UnitStatus::Finished => 2,
        UnitStatus::Failed => 3,
        UnitStatus::Delayed => 4,
    }
}

/// Gives the value of the `state` column for a status; finished units have none.
pub fn state(status: UnitStatus) -> Value {
    match status {
        UnitStatus::Finished => Value::Null,
        other => Value::Int(i64::from(code(other))),
    }
}

impl Row for UnitRow {
    const TABLE: &'static Table = &tables::UNIT;

    fn to_doc(&self) -> Doc {
        let (ready, since) = match self.status {
            UnitStatus::Available => {
                (Value::Real(-self.meta.priority + 0.0), Value::Int(self.created.0))
            }
            UnitStatus::Pending
            | UnitStatus::Finished
            | UnitStatus::Failed
            | UnitStatus::Delayed => (Value::Null, Value::Null),
        };
        let due = self.meta.not_before.filter(|_| self.status == UnitStatus::Delayed);
        let body = UnitBody {
            status: code(self.status),
            created: Some(self.created.0).filter(|_| since == Value::Null),
            priority: Some(self.meta.priority).filter(|priority| *priority != 0.0),
            not_before: self.meta.not_before.map(|time| time.0),
            data: (!self.data.is_empty()).then(|| self.data.as_cbor().into()),
            active: self.active,
            attempts: Some(self.attempts).filter(|attempts| *attempts > 0),
        };
        Doc {
            key: Self::key(self.namespace, self.spec, &self.name),
            columns: vec![Value::id(self.id), state(self.status), ready, time_or_null(due), since],
            body: encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let [namespace, spec, name] = parts(doc.key)?;
        let [id, _state, _ready, _due, since] = parts(doc.columns)?;
        let body: UnitBody<'_> = decode("unit", &doc.body)?;
        Ok(Self {
            namespace: namespace.as_id()?,
            spec: spec.as_id()?,
            name: UnitName::new(name.into_bytes()?)?,
            id: id.as_id()?,
            status: UnitStatus::ALL
                .into_iter()
                .find(|status| code(*status) == body.status)
                .unwrap_or(UnitStatus::Finished),
            meta: UnitMeta {
                priority: body.priority.unwrap_or(0.0),
                not_before: body.not_before.map(Time),
            },
            data: body.data.map_or_else(Data::default, |data| Data::from_stored(data)),
            active: body.active,
            attempts: body.attempts.unwrap_or(0),
            created: Time(body.created.map_or_else(|| since.as_int(), Ok)?),
        })
    }
}
