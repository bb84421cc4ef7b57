//! Idempotency keys: the same key and commands have one effect and one answer, also if that is a
//! refusal.

use std::{borrow::Cow, sync::Arc};

use minicbor::{Decode, Encode, bytes::ByteVec};
use model::{
    Command, Committed, Error, Id, InstanceCommand, Result, SecretCommand, SecretValue, Time,
    Write, limits,
};
use queue::Work;
use sha2::{Digest as _, Sha256};
use store::{Doc, Job, Key, Row, Table, Tx, TxExt as _, Value, tables};
use tokio::sync::oneshot;

use crate::{engine::stopped, secret::Keys, shared::Shared, write::recall_all};

/// Gives the key under which the waiting claims of a write are kept: longer than any key that a
/// caller may give.
pub(crate) fn waiting(id: &str) -> String {
    format!("{id:<256}waiting")
}

/// Tells whether a key is one of claims that wait.
pub(crate) fn is_waiting(id: &str) -> bool {
    id.len() > limits::REQUEST_ID_BYTES_MAX
}

/// Digests what a write asks for. Who has no keys can digest nothing that sets a secret.
pub(crate) fn digest(write: &Write, keys: Option<&Keys>) -> Result<[u8; 32]> {
    let mut commands = Cow::Borrowed(write.commands.as_slice());
    let is_special =
        |command: &Command| matches!(command, Command::Instance(_) | Command::Secret(_));
    if commands.iter().any(is_special) {
        for command in commands.to_mut() {
            match command {
                // The same question may be asked again in another trace.
                Command::Instance(InstanceCommand::Start(start)) => start.traceparent = None,
                // The digest is kept, and nobody may find a value by trying what gives it.
                Command::Secret(SecretCommand::Set { value, .. }) => {
                    let keyed = keys.ok_or(Error::NoSecretsKey)?.digest(value.expose())?;
                    *value = SecretValue::new(keyed)?;
                }
                _ => {}
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
/// The refusal, if that was the answer; [`Error::KeyReused`] if the key stands for other commands.
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
    let damaged = |error| Error::Internal(format!("a kept answer is damaged: {error}"));
    if let Some(refusal) = &row.refusal {
        return Err(serde_json::from_slice(refusal).unwrap_or_else(damaged));
    }
    serde_json::from_slice(&row.answer).map(Some).map_err(damaged)
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
    let (due, digest) = (now.plus(limits::REQUEST_KEPT), digest.to_vec());
    let answer = kept(serde_json::to_vec(committed))?;
    tx.put(&RequestRow { namespace, id: id.to_owned(), due, digest, answer, refusal: None })
}

fn kept(answer: serde_json::Result<Vec<u8>>) -> Result<Vec<u8>> {
    answer.map_err(|error| Error::Internal(format!("an answer cannot be kept: {error}")))
}

/// Tells whether a refusal says something of the request itself, and not only of the moment.
pub(crate) fn is_lasting(error: &Error) -> bool {
    let status = error.code().status;
    !matches!(error, Error::KeyReused(_)) && (400..500).contains(&status) && status != 429
}

/// Keeps the refusal of a write under its key, and gives what is to be answered: what was kept
/// first, if the same was asked for twice at once.
pub(crate) async fn refuse(
    shared: &Arc<Shared>,
    write: Arc<Write>,
    refusal: Error,
) -> Result<Committed> {
    let (reply, answer) = oneshot::channel();
    let of = Arc::clone(shared);
    shared.store.write(Box::new(RefusalJob {
        shared: of,
        write,
        now: None,
        answer: Err(refusal.clone()),
        refusal,
        reply,
    }));
    answer.await.unwrap_or_else(|_| Err(stopped()))
}

struct RefusalJob {
    shared: Arc<Shared>,
    write: Arc<Write>,
    /// The time of the first run, so that further ones ask for the same.
    now: Option<Time>,
    refusal: Error,
    answer: Result<Committed>,
    reply: oneshot::Sender<Result<Committed>>,
}

impl Job for RefusalJob {
    fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.answer = Err(self.refusal.clone());
        let now = *self.now.get_or_insert_with(|| self.shared.clock.now());
        let work = Work::open(tx, &self.write.namespace, now, 0)?;
        // A namespace that is not there has no history under which an answer could be kept.
        let Some(id) = self.write.request_id.as_deref().filter(|_| !work.is_new()) else {
            return Ok(());
        };
        let (history, digest) = (work.history_id(), digest(&self.write, self.shared.keys())?);
        match recall_all(work.tx, history, &self.write, id, &digest) {
            Ok(None) => {}
            Ok(Some(committed)) => {
                self.answer = Ok(committed);
                return Ok(());
            }
            Err(error) if is_lasting(&error) || matches!(error, Error::KeyReused(_)) => {
                self.answer = Err(error);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        tx.put(&RequestRow {
            namespace: history,
            id: id.to_owned(),
            due: now.plus(limits::REQUEST_KEPT),
            digest: digest.to_vec(),
            answer: Vec::new(),
            refusal: Some(kept(serde_json::to_vec(&self.refusal))?),
        })
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        // A caller that has gone needs no answer.
        let _gone = self.reply.send(outcome.and(self.answer));
    }
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
    refusal: Option<Vec<u8>>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct RequestBody {
    #[n(0)]
    digest: ByteVec,
    #[n(1)]
    answer: ByteVec,
    #[n(2)]
    refusal: Option<ByteVec>,
}

impl Row for RequestRow {
    const TABLE: &'static Table = &tables::REQUEST;

    fn to_doc(&self) -> Doc {
        let body = RequestBody {
            digest: self.digest.clone().into(),
            answer: self.answer.clone().into(),
            refusal: self.refusal.clone().map(ByteVec::from),
        };
        Doc {
            key: key(self.namespace, &self.id),
            columns: vec![Value::Int(self.due.0)],
            body: queue::encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let body: RequestBody = queue::decode("request", &doc.body)?;
        let [namespace, id] = queue::parts(doc.key)?;
        let [due] = queue::parts(doc.columns)?;
        Ok(Self {
            namespace: namespace.as_id()?,
            id: id.as_text()?.to_owned(),
            due: Time(due.as_int()?),
            digest: body.digest.into(),
            answer: body.answer.into(),
            refusal: body.refusal.map(Vec::from),
        })
    }
}
