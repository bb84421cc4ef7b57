//! The rows of blobs, and of what refers to them.

use minicbor::{Decode, Encode, bytes::ByteVec};
use model::{BlobId, BlobInfo, Error, Id, Result, Time};
use store::{Doc, Key, Row, Table, Tx, TxExt as _, Value, tables};

/// The upload whose row has the sum of all others of its namespace.
pub(super) const SUM: Id = 0;

fn missing() -> Error {
    Error::Internal("a stored row is too short".to_owned())
}

fn field(values: &[Value], at: usize) -> Result<&Value> {
    values.get(at).ok_or_else(missing)
}

fn hash(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Error::Internal("a hash has 32 bytes".to_owned()))
}

/// Content that was sent; a blob once it has an id.
#[derive(Clone, Debug)]
pub(crate) struct BlobRow {
    pub(crate) namespace: Id,
    pub(crate) upload: Id,
    pub(crate) id: Option<BlobId>,
    /// When to look whether anything refers to it.
    pub(crate) due: Option<Time>,
    pub(crate) kind: String,
    pub(crate) bytes: u64,
    /// When it was begun, or once it is a blob, when it was finished first.
    pub(crate) created: Time,
    /// The hash of each part.
    pub(crate) parts: Vec<[u8; 32]>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct BlobBody {
    #[n(0)]
    kind: String,
    #[n(1)]
    bytes: u64,
    #[n(2)]
    created: i64,
    #[n(3)]
    parts: ByteVec,
}

impl BlobRow {
    pub(super) fn key(namespace: Id, upload: Id) -> Key {
        vec![Value::id(namespace), Value::id(upload)]
    }

    /// Gives the keys of its parts.
    pub(crate) fn part_keys(&self) -> Vec<Key> {
        let key = |seq| PartRow::key(self.namespace, self.upload, seq);
        (0..self.parts.len() as u64).map(key).collect()
    }

    /// Gives what is shown of it; none as long as it is no blob.
    pub(crate) fn info(&self) -> Option<BlobInfo> {
        let BlobRow { id, bytes, kind, created, .. } = self;
        id.map(|id| BlobInfo { id, bytes: *bytes, kind: kind.clone(), created: *created })
    }

    /// Finds a blob.
    pub(crate) fn find(tx: &mut dyn Tx, namespace: Id, id: &BlobId) -> Result<Option<Self>> {
        let prefix = [Value::id(namespace), Value::Bytes(id.0.into())];
        let found: Vec<Self> = tx.find(tables::BLOB_HASH, &store::Range::prefix(prefix), 1)?;
        Ok(found.into_iter().next())
    }
}

impl Row for BlobRow {
    const TABLE: &'static Table = &tables::BLOB;

    fn to_doc(&self) -> Doc {
        let body = BlobBody {
            kind: self.kind.clone(),
            bytes: self.bytes,
            created: self.created.0,
            parts: self.parts.concat().into(),
        };
        Doc {
            key: Self::key(self.namespace, self.upload),
            columns: vec![
                self.id.map_or(Value::Null, |id| Value::Bytes(id.0.into())),
                self.due.map_or(Value::Null, |due| Value::Int(due.0)),
            ],
            body: queue::encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let body: BlobBody = queue::decode("blob", &doc.body)?;
        let id = match field(&doc.columns, 0)? {
            Value::Null => None,
            id => Some(BlobId(hash(id.as_bytes()?)?)),
        };
        let due = match field(&doc.columns, 1)? {
            Value::Null => None,
            due => Some(Time(due.as_int()?)),
        };
        Ok(Self {
            namespace: field(&doc.key, 0)?.as_id()?,
            upload: field(&doc.key, 1)?.as_id()?,
            id,
            due,
            kind: body.kind,
            bytes: body.bytes,
            created: Time(body.created),
            parts: body.parts.chunks(32).map(hash).collect::<Result<_>>()?,
        })
    }
}

/// A part of content.
#[derive(Clone, Debug)]
pub(crate) struct PartRow {
    pub(crate) namespace: Id,
    pub(crate) upload: Id,
    pub(crate) seq: u64,
    pub(crate) content: Vec<u8>,
}

impl PartRow {
    pub(super) fn key(namespace: Id, upload: Id, seq: u64) -> Key {
        vec![Value::id(namespace), Value::id(upload), Value::id(seq)]
    }
}

impl Row for PartRow {
    const TABLE: &'static Table = &tables::BLOB_PART;

