//! Writing a group: one statement for all that it changed.

use std::time::Duration;

use futures_util::future::{FutureExt as _, join_all};
use model::{Error, Result};

use super::address::Address;
use super::failure::{Failure, Outcome};
use super::known::Difference;
use super::link::{Link, TIME};
use super::part::Bytes;
use super::shipment::{self, Parcel};
use super::texts::{self, Text};
use super::wire::{self, Array};
use crate::layout::{Layout, layout};
use crate::ordered::damaged;
use crate::tables;

/// Tries to learn whether a commit that was cut off has happened.
const ASKS_MAX: u32 = 10;
/// The pause between two of them.
const ASK_PAUSE: Duration = Duration::from_millis(500);

/// Gives the texts that a writer needs in any case.
pub(crate) fn texts(layouts: &[Layout]) -> Vec<Text> {
    let load = |layout: &Layout| Text::Load { table: layout.table.id, lock: layout.is_head() };
    let plain = ["BEGIN", "COMMIT", TIME, shipment::FIND, shipment::SHIP, shipment::REMOVE];
    let checks = [true, false].map(|lock| Text::Check { lock });
    plain.map(Text::from).into_iter().chain(checks).chain(layouts.iter().map(load)).collect()
}

/// Makes sure that namespaces are at the revisions that they are assumed to be at, and locks their
/// rows if that is asked for.
pub(crate) async fn check(
    link: &Link,
    layouts: &[Layout],
    assumed: &[(Bytes, i64)],
    lock: bool,
) -> Outcome<()> {
    let arrays = revisions(layouts, assumed)?;
    let parameters: Vec<_> = arrays.iter().map(Array::parameter).collect();
    let found = link.query(Text::Check { lock }, &parameters).await?;
    if found.len() == assumed.len() { Ok(()) } else { Err(damaged().into()) }
}

fn revisions<'a>(layouts: &[Layout], assumed: &'a [(Bytes, i64)]) -> Result<Vec<Array<'a>>> {
    let layout = layout(layouts, &tables::NAMESPACE)?;
    let mut arrays = wire::keys(layout, assumed.iter().map(|(key, _)| &**key))?;
    arrays.push(Array::Int(assumed.iter().map(|(_, revision)| Some(*revision)).collect()));
    Ok(arrays)
}

/// Writes what was changed, as a transaction of its own that comes to nothing if a namespace is not
/// at the revision that it is assumed to be at.
pub(crate) async fn write(
    link: &Link,
    layouts: &[Layout],
    differences: &[Difference],
    assumed: &[(Bytes, i64)],
) -> Outcome<()> {
    let (mut what, mut arrays) = changes(layouts, differences)?;
    if !assumed.is_empty() {
        what.checks = true;
        arrays.extend(revisions(layouts, assumed)?);
    }
    execute(link, what, &arrays).await
}

/// Writes what was changed and commits the transaction that is open, with one round trip.
pub(crate) async fn commit(
    link: &Link,
    layouts: &[Layout],
    differences: &[Difference],
    parcels: &[Parcel],
) -> Outcome<()> {
    let (what, arrays) = changes(layouts, differences)?;
    if !differences.is_empty() {
        // What is sent together must not wait for each other.
        link.prepare([Text::Group(what)]).await?;
    }
    let written =
        async { if differences.is_empty() { Ok(()) } else { execute(link, what, &arrays).await } };
    let shipped = parcels.iter().map(|parcel| parcel.send(link).boxed_local());
    let committed = async { link.execute("COMMIT", &[]).await.map(drop) };
    let sent = [written.boxed_local()].into_iter().chain(shipped);
    let outcomes = join_all(sent.chain([committed.boxed_local()])).await;
    // What PostgreSQL refused says more than that the transaction then came to nothing.
    let rank = |failure: &Failure| matches!(failure, Failure::Lost(_));
    let failures = outcomes.into_iter().filter_map(Result::err);
    failures.min_by_key(rank).map_or(Ok(()), Err)
}

