//! Namespaces, their history, what is left of destroyed things, and the store's counters.

use std::borrow::Cow;

use minicbor::{Decode, Encode, bytes::ByteSlice};
use model::{EventBody, Id, Namespace, Result, Revision, SpecName, Time, UnitName, WorkerName};
use store::{Doc, Row, Table, Value, tables};

use super::{decode, encode, optional_id, parts};

/// A namespace with its counters.
#[derive(Clone, Debug)]
pub struct NamespaceRow {
    /// The name.
    pub name: Namespace,
    /// The key of its history, for good.
    pub id: Id,
    /// The incarnation that keys all that is in it; none when destroyed.
    pub live: Option<Id>,
    /// The position of its newest commit.
    pub revision: Revision,
    /// The last incarnation id given in it.
    pub last_id: Id,
}

impl Row for NamespaceRow {
    const TABLE: &'static Table = &tables::NAMESPACE;

    fn to_doc(&self) -> Doc {
        Doc {
            key: vec![Value::Text(self.name.as_str().into())],
            columns: vec![
                Value::id(self.id),
                self.live.map_or(Value::Null, Value::id),
                Value::id(self.revision),
                Value::id(self.last_id),
            ],
            body: Vec::new(),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let [name] = parts(doc.key)?;
        let [id, live, revision, last_id] = parts(doc.columns)?;
        Ok(Self {
            name: Namespace::new(name.into_text()?)?,
            id: id.as_id()?,
            live: optional_id(&live)?,
            revision: revision.as_id()?,
            last_id: last_id.as_id()?,
        })
    }
}

/// A counter of the whole store.
#[derive(Clone, Debug)]
pub struct CounterRow {
    /// What is counted.
    pub name: String,
    /// The last number given.
    pub value: u64,
}

impl Row for CounterRow {
    const TABLE: &'static Table = &tables::COUNTER;

    fn to_doc(&self) -> Doc {
        Doc {
            key: vec![Value::Text(self.name.as_str().into())],
            columns: vec![Value::id(self.value)],
            body: Vec::new(),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let ([name], [value]) = (parts(doc.key)?, parts(doc.columns)?);
        Ok(Self { name: name.as_text()?.to_owned(), value: value.as_id()? })
    }
}

/// Something destroyed whose rows are still to be swept away.
#[derive(Clone, Copy, Debug)]
pub struct RubbleRow {
    /// The incarnation of the namespace.
    pub namespace: Id,
    /// The incarnation of the spec; 0 is the whole namespace.
    pub spec: Id,
}

impl Row for RubbleRow {
    const TABLE: &'static Table = &tables::RUBBLE;

    fn to_doc(&self) -> Doc {
        let key = vec![Value::id(self.namespace), Value::id(self.spec)];
        Doc { key, columns: Vec::new(), body: Vec::new() }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let [namespace, spec] = parts(doc.key)?;
        Ok(Self { namespace: namespace.as_id()?, spec: spec.as_id()? })
    }
}

/// What one commit changed.
#[derive(Clone, Debug)]
pub struct HistoryRow {
    /// The lasting id of the namespace.
    pub namespace: Id,
    /// The position.
    pub revision: Revision,
    /// When it was committed.
    pub time: Time,
    /// What happened.
    pub bodies: Vec<EventBody>,
}

impl Row for HistoryRow {
    const TABLE: &'static Table = &tables::HISTORY;

