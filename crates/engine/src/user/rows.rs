//! The rows of users and of their sessions.

use minicbor::{Decode, Encode};
use model::{
    Error, Grant, Holder, Identity, Namespace, PasswordHash, Result, Role, Session, Time, UserInfo,
    UserName, limits,
};
use store::{Doc, Key, Range, Row, Table, Tx, TxExt as _, Value, tables};

/// A user with the hash of its password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserRow {
    pub(super) name: UserName,
    pub(super) grants: Vec<Grant>,
    pub(super) is_disabled: bool,
    pub(super) password: Option<PasswordHash>,
    pub(super) identity: Option<Identity>,
    pub(super) created: Time,
}

impl UserRow {
    pub(super) fn key(name: &UserName) -> Key {
        vec![Value::Text(name.as_str().into())]
    }

    /// Gives what may be shown of it.
    pub(super) fn info(self) -> UserInfo {
        UserInfo {
            name: self.name,
            grants: self.grants,
            is_disabled: self.is_disabled,
            has_password: self.password.is_some(),
            identity: self.identity,
            created: self.created,
        }
    }
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct UserBody {
    #[n(0)]
    grants: Vec<(String, Option<String>)>,
    #[n(1)]
    is_disabled: bool,
    #[n(2)]
    password: Option<String>,
    #[n(3)]
    identity: Option<(String, String)>,
    #[n(4)]
    created: i64,
}

impl Row for UserRow {
    const TABLE: &'static Table = &tables::USER;

    fn to_doc(&self) -> Doc {
        let grants = self.grants.iter().map(|Grant { role, namespace }| {
            let namespace = namespace.as_ref().map(|name| name.as_str().to_owned());
            (role.as_str().to_owned(), namespace)
        });
        let identity = self.identity.as_ref();
        let body = UserBody {
            grants: grants.collect(),
            is_disabled: self.is_disabled,
            password: self.password.as_ref().map(|hash| hash.as_str().to_owned()),
            identity: identity.map(|who| (who.issuer.clone(), who.subject.clone())),
            created: self.created.0,
        };
        Doc { key: Self::key(&self.name), columns: Vec::new(), body: queue::encode(&body) }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let [name] = queue::parts(doc.key)?;
        let body: UserBody = queue::decode("user", &doc.body)?;
        let grants = body.grants.into_iter().map(|(role, namespace)| {
            let namespace = namespace.map(Namespace::new).transpose()?;
            Ok(Grant { role: Role::parse(&role)?, namespace })
        });
        Ok(Self {
            name: UserName::new(name.as_text()?)?,
            grants: grants.collect::<Result<_>>()?,
            is_disabled: body.is_disabled,
            password: body.password.map(PasswordHash::new).transpose()?,
            identity: body.identity.map(|(issuer, subject)| Identity { issuer, subject }),
            created: Time(body.created),
        })
    }
}

/// A session by the SHA-256 of what its cookie holds.
pub(crate) struct SessionRow {
    pub(super) id: [u8; 32],
    pub(super) session: Session,
}

impl SessionRow {
    pub(super) fn new(id: [u8; 32], holder: Holder, now: Time) -> Self {
        Self { id, session: Session { holder, begun: now, seen: now } }
    }

    pub(super) fn key_of(id: &[u8; 32]) -> Key {
        vec![Value::Bytes(id.as_slice().into())]
    }

    pub(super) fn key(&self) -> Key {
        Self::key_of(&self.id)
    }
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct SessionBody {
    /// The name of a user, or the id of a token.
    #[n(0)]
    holder: String,
    /// The hash of a token.
    #[cbor(n(1), with = "minicbor::bytes")]
    token: Option<[u8; 32]>,
    #[n(2)]
    begun: i64,
    #[n(3)]
    seen: i64,
}

impl Row for SessionRow {
    const TABLE: &'static Table = &tables::SESSION;

    fn to_doc(&self) -> Doc {
        let Session { holder, begun, seen } = &self.session;
        let (name, token) = match holder {
            Holder::User(name) => (name.to_string(), None),
            Holder::Token { id, hash } => (id.clone(), Some(*hash)),
        };
        let body = SessionBody { holder: name, token, begun: begun.0, seen: seen.0 };
        let due = begun.plus(limits::SESSION_KEPT);
        Doc {
            key: self.key(),
            columns: vec![Value::Text(holder.record().into()), Value::Int(due.0)],
            body: queue::encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let body: SessionBody = queue::decode("session", &doc.body)?;
        let [id] = queue::parts(doc.key)?;
        let id = id
            .as_bytes()?
            .try_into()
            .map_err(|_| Error::Internal("a hash has 32 bytes".to_owned()))?;
        let holder = match body.token {
            Some(hash) => Holder::Token { id: body.holder, hash },
            None => Holder::User(UserName::new(body.holder)?),
        };
        let session = Session { holder, begun: Time(body.begun), seen: Time(body.seen) };
        Ok(Self { id, session })
    }
}

/// Gives the sessions of a holder by its record; they are never many.
pub(super) fn sessions_of(tx: &mut dyn Tx, holder: &str) -> Result<Vec<SessionRow>> {
    let range = Range::prefix([Value::Text(holder.into())]);
    tx.find(tables::SESSION_HOLDER, &range, limits::PAGE_MAX)
}
