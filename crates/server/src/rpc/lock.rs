//! Locks.

use std::time::Duration;

use model::{
    Answer, ChangeLocks, Datum, Error, LockChange, LockPath, Namespace, Query, QueueCommand, Reply,
    Result, limits,
};

use super::{methods::Call, value::Value};
use crate::call::{mismatch, take};

/// Takes all locks or none.
pub(crate) async fn lock(call: Call) -> Result<Value> {
    timed(call, LockChange::Take).await
}

/// Keeps all locks or none.
pub(crate) async fn renew(call: Call) -> Result<Value> {
    timed(call, LockChange::Keep).await
}

async fn timed(mut call: Call, change: fn(Duration) -> LockChange) -> Result<Value> {
    let owner = call.args.text("the owner")?;
    let change = change(span(&mut call)?);
    let paths = paths(&call.args.next())?;
    call.command(QueueCommand::ChangeLocks(ChangeLocks { owner, paths, change })).await?;
    Ok(Value::bool(true))
}

/// Takes the locks that are free, and gives their paths as they came, with null for the others.
pub(crate) async fn lock_some(mut call: Call) -> Result<Value> {
    let owner = call.args.text("the owner")?;
    let change = LockChange::TakeSome(span(&mut call)?);
    let asked = call.args.next();
    let paths = paths(&asked)?;
    let command = QueueCommand::ChangeLocks(ChangeLocks { owner, paths, change });
    let Reply::Locked(taken) = call.command(command).await? else { return Err(mismatch()) };
    let (Datum::List(asked) | Datum::Tuple(asked)) = asked else { return Err(undecodable()) };
    let shown = asked
        .into_iter()
        .zip(taken)
        .map(|(path, taken)| if taken { Value::Plain(path) } else { Value::NULL });
    Ok(Value::List(shown.collect()))
}

/// Gives the owner of each lock, or null.
pub(crate) async fn read(mut call: Call) -> Result<Value> {
    let paths = paths(&call.args.next())?;
    let mut shown = Vec::with_capacity(paths.len());
    for paths in paths.chunks(limits::BATCH_MAX) {
        let query = Query::Locks(Namespace::empty(), paths.to_vec());
        let owners = take!(call.read(query).await?, Answer::Locks)?;
        shown.extend(owners.into_iter().map(|owner| owner.map_or(Value::NULL, Value::text)));
    }
    Ok(Value::List(shown))
}

pub(crate) async fn unlock(mut call: Call) -> Result<Value> {
    let owner = call.args.text("the owner")?;
    let (paths, change) = (paths(&call.args.next())?, LockChange::GiveBack);
    call.command(QueueCommand::ChangeLocks(ChangeLocks { owner, paths, change })).await?;
    Ok(Value::bool(true))
}

/// Drops all locks whose first label is this one.
pub(crate) async fn delete(mut call: Call) -> Result<Value> {
    let path = LockPath::new(&[call.args.next()])?;
    call.command(QueueCommand::DropLocks { path }).await?;
    Ok(Value::int(0))
}

fn span(call: &mut Call) -> Result<Duration> {
    let seconds = call.args.seconds("the timeout")?;
    // What is negative is over at once, for which a lock is no use.
    Ok(u64::try_from(seconds).map_or(Duration::ZERO, Duration::from_secs))
}

fn paths(asked: &Datum) -> Result<Vec<LockPath>> {
    let (Datum::List(paths) | Datum::Tuple(paths)) = asked else { return Err(undecodable()) };
    let path = |path: &Datum| match path {
        Datum::List(labels) | Datum::Tuple(labels) => LockPath::new(labels),
        _ => Err(undecodable()),
    };
    paths.iter().map(path).collect()
}

fn undecodable() -> Error {
    Error::bad_input("cannot decode key paths")
}