    fn to_doc(&self) -> Doc {
        let bodies: Vec<StoredEvent<'_>> = self.bodies.iter().map(StoredEvent::from).collect();
        Doc {
            key: vec![Value::id(self.namespace), Value::id(self.revision)],
            columns: vec![Value::Int(self.time.0)],
            body: encode(&bodies),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let ([namespace, revision], [time]) = (parts(doc.key)?, parts(doc.columns)?);
        let stored: Vec<StoredEvent<'_>> = decode("history", &doc.body)?;
        Ok(Self {
            namespace: namespace.as_id()?,
            revision: revision.as_id()?,
            time: Time(time.as_int()?),
            bodies: stored.into_iter().map(StoredEvent::into_body).collect::<Result<_>>()?,
        })
    }
}

/// An [`EventBody`] as it is stored.
#[derive(Encode, Decode)]
enum StoredEvent<'b> {
    #[n(0)]
    NamespaceCreated,
    #[n(1)]
    NamespaceDestroyed,
    #[n(2)]
    SpecSet(#[b(0)] &'b str),
    #[n(3)]
    SpecDestroyed(#[b(0)] &'b str),
    #[n(4)]
    UnitsAdded(#[b(0)] &'b str, #[b(1)] Names<'b>),
    #[n(5)]
    UnitsChanged(#[b(0)] &'b str, #[b(1)] Names<'b>),
    #[n(6)]
    UnitsDeleted(#[b(0)] &'b str, #[b(1)] Names<'b>),
    #[n(7)]
    UnitsClaimed(#[b(0)] &'b str, #[b(1)] Names<'b>),
    #[n(8)]
    LeaseRenewed(#[b(0)] &'b str, #[b(1)] &'b ByteSlice),
    #[n(9)]
    UnitReleased(#[b(0)] &'b str, #[b(1)] &'b ByteSlice, #[n(2)] u64),
    #[n(10)]
    UnitFinished(#[b(0)] &'b str, #[b(1)] &'b ByteSlice, #[n(2)] u64),
    #[n(11)]
    UnitFailed(#[b(0)] &'b str, #[b(1)] &'b ByteSlice, #[n(2)] u64),
    #[n(12)]
    UnitsReady(#[b(0)] &'b str, #[b(1)] Names<'b>),
    #[n(13)]
    WorkerChanged(#[b(0)] &'b str),
    #[n(14)]
    TokenChanged(#[b(0)] &'b str),
    #[n(15)]
    LocksChanged,
    #[n(16)]
    DefinitionsChanged(#[n(0)] Vec<String>),
    #[n(17)]
    InstancesChanged(#[n(0)] Vec<u64>),
    #[n(18)]
    EventsReceived(#[n(0)] u64, #[n(1)] u64),
    #[n(19)]
    RunChanged(#[n(0)] u64),
    #[n(20)]
    MailChanged(#[b(0)] &'b str),
    #[n(21)]
    BlobChanged(#[n(0)] u64),
    #[n(22)]
    SecretChanged(#[b(0)] &'b str),
    #[n(23)]
    UserChanged(#[b(0)] &'b str),
}

/// Unit names as a list of byte strings.
struct Names<'b>(Cow<'b, [UnitName]>);

impl<C> Encode<C> for Names<'_> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        out: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        out.array(self.0.len() as u64)?;
        self.0.iter().try_for_each(|name| out.bytes(name.as_bytes())?.ok())
    }
}

impl<'b, C> Decode<'b, C> for Names<'b> {
    fn decode(
        decoder: &mut minicbor::Decoder<'b>,
        _: &mut C,
    ) -> Result<Self, minicbor::decode::Error> {
        let mut names = Vec::new();
        for _ in 0..decoder.array()?.unwrap_or(0) {
            let name = UnitName::new(decoder.bytes()?);
            names.push(name.map_err(|error| minicbor::decode::Error::message(error.to_string()))?);
        }
        Ok(Self(names.into()))
    }
}

impl<'b> From<&'b EventBody> for StoredEvent<'b> {
    fn from(body: &'b EventBody) -> Self {
        fn bytes(name: &UnitName) -> &ByteSlice {
            name.as_bytes().into()
        }
        fn names(names: &[UnitName]) -> Names<'_> {
            Names(names.into())
        }
        match body {
            EventBody::NamespaceCreated => Self::NamespaceCreated,
            EventBody::NamespaceDestroyed => Self::NamespaceDestroyed,
            EventBody::SpecSet(spec) => Self::SpecSet(spec.as_str()),
            EventBody::SpecDestroyed(spec) => Self::SpecDestroyed(spec.as_str()),
            EventBody::UnitsAdded(spec, units) => Self::UnitsAdded(spec.as_str(), names(units)),
            EventBody::UnitsChanged(spec, units) => Self::UnitsChanged(spec.as_str(), names(units)),
            EventBody::UnitsDeleted(spec, units) => Self::UnitsDeleted(spec.as_str(), names(units)),
            EventBody::UnitsClaimed(spec, units) => Self::UnitsClaimed(spec.as_str(), names(units)),
            EventBody::LeaseRenewed(spec, unit) => Self::LeaseRenewed(spec.as_str(), bytes(unit)),
            EventBody::UnitReleased(spec, unit, id) => {
                Self::UnitReleased(spec.as_str(), bytes(unit), *id)
            }
            EventBody::UnitFinished(spec, unit, id) => {
                Self::UnitFinished(spec.as_str(), bytes(unit), *id)
            }
            EventBody::UnitFailed(spec, unit, id) => {
                Self::UnitFailed(spec.as_str(), bytes(unit), *id)
            }
            EventBody::UnitsReady(spec, units) => Self::UnitsReady(spec.as_str(), names(units)),
            EventBody::WorkerChanged(worker) => Self::WorkerChanged(worker.as_str()),
            EventBody::TokenChanged(id) => Self::TokenChanged(id),
            EventBody::LocksChanged => Self::LocksChanged,
            EventBody::DefinitionsChanged(names) => Self::DefinitionsChanged(names.clone()),
            EventBody::RunChanged(id) => Self::RunChanged(*id),
            EventBody::InstancesChanged(ids) => Self::InstancesChanged(ids.clone()),
            EventBody::EventsReceived(first, last) => Self::EventsReceived(*first, *last),
            EventBody::MailChanged(account) => Self::MailChanged(account),
            EventBody::BlobChanged(upload) => Self::BlobChanged(*upload),
            EventBody::UserChanged(record) => Self::UserChanged(record),
            EventBody::SecretChanged(name) => Self::SecretChanged(name),
        }
    }
}

impl StoredEvent<'_> {
    fn into_body(self) -> Result<EventBody> {
        Ok(match self {
            Self::NamespaceCreated => EventBody::NamespaceCreated,
            Self::NamespaceDestroyed => EventBody::NamespaceDestroyed,
            Self::SpecSet(spec) => EventBody::SpecSet(SpecName::new(spec)?),
            Self::SpecDestroyed(spec) => EventBody::SpecDestroyed(SpecName::new(spec)?),
            Self::UnitsAdded(spec, units) => {
                EventBody::UnitsAdded(SpecName::new(spec)?, units.0.into_owned())
            }
            Self::UnitsChanged(spec, units) => {
                EventBody::UnitsChanged(SpecName::new(spec)?, units.0.into_owned())
            }
            Self::UnitsDeleted(spec, units) => {
                EventBody::UnitsDeleted(SpecName::new(spec)?, units.0.into_owned())
            }
            Self::UnitsClaimed(spec, units) => {
                EventBody::UnitsClaimed(SpecName::new(spec)?, units.0.into_owned())
            }
            Self::LeaseRenewed(spec, unit) => {
                EventBody::LeaseRenewed(SpecName::new(spec)?, UnitName::new(&**unit)?)
            }
            Self::UnitReleased(spec, unit, id) => {
                EventBody::UnitReleased(SpecName::new(spec)?, UnitName::new(&**unit)?, id)
            }
            Self::UnitFinished(spec, unit, id) => {
                EventBody::UnitFinished(SpecName::new(spec)?, UnitName::new(&**unit)?, id)
            }
            Self::UnitFailed(spec, unit, id) => {
                EventBody::UnitFailed(SpecName::new(spec)?, UnitName::new(&**unit)?, id)
            }
            Self::UnitsReady(spec, units) => {
                EventBody::UnitsReady(SpecName::new(spec)?, units.0.into_owned())
            }
            Self::WorkerChanged(worker) => EventBody::WorkerChanged(WorkerName::new(worker)?),
            Self::TokenChanged(id) => EventBody::TokenChanged(id.to_owned()),
            Self::LocksChanged => EventBody::LocksChanged,
            Self::DefinitionsChanged(names) => EventBody::DefinitionsChanged(names),
            Self::RunChanged(id) => EventBody::RunChanged(id),
            Self::InstancesChanged(ids) => EventBody::InstancesChanged(ids),
            Self::EventsReceived(first, last) => EventBody::EventsReceived(first, last),
            Self::MailChanged(account) => EventBody::MailChanged(account.to_owned()),
            Self::BlobChanged(upload) => EventBody::BlobChanged(upload),
            Self::UserChanged(record) => EventBody::UserChanged(record.to_owned()),
            Self::SecretChanged(name) => EventBody::SecretChanged(name.to_owned()),
        })
    }
}
