//! Idempotency keys: the same key and commands have one effect and one answer.

use std::borrow::Cow;

use minicbor::{Decode, Encode, bytes::ByteVec};
use model::{Command, Committed, Error, Id, InstanceCommand, Result, Time, Write, limits};
use sha2::{Digest as _, Sha256};
use store::{Doc, Key, Row, Table, Tx, TxExt as _, Value, tables};

/// Gives the key under which the waiting claims of a write are kept: longer than any key that a
/// caller may give.
pub(crate) fn waiting(id: &str) -> String {
    format!("{id:<256}waiting")
}

/// Tells whether a key is one of claims that wait.
pub(crate) fn is_waiting(id: &str) -> bool {
    id.len() > limits::REQUEST_ID_BYTES_MAX
}

/// Digests what a write asks for.
pub(crate) fn digest(write: &Write) -> Result<[u8; 32]> {
    let mut commands = Cow::Borrowed(write.commands.as_slice());
    if commands.iter().any(|command| matches!(command, Command::Instance(_))) {
        // The same question may be asked again in another trace.
        for command in commands.to_mut() {
            if let Command::Instance(InstanceCommand::Start(start)) = command {
                start.traceparent = None;
            }
        }
    }
    let bytes = serde_json::to_vec(&commands)
        .map_err(|error| Error::Internal(format!("a write cannot be digested: {error}")))?;
    Ok(Sha256::digest(bytes).into())
}

/// Gives the answer that was given for a key earlier.
///
/// # Errors
/// [`Error::KeyReused`] if the key stands for other commands.
pub(crate) fn recall(
    tx: &mut dyn Tx,
    namespace: Id,
    id: &str,
    digest: &[u8; 32],
) -> Result<Option<Committed>> {
    let Some(row) = tx.get::<RequestRow>(key(namespace, id))? else { return Ok(None) };
    if row.digest != digest {
        return Err(Error::KeyReused(id.to_owned()));
    }
    serde_json::from_slice(&row.answer)
        .map(Some)
        .map_err(|error| Error::Internal(format!("a kept answer is damaged: {error}")))
}

/// Keeps the answer to a write.
pub(crate) fn keep(
    tx: &mut dyn Tx,
    namespace: Id,
    id: &str,
    digest: &[u8; 32],
    now: Time,
    committed: &Committed,
) -> Result<()> {
    let answer = serde_json::to_vec(committed)
        .map_err(|error| Error::Internal(format!("an answer cannot be kept: {error}")))?;
    tx.put(&RequestRow {
        namespace,
        id: id.to_owned(),
        due: now.plus(limits::REQUEST_KEPT),
        digest: digest.to_vec(),
        answer,
    })
}

fn key(namespace: Id, id: &str) -> Key {
    vec![Value::id(namespace), Value::Text(id.into())]
}

/// A kept answer.
pub(crate) struct RequestRow {
    namespace: Id,
    id: String,
    due: Time,
    digest: Vec<u8>,
    answer: Vec<u8>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct RequestBody {
    #[n(0)]
    digest: ByteVec,
    #[n(1)]
    answer: ByteVec,
}

impl Row for RequestRow {
    const TABLE: &'static Table = &tables::REQUEST;

    fn to_doc(&self) -> Doc {
        let body =
            RequestBody { digest: self.digest.clone().into(), answer: self.answer.clone().into() };
        Doc {
            key: key(self.namespace, &self.id),
            columns: vec![Value::Int(self.due.0)],
            body: queue::encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let body: RequestBody = queue::decode("request", &doc.body)?;
        let missing = || Error::Internal("a stored row is too short".to_owned());
        Ok(Self {
            namespace: doc.key.first().ok_or_else(missing)?.as_id()?,
            id: doc.key.get(1).ok_or_else(missing)?.as_text()?.to_owned(),
            due: Time(doc.columns.first().ok_or_else(missing)?.as_int()?),
            digest: body.digest.into(),
            answer: body.answer.into(),
        })
    }
}
