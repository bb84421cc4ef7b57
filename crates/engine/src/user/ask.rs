//! Answers to questions about users.

use model::{
    Answer, Behind, Error, Holder, Page, Read, Result, Session, UserAnswer, UserInfo, UserName,
    UserQuery, limits,
};
use store::{PRIMARY, Range, Tx, TxExt as _, Value};

use super::rows::{SessionRow, UserRow, sessions_of};
use crate::admin::TokenRow;

/// Answers a question about users.
pub(crate) fn answer(tx: &mut dyn Tx, query: &UserQuery) -> Result<Read> {
    let answer = match query {
        UserQuery::List(page) => UserAnswer::Users(list(tx, page)?),
        UserQuery::One(name) => {
            let row = user(tx, name)?.ok_or_else(|| Error::NoSuchUser(name.to_string()))?;
            let sessions = sessions_of(tx, &Holder::User(name.clone()).record())?;
            let mut sessions: Vec<Session> = sessions.into_iter().map(|row| row.session).collect();
            sessions.sort_by_key(|session| session.begun);
            UserAnswer::User(row.info(), sessions)
        }
        UserQuery::Password(name) => {
            let row = user(tx, name)?.filter(|row| !row.is_disabled);
            UserAnswer::Password(row.and_then(|row| row.password))
        }
        UserQuery::Session(id) => UserAnswer::Session(session(tx, id)?),
    };
    Ok(Read { as_of: 0, answer: Answer::Users(answer) })
}

fn list(tx: &mut dyn Tx, page: &Page<UserName>) -> Result<Vec<UserInfo>> {
    let after = page.after.as_ref().map(|name| Value::Text(name.as_str().into()));
    let limit = match page.limit {
        0 => limits::PAGE_MAX,
        limit => limit.min(limits::PAGE_MAX),
    };
    let rows: Vec<UserRow> = tx.find(PRIMARY, &Range::default().after(after), limit)?;
    Ok(rows.into_iter().map(UserRow::info).collect())
}

fn user(tx: &mut dyn Tx, name: &UserName) -> Result<Option<UserRow>> {
    tx.get(UserRow::key(name))
}

/// Gives a session with who is behind it as of the same moment.
fn session(tx: &mut dyn Tx, id: &[u8; 32]) -> Result<Option<(Session, Behind)>> {
    let Some(SessionRow { session, .. }) = tx.get(SessionRow::key_of(id))? else {
        return Ok(None);
    };
    let behind = match &session.holder {
        Holder::User(name) => {
            let user = user(tx, name)?.filter(|row| !row.is_disabled);
            user.map(|row| Behind::User(row.info()))
        }
        Holder::Token { hash, .. } => {
            let row: Option<TokenRow> = tx.get(vec![Value::Bytes(hash.as_slice().into())])?;
            row.map(|row| Behind::Token(row.info))
        }
    };
    Ok(behind.map(|behind| (session, behind)))
}
