//! The server's own records: access tokens, stored by their hash.

use minicbor::{Decode, Encode};
use model::{
    AdminCommand, Answer, Error, EventBody, Namespace, Query, Read, Reply, Result, Scope, Time,
    TokenInfo, limits,
};
use queue::Work;
use store::{Doc, Range, Row, Table, Tx, TxExt as _, Value, tables};

use crate::user;

/// Applies a command on the server's own records.
pub(crate) fn apply(work: &mut Work<'_>, command: &AdminCommand) -> Result<Reply> {
    match command {
        AdminCommand::CreateToken { info, hash } => {
            if by_id(work.tx, &info.id)?.is_some() {
                return Err(Error::bad_input(format!("token {:?} exists already", info.id)));
            }
            work.tx.put(&TokenRow { hash: hash.to_vec(), info: info.clone() })?;
            work.events.push(EventBody::TokenChanged(info.id.clone()));
        }
        AdminCommand::RevokeToken { id } => {
            let row = by_id(work.tx, id)?.ok_or_else(|| Error::NoSuchToken(id.clone()))?;
            work.tx.remove(&tables::TOKEN, &[vec![Value::Bytes(row.hash.into())]])?;
            user::end_sessions_of_token(work, id)?;
            work.events.push(EventBody::TokenChanged(id.clone()));
        }
    }
    Ok(Reply::Done)
}

/// Answers a query about the server's own records.
pub(crate) fn answer(tx: &mut dyn Tx, query: &Query) -> Result<Read> {
    let tokens = match query {
        Query::TokenByHash(hash) => {
            let row: Option<TokenRow> = tx.get(vec![Value::Bytes(hash.as_slice().into())])?;
            row.into_iter().map(|row| row.info).collect()
        }
        _ => {
            let rows: Vec<TokenRow> =
                tx.find(tables::TOKEN_ID, &Range::default(), limits::PAGE_MAX)?;
            rows.into_iter().map(|row| row.info).collect()
        }
    };
    Ok(Read { as_of: 0, answer: Answer::Tokens(tokens) })
}

fn by_id(tx: &mut dyn Tx, id: &str) -> Result<Option<TokenRow>> {
    let range = Range::prefix([Value::Text(id.into())]);
    Ok(tx.find(tables::TOKEN_ID, &range, 1)?.into_iter().next())
}

/// A token, by the hash of its text.
pub(crate) struct TokenRow {
    hash: Vec<u8>,
    pub(crate) info: TokenInfo,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct TokenBody {
    #[n(0)]
    namespace: Option<String>,
    #[n(1)]
    scopes: Vec<String>,
    #[n(2)]
    created: i64,
    #[n(3)]
    expires: Option<i64>,
}

impl Row for TokenRow {
    const TABLE: &'static Table = &tables::TOKEN;

    fn to_doc(&self) -> Doc {
        let body = TokenBody {
            namespace: self.info.namespace.as_ref().map(|name| name.as_str().to_owned()),
            scopes: self.info.scopes.iter().map(Scope::to_string).collect(),
            created: self.info.created.0,
            expires: self.info.expires.map(|time| time.0),
        };
        Doc {
            key: vec![Value::Bytes(self.hash.as_slice().into())],
            columns: vec![Value::Text(self.info.id.as_str().into())],
            body: queue::encode(&body),
        }
    }

    fn from_doc(doc: Doc) -> Result<Self> {
        let body: TokenBody = queue::decode("token", &doc.body)?;
        let [hash] = queue::parts(doc.key)?;
        let [id] = queue::parts(doc.columns)?;
        Ok(Self {
            hash: hash.as_bytes()?.to_vec(),
            info: TokenInfo {
                id: id.as_text()?.to_owned(),
                namespace: body.namespace.map(Namespace::new).transpose()?,
                scopes: body.scopes.iter().map(|s| Scope::parse(s)).collect::<Result<_>>()?,
                created: Time(body.created),
                expires: body.expires.map(Time),
            },
        })
    }
}
