//! What the commands on secrets mean.

use model::{Error, EventBody, Reply, Result, SecretCommand, SecretName, SecretValue, limits};
use queue::Work;
use store::{PRIMARY, Range, TxExt as _, Value, tables};

use super::{
    keys::{Keys, Place},
    rows::SecretRow,
};

/// Applies a command on secrets.
///
/// # Errors
/// [`Error::NoSecretsKey`] if there is something to seal and no key.
pub(crate) fn apply(
    work: &mut Work<'_>,
    keys: Option<&Keys>,
    command: &SecretCommand,
) -> Result<Reply> {
    match command {
        SecretCommand::Set { name, value } => {
            set(work, keys.ok_or(Error::NoSecretsKey)?, name, value)
        }
        SecretCommand::Remove { name } => remove(work, name),
        SecretCommand::Reseal { after } => {
            reseal(work, keys.ok_or(Error::NoSecretsKey)?, after.as_ref())
        }
    }
}

fn changed(work: &mut Work<'_>, name: &SecretName) {
    work.events.push(EventBody::SecretChanged(name.as_str().to_owned()));
}

fn set(work: &mut Work<'_>, keys: &Keys, name: &SecretName, value: &SecretValue) -> Result<Reply> {
    let (live, revision) = (work.live(), work.next_revision());
    if work.tx.get::<SecretRow>(SecretRow::key(live, name))?.is_none() {
        let all = Range::prefix([Value::id(live)]);
        let count = work.tx.scan(&tables::SECRET, PRIMARY, &all, limits::SECRETS_MAX)?.len();
        if count >= limits::SECRETS_MAX as usize {
            let max = limits::SECRETS_MAX as usize;
            return Err(Error::too_large("secrets of a namespace", count + 1, max));
        }
    }
    let place = Place { namespace: work.name(), live, name, revision };
    let row = SecretRow {
        namespace: live,
        name: name.clone(),
        key: keys.first_id()?,
        revision,
        changed: work.now,
        sealed: keys.seal(place, value.expose())?,
    };
    work.tx.put(&row)?;
    changed(work, name);
    Ok(Reply::Done)
}

fn remove(work: &mut Work<'_>, name: &SecretName) -> Result<Reply> {
    let key = SecretRow::key(work.live(), name);
    if work.tx.get::<SecretRow>(key.clone())?.is_none() {
        return Err(Error::NoSuchSecret(name.to_string()));
    }
    work.tx.remove(&tables::SECRET, &[key])?;
    changed(work, name);
    Ok(Reply::Done)
}

/// Seals some secrets under the first key; their values, revisions and times stay.
fn reseal(work: &mut Work<'_>, keys: &Keys, after: Option<&SecretName>) -> Result<Reply> {
    let after = after.map(|name| Value::Text(name.as_str().into()));
    let range = Range::prefix([Value::id(work.live())]).after(after);
    let rows: Vec<SecretRow> = work.tx.find(PRIMARY, &range, limits::SECRETS_RESEALED_MAX)?;
    let is_all = rows.len() < limits::SECRETS_RESEALED_MAX as usize;
    let next = rows.last().filter(|_| !is_all).map(|row| row.name.clone());
    let first = keys.first_id()?;
    let mut count = 0;
    for mut row in rows.into_iter().filter(|row| row.key != first) {
        let namespace = work.name();
        let opened = keys.open(&row.key, row.place(namespace), &row.sealed)?;
        let text = str::from_utf8(&opened)
            .map_err(|_| Error::Internal("a secret is not text".to_owned()))?;
        row.sealed = keys.seal(row.place(namespace), text)?;
        row.key = first;
        work.tx.put(&row)?;
        changed(work, &row.name);
        count += 1;
    }
    Ok(Reply::Resealed { count, next })
}
