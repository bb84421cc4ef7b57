//! The rows of secrets.

use minicbor::{Decode, Encode, bytes::ByteVec};
use model::{Error, Id, Namespace, Result, Revision, SecretInfo, SecretName, Time, hex};
use store::{Doc, Key, Row, Table, Value, tables};

use super::keys::{KeyId, Place};

/// A secret, sealed.
#[derive(Clone, Debug)]
pub(crate) struct SecretRow {
    pub(crate) namespace: Id,
    pub(crate) name: SecretName,
    /// The key under which it is sealed.
    pub(crate) key: KeyId,
    /// The revision in which its value was set.
    pub(crate) revision: Revision,
    pub(crate) changed: Time,
    /// Nonce, sealed text, tag.
    pub(crate) sealed: Vec<u8>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct SecretBody {
    #[n(0)]
    revision: u64,
    #[n(1)]
    changed: i64,
    #[n(2)]
    sealed: ByteVec,
}

impl SecretRow {
    pub(crate) fn key(namespace: Id, name: &SecretName) -> Key {
        vec![Value::id(namespace), Value::Text(name.as_str().into())]
    }

    /// Says what it is sealed for.
    pub(crate) fn place<'a>(&'a self, namespace: &'a Namespace) -> Place<'a> {
        let Self { namespace: live, name, revision, .. } = self;
        Place { namespace, live: *live, name, revision: *revision }
    }

    /// Gives what is shown of it.
    pub(crate) fn info(self) -> SecretInfo {
        let Self { name, revision, changed, key, .. } = self;
        SecretInfo { name, revision, changed, key: hex(&key) }
    }
}

impl Row for SecretRow {
    const TABLE: &'static Table = &tables::SECRET;

    fn to_doc(&self) -> Doc {
        let body = SecretBody {
            revision: self.revision,
            changed: self.changed.0,
            sealed: self.sealed.clone().into(),
        };
        Doc {
            key: Self::key(self.namespace, &self.name),
            columns: vec![Value::Bytes(self.key.as_slice().into())],
            body: queue::encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let body: SecretBody = queue::decode("secret", &doc.body)?;
        let [namespace, name] = queue::parts(doc.key)?;
        let [key] = queue::parts(doc.columns)?;
        let wrong = |_| Error::Internal("the id of a key has 8 bytes".to_owned());
        Ok(Self {
            namespace: namespace.as_id()?,
            name: SecretName::new(name.as_text()?)?,
            key: key.as_bytes()?.try_into().map_err(wrong)?,
            revision: body.revision,
            changed: Time(body.changed),
            sealed: body.sealed.into(),
        })
    }
}