    fn to_doc(&self) -> Doc {
        Doc {
            key: Self::key(self.namespace, self.upload, self.seq),
            columns: Vec::new(),
            body: self.content.clone(),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        Ok(Self {
            namespace: field(&doc.key, 0)?.as_id()?,
            upload: field(&doc.key, 1)?.as_id()?,
            seq: field(&doc.key, 2)?.as_id()?,
            content: doc.body,
        })
    }
}

/// A row that named a blob when it was written; whether it still does is in the row itself.
#[derive(Clone, Debug)]
pub(crate) struct RefRow {
    pub(crate) namespace: Id,
    pub(crate) id: BlobId,
    /// The table of the row.
    pub(crate) source: usize,
    /// The rest of the key of the row, behind the namespace.
    pub(crate) place: Vec<u8>,
}

impl RefRow {
    pub(super) fn new(id: BlobId, source: &'static Table, key: &Key) -> Result<Self> {
        let (namespace, rest) = key.split_first().ok_or_else(missing)?;
        Ok(Self { namespace: namespace.as_id()?, id, source: source.id, place: encode(rest)? })
    }

    /// Gives the table and the key of the row.
    pub(super) fn row(&self) -> Result<(&'static Table, Key)> {
        let table = tables::ALL.get(self.source).copied();
        let table = table.ok_or_else(|| Error::Internal("a table is not there".to_owned()))?;
        let mut key = vec![Value::id(self.namespace)];
        key.extend(
            decode(&self.place)
                .map_err(|error| Error::Internal(format!("a stored key is damaged: {error}")))?,
        );
        Ok((table, key))
    }
}

fn encode(values: &[Value]) -> Result<Vec<u8>> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    for value in values {
        let written = match value {
            Value::Int(value) => encoder.i64(*value),
            Value::Text(value) => encoder.str(value),
            Value::Bytes(value) => encoder.bytes(value),
            Value::Null | Value::Real(_) => return Err(missing()),
        };
        // A vector takes everything.
        let _infallible = written;
    }
    Ok(encoder.into_writer())
}

fn decode(bytes: &[u8]) -> Result<Vec<Value>, minicbor::decode::Error> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let mut values = Vec::new();
    while decoder.position() < bytes.len() {
        values.push(match decoder.datatype()? {
            minicbor::data::Type::String => Value::Text(decoder.str()?.into()),
            minicbor::data::Type::Bytes => Value::Bytes(decoder.bytes()?.into()),
            _ => Value::Int(decoder.i64()?),
        });
    }
    Ok(values)
}

impl Row for RefRow {
    const TABLE: &'static Table = &tables::BLOB_REF;

    fn to_doc(&self) -> Doc {
        Doc {
            key: vec![
                Value::id(self.namespace),
                Value::Bytes(self.id.0.into()),
                Value::id(self.source as u64),
                Value::Bytes(self.place.as_slice().into()),
            ],
            columns: Vec::new(),
            body: Vec::new(),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let source = usize::try_from(field(&doc.key, 2)?.as_id()?).map_err(|_| missing())?;
        Ok(Self {
            namespace: field(&doc.key, 0)?.as_id()?,
            id: BlobId(hash(field(&doc.key, 1)?.as_bytes()?)?),
            source,
            place: field(&doc.key, 3)?.as_bytes()?.to_vec(),
        })
    }
}
