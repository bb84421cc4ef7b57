//! Locks: taking, keeping, giving back, and asking who holds them.

use std::time::Duration;

use model::{ChangeLocks, Error, EventBody, LockChange, LockPath, Reply, Result, Time, limits};
use store::{Key, PRIMARY, Range, Tx, TxExt as _, Value, tables};

use crate::{Work, rows::LockRow};

/// Changes locks. All paths are looked at before any is changed, so two paths of one call do not
/// stand in each other's way.
pub(crate) fn change_locks(work: &mut Work<'_>, command: &ChangeLocks) -> Result<Reply> {
    check_count(&command.paths)?;
    let owner = &command.owner;
    if owner.len() > limits::NAME_BYTES_MAX {
        return Err(Error::too_large("owner of a lock", owner.len(), limits::NAME_BYTES_MAX));
    }
    match command.change {
        LockChange::Take(span) => {
            for path in &command.paths {
                if !is_free(work, path)? {
                    return Err(Error::LockConflict(format!("{path} is not lockable")));
                }
            }
            hold(work, owner, command.paths.iter(), span)
        }
        LockChange::TakeSome(span) => {
            let free: Vec<bool> =
                command.paths.iter().map(|path| is_free(work, path)).collect::<Result<_>>()?;
            let taken = command.paths.iter().zip(&free).filter(|(_, free)| **free);
            hold(work, owner, taken.map(|(path, _)| path), span)?;
            Ok(Reply::Locked(free))
        }
        LockChange::Keep(span) => {
            check_owner(work, command, |path| format!("{path} is held by None"))?;
            hold(work, owner, command.paths.iter(), span)
        }
        LockChange::GiveBack => {
            check_owner(work, command, |path| format!("{path} is not held"))?;
            let keys: Vec<Key> =
                command.paths.iter().map(|path| LockRow::key(work.live, path)).collect();
            drop_rows(work, &keys)?;
            Ok(Reply::Done)
        }
    }
}

/// Drops the lock of a path and all locks below it.
pub(crate) fn drop_locks(work: &mut Work<'_>, path: &LockPath) -> Result<Reply> {
    drop_rows(work, &[LockRow::key(work.live, path)])?;
    loop {
        let below = below(work, path, limits::PAGE_MAX)?;
        if below.is_empty() {
            return Ok(Reply::Done);
        }
        let keys: Vec<Key> = below.iter().map(|row| LockRow::key(work.live, &row.path)).collect();
        drop_rows(work, &keys)?;
    }
}

/// Gives the owner of each lock that is held.
pub(crate) fn owners(
    tx: &mut dyn Tx,
    live: u64,
    paths: &[LockPath],
) -> Result<Vec<Option<String>>> {
    check_count(paths)?;
    let keys: Vec<Key> = paths.iter().map(|path| LockRow::key(live, path)).collect();
    let rows: Vec<Option<LockRow>> = tx.get_all(&keys)?;
    Ok(rows.into_iter().map(|row| row.map(|row| row.owner)).collect())
}

/// Removes locks that have run out, and gives them.
pub(crate) fn run_out(tx: &mut dyn Tx, now: Time, limit: u32) -> Result<Vec<LockRow>> {
    let before = Value::Int(now.0.saturating_sub(1));
    let rows: Vec<LockRow> = tx.find(tables::LOCK_DUE, &Range::default().upto(before), limit)?;
    let keys: Vec<Key> = rows.iter().map(|row| LockRow::key(row.namespace, &row.path)).collect();
    tx.remove(&tables::LOCK, &keys)?;
    Ok(rows)
}

fn check_count(paths: &[LockPath]) -> Result<()> {
    if paths.len() > limits::BATCH_MAX {
        return Err(Error::too_large("locks in one call", paths.len(), limits::BATCH_MAX));
    }
    Ok(())
}

/// Tells whether neither a path nor one above or below it is locked.
fn is_free(work: &mut Work<'_>, path: &LockPath) -> Result<bool> {
    let mut keys: Vec<Key> =
        path.above()?.iter().map(|path| LockRow::key(work.live, path)).collect();
    keys.push(LockRow::key(work.live, path));
    let held: Vec<Option<LockRow>> = work.tx.get_all(&keys)?;
    Ok(held.iter().all(Option::is_none) && below(work, path, 1)?.is_empty())
}

/// Gives locks below a path; in bytewise order they come right after it.
fn below(work: &mut Work<'_>, path: &LockPath, limit: u32) -> Result<Vec<LockRow>> {
    let range =
        Range::prefix([Value::id(work.live)]).after(Some(Value::Bytes(path.as_bytes().into())));
    let mut rows: Vec<LockRow> = work.tx.find(PRIMARY, &range, limit)?;
    rows.retain(|row| path.covers(&row.path));
    Ok(rows)
}

fn hold<'p>(
    work: &mut Work<'_>,
    owner: &str,
    paths: impl Iterator<Item = &'p LockPath>,
    span: Duration,
) -> Result<Reply> {
    let span = if span.is_zero() { limits::LOCK_DEFAULT } else { span.min(limits::LOCK_MAX) };
    let (namespace, due) = (work.live, work.now.plus(span));
    let row =
        |path: &LockPath| LockRow { namespace, path: path.clone(), owner: owner.to_owned(), due };
    let rows: Vec<LockRow> = paths.map(row).collect();
    work.tx.put_all(&rows)?;
    if !rows.is_empty() {
        work.events.push(EventBody::LocksChanged);
    }
    Ok(Reply::Done)
}

fn check_owner(
    work: &mut Work<'_>,
    command: &ChangeLocks,
    absent: fn(&LockPath) -> String,
) -> Result<()> {
    let held = owners(work.tx, work.live, &command.paths)?;
    for (path, holder) in command.paths.iter().zip(held) {
        match holder {
            None => return Err(Error::LockConflict(absent(path))),
            Some(holder) if holder != command.owner => {
                return Err(Error::LockConflict(format!("{path} is held by {holder}")));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn drop_rows(work: &mut Work<'_>, keys: &[Key]) -> Result<()> {
    let held: Vec<Option<LockRow>> = work.tx.get_all(keys)?;
    if held.iter().any(Option::is_some) {
        work.tx.remove(&tables::LOCK, keys)?;
        work.events.push(EventBody::LocksChanged);
    }
    Ok(())
}
