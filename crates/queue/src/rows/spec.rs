//! Work specs: scheduling and counts in one row, the dictionary in another.

use std::time::Duration;

use minicbor::{Decode, Encode};
use model::{Counts, Data, Id, Result, SpecMeta, SpecName, Time, UnitStatus};
use store::{Doc, Key, Row, Table, Value, tables};

use super::{UnitRow, decode, encode, parts};

/// What scheduling needs of a spec.
#[derive(Clone, Debug)]
pub struct SpecRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The name.
    pub name: SpecName,
    /// The incarnation.
    pub id: Id,
    /// How its units are scheduled.
    pub meta: SpecMeta,
    /// Its units by status.
    pub counts: Counts,
}

impl SpecRow {
    /// Gives the primary key.
    pub fn key(namespace: Id, name: &SpecName) -> Key {
        vec![Value::id(namespace), Value::Text(name.as_str().into())]
    }

    /// Moves a unit of this spec from its status to another, and counts it there.
    pub fn move_unit(&mut self, unit: &mut UnitRow, to: UnitStatus) {
        let from = self.counts.of_mut(unit.status);
        *from = from.saturating_sub(1);
        *self.counts.of_mut(to) += 1;
        unit.status = to;
    }
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct SpecBody<'b> {
    #[n(0)]
    priority: i64,
    #[n(1)]
    weight: i64,
    #[n(2)]
    paused: bool,
    #[n(3)]
    continuous: bool,
    #[n(4)]
    can_be_continuous: bool,
    #[n(5)]
    interval: Duration,
    #[n(6)]
    next_continuous: Option<i64>,
    #[n(7)]
    max_running: u64,
    #[n(8)]
    max_attempts_returned: u64,
    #[n(9)]
    max_retries: u64,
    #[n(10)]
    min_memory_gb: f64,
    #[b(11)]
    next_work_spec: &'b str,
    #[b(12)]
    runtime: &'b str,
    /// Available, pending, finished, failed, delayed.
    #[n(13)]
    counts: [u64; 5],
}

impl Row for SpecRow {
    const TABLE: &'static Table = &tables::SPEC;

    fn to_doc(&self) -> Doc {
        let meta = &self.meta;
        let Counts { available, pending, finished, failed, delayed } = self.counts;
        let body = SpecBody {
            priority: meta.priority,
            weight: meta.weight,
            paused: meta.paused,
            continuous: meta.continuous,
            can_be_continuous: meta.can_be_continuous,
            interval: meta.interval,
            next_continuous: meta.next_continuous.map(|time| time.0),
            max_running: meta.max_running,
            max_attempts_returned: meta.max_attempts_returned,
            max_retries: meta.max_retries,
            min_memory_gb: meta.min_memory_gb,
            next_work_spec: &meta.next_work_spec,
            runtime: &meta.runtime,
            counts: [available, pending, finished, failed, delayed],
        };
        Doc {
            key: Self::key(self.namespace, &self.name),
            columns: vec![Value::id(self.id)],
            body: encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let ([namespace, name], [id]) = (parts(doc.key)?, parts(doc.columns)?);
        let body: SpecBody<'_> = decode("spec", &doc.body)?;
        let [available, pending, finished, failed, delayed] = body.counts;
        Ok(Self {
            namespace: namespace.as_id()?,
            name: SpecName::new(name.into_text()?)?,
            id: id.as_id()?,
            meta: SpecMeta {
                priority: body.priority,
                weight: body.weight,
                paused: body.paused,
                continuous: body.continuous,
                can_be_continuous: body.can_be_continuous,
                interval: body.interval,
                next_continuous: body.next_continuous.map(Time),
                max_running: body.max_running,
                max_attempts_returned: body.max_attempts_returned,
                max_retries: body.max_retries,
                min_memory_gb: body.min_memory_gb,
                next_work_spec: body.next_work_spec.to_owned(),
                runtime: body.runtime.to_owned(),
            },
            counts: Counts { available, pending, finished, failed, delayed },
        })
    }
}

/// The dictionary of a spec.
#[derive(Clone, Debug)]
pub struct SpecDataRow {
    /// The incarnation of its namespace.
    pub namespace: Id,
    /// The incarnation of the spec.
    pub spec: Id,
    /// The dictionary.
    pub data: Data,
}

impl SpecDataRow {
    /// Gives the primary key.
    pub fn key(namespace: Id, spec: Id) -> Key {
        vec![Value::id(namespace), Value::id(spec)]
    }
}

impl Row for SpecDataRow {
    const TABLE: &'static Table = &tables::SPEC_DATA;

    fn to_doc(&self) -> Doc {
        Doc {
            key: Self::key(self.namespace, self.spec),
            columns: Vec::new(),
            body: self.data.as_cbor().to_vec(),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let [namespace, spec] = parts(doc.key)?;
        Ok(Self {
            namespace: namespace.as_id()?,
            spec: spec.as_id()?,
            data: Data::from_stored(&doc.body),
        })
    }
}