async fn execute(link: &Link, what: texts::Group, arrays: &[Array<'_>]) -> Outcome<()> {
    let parameters: Vec<_> = arrays.iter().map(Array::parameter).collect();
    link.execute(Text::Group(what), &parameters).await.map(drop)
}

/// Says what was changed, with the parameters in the order of the statement.
fn changes<'d>(
    layouts: &[Layout],
    differences: &'d [Difference],
) -> Result<(texts::Group, Vec<Array<'d>>)> {
    let (mut what, mut arrays) = (texts::Group::default(), Vec::new());
    for of_table in differences.chunk_by(|one, other| one.table == other.table) {
        let layout = of_table.first().and_then(|difference| layouts.get(difference.table));
        let layout = layout.ok_or_else(damaged)?;
        let bit = 1 << layout.table.id;
        let (mut gone, mut new, mut here) = (Vec::new(), Vec::new(), Vec::new());
        for Difference { key, now, is_new, .. } in of_table {
            match now {
                None => gone.push(&**key),
                Some(row) if *is_new => new.push((key, row)),
                Some(row) => here.push((key, row)),
            }
        }
        if !gone.is_empty() {
            what.deletes |= bit;
            arrays.extend(wire::keys(layout, gone.into_iter())?);
        }
        for (tables, rows) in [(&mut what.inserts, new), (&mut what.puts, here)] {
            if !rows.is_empty() {
                *tables |= bit;
                arrays.extend(wire::rows(layout, &rows)?);
            }
        }
    }
    Ok((what, arrays))
}

/// Tells whether a commit has happened whose answer never came: whether its history is there.
///
/// # Errors
/// If that cannot be learnt.
pub(crate) async fn happened(
    address: &Address,
    layouts: &[Layout],
    differences: &[Difference],
) -> Outcome<bool> {
    let unknown = |why: &str| {
        Failure::Error(Error::Unavailable(format!(
            "PostgreSQL went away during the commit, and {why}: the change may or may not be \
             there; ask again, with the same idempotency key where there is one"
        )))
    };
    let history = differences.iter().filter(|one| one.table == tables::HISTORY.id);
    let history: Vec<&Difference> = history.filter(|one| one.now.is_some()).collect();
    if history.is_empty() {
        return Err(unknown("nothing in the history tells of it"));
    }
    for _ in 0..ASKS_MAX {
        if let Ok(link) = Link::connect(address, "writer").await
            && let Ok(found) = is_there(&link, layouts, &history).await
        {
            return Ok(found);
        }
        tokio::time::sleep(ASK_PAUSE).await;
    }
    Err(unknown("it did not come back"))
}

async fn is_there(link: &Link, layouts: &[Layout], history: &[&Difference]) -> Outcome<bool> {
    let layout = layouts.get(tables::HISTORY.id).ok_or_else(damaged)?;
    let ids =
        history.iter().map(|one| layout.namespace(&one.key)).collect::<Result<Vec<_>, _>>()?;
    link.run("BEGIN").await?;
    // Whoever gets these locks knows that the transaction that had them is over.
    let locks = "SELECT 1 FROM namespace WHERE id = ANY($1) ORDER BY name FOR UPDATE";
    link.query(locks, &[&ids]).await?;
    let keys = wire::keys(layout, history.iter().map(|one| &*one.key))?;
    let parameters: Vec<_> = keys.iter().map(Array::parameter).collect();
    let rows = link.query(Text::Load { table: layout.table.id, lock: false }, &parameters).await?;
    let rows = rows.iter().map(|row| wire::encoded(layout, row)).collect::<Outcome<Vec<_>>>()?;
    link.run("COMMIT").await?;
    let is_same = |one: &&Difference| {
        rows.iter().any(|(key, row)| *key == one.key && Some(row) == one.now.as_ref())
    };
    Ok(history.iter().all(is_same))
}
