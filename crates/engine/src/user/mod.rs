//! Users and their sessions: who they are, what they may do, and which browsers are signed in.

mod ask;
mod rows;

use model::{
    Error, EventBody, Grant, Holder, Reply, Result, UserChange, UserCommand, UserName, grants,
    limits,
};
use queue::{CounterRow, Work};
use store::{Range, TxExt as _, Value, tables};

pub(crate) use ask::answer;
use rows::sessions_of;
pub(crate) use rows::{SessionRow, UserRow};

/// The counter that is locked for all of it.
const COUNTER: &str = "user";
/// Sessions that are over of which one that begins takes the place.
const SWEPT: u32 = 100;

/// Applies a command on users.
pub(crate) fn apply(work: &mut Work<'_>, command: &UserCommand) -> Result<Reply> {
    // Users belong to no namespace, so its lock does not keep two of these apart.
    let _locked: Option<CounterRow> = work.tx.get(vec![Value::Text(COUNTER.into())])?;
    match command {
        UserCommand::Add { name, password, grants: roles, identity } => {
            if find(work, name)?.is_some() {
                return Err(Error::UserExists(name.to_string()));
            }
            let row = UserRow {
                name: name.clone(),
                grants: grants(roles.clone())?,
                is_disabled: false,
                password: password.clone(),
                identity: identity.clone(),
                created: work.now,
            };
            keep(work, &row)?;
        }
        UserCommand::Remove { name } => {
            must_find(work, name)?;
            let record = record_of(name);
            end_all(work, &record)?;
            work.tx.remove(&tables::USER, &[UserRow::key(name)])?;
            note(work, record);
        }
        UserCommand::Change { name, change } => self::change(work, name, change)?,
        UserCommand::BeginSession { id, holder } => begin(work, *id, holder)?,
        UserCommand::SeeSession { id } => {
            if let Some(mut row) = session(work, id)? {
                row.session.seen = work.now;
                work.tx.put(&row)?;
                note(work, row.session.holder.record());
            }
        }
        UserCommand::EndSession { id } => {
            if let Some(row) = session(work, id)? {
                work.tx.remove(&tables::SESSION, &[row.key()])?;
                note(work, row.session.holder.record());
            }
        }
    }
    Ok(Reply::Done)
}

/// Ends the sessions of a token that is revoked.
pub(crate) fn end_sessions_of_token(work: &mut Work<'_>, id: &str) -> Result<()> {
    end_all(work, &format!("token/{id}")).map(drop)
}

fn change(work: &mut Work<'_>, name: &UserName, change: &UserChange) -> Result<()> {
    let mut row = must_find(work, name)?;
    let before = row.clone();
    let record = record_of(name);
    let mut has_ended = false;
    match change {
        UserChange::Grant(grant) => {
            let others = row.grants.iter().filter(|other| other.namespace != grant.namespace);
            row.grants = grants(others.chain([grant]).cloned().collect())?;
        }
        UserChange::Ungrant { namespace } => {
            row.grants.retain(|grant: &Grant| grant.namespace != *namespace);
            if row == before {
                let place = namespace.as_ref().map_or_else(
                    || "for all namespaces".to_owned(),
                    |namespace| format!("in namespace \"{namespace}\""),
                );
                return Err(Error::bad_input(format!("user \"{name}\" has no role {place}")));
            }
        }
        UserChange::Grants(roles) => row.grants = grants(roles.clone())?,
        UserChange::Disable => {
            row.is_disabled = true;
            has_ended = end_all(work, &record)?;
        }
        UserChange::Enable => row.is_disabled = false,
        UserChange::Password(hash) => {
            row.password = Some(hash.clone());
            has_ended = end_all(work, &record)?;
        }
        UserChange::SignOut => {
            end_all(work, &record)?;
            has_ended = true;
        }
    }
    if row != before {
        work.tx.put(&row)?;
    }
    if has_ended || row != before {
        note(work, record);
    }
    Ok(())
}

fn begin(work: &mut Work<'_>, id: [u8; 32], holder: &Holder) -> Result<()> {
    match holder {
        Holder::User(name) if must_find(work, name)?.is_disabled => {
            return Err(Error::Unauthenticated("this user is disabled".to_owned()));
        }
        Holder::User(_) | Holder::Token { .. } => {}
    }
    let over = Range::default().upto(Value::Int(work.now.0));
    let mut gone: Vec<SessionRow> = work.tx.find(tables::SESSION_DUE, &over, SWEPT)?;
    let record = holder.record();
    let mut own = sessions_of(work.tx, &record)?;
    own.retain(|row| gone.iter().all(|other| other.id != row.id));
    own.sort_by_key(|row| row.session.begun);
    let too_many = (own.len() + 1).saturating_sub(limits::SESSIONS_MAX);
    gone.extend(own.into_iter().take(too_many));
    let keys: Vec<_> = gone.iter().map(SessionRow::key).collect();
    work.tx.remove(&tables::SESSION, &keys)?;
    work.tx.put(&SessionRow::new(id, holder.clone(), work.now))?;
    note(work, record);
    Ok(())
}

/// Ends the sessions of a holder by its record; tells whether there were any.
fn end_all(work: &mut Work<'_>, holder: &str) -> Result<bool> {
    let keys: Vec<_> = sessions_of(work.tx, holder)?.iter().map(SessionRow::key).collect();
    work.tx.remove(&tables::SESSION, &keys)?;
    Ok(!keys.is_empty())
}

fn session(work: &mut Work<'_>, id: &[u8; 32]) -> Result<Option<SessionRow>> {
    work.tx.get(SessionRow::key_of(id))
}

fn find(work: &mut Work<'_>, name: &UserName) -> Result<Option<UserRow>> {
    work.tx.get(UserRow::key(name))
}

fn must_find(work: &mut Work<'_>, name: &UserName) -> Result<UserRow> {
    find(work, name)?.ok_or_else(|| Error::NoSuchUser(name.to_string()))
}

fn keep(work: &mut Work<'_>, row: &UserRow) -> Result<()> {
    work.tx.put(row)?;
    note(work, record_of(&row.name));
    Ok(())
}

fn record_of(name: &UserName) -> String {
    Holder::User(name.clone()).record()
}

fn note(work: &mut Work<'_>, record: String) {
    work.events.push(EventBody::UserChanged(record));
}
