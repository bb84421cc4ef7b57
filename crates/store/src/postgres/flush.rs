//! Writing a group: a few statements and the commit, sent at once.

use std::time::Duration;

use futures_util::future::{FutureExt as _, join_all};
use model::Error;

use super::address::Address;
use super::failure::{Failure, Outcome};
use super::known::Difference;
use super::link::{Link, TIME};
use super::part::Bytes;
use super::shipment::{self, Parcel};
use super::texts::Text;
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
    let of_table = |layout: &Layout| {
        let (table, lock) = (layout.table.id, layout.is_head());
        [Text::Load { table, lock }, Text::Put(table), Text::Delete(table)]
    };
    let plain = ["BEGIN", "COMMIT", TIME, shipment::FIND, shipment::SHIP, shipment::REMOVE];
    let checks = [true, false].map(|lock| Text::Check { lock });
    plain
        .map(Text::from)
        .into_iter()
        .chain(checks)
        .chain(layouts.iter().flat_map(of_table))
        .collect()
}

/// Makes sure that namespaces are at the revisions that they are assumed to be at, and locks their
/// rows if that is asked for.
pub(crate) async fn check(
    link: &Link,
    layouts: &[Layout],
    assumed: &[(Bytes, i64)],
    lock: bool,
) -> Outcome<()> {
    let layout = layout(layouts, &tables::NAMESPACE)?;
    let mut arrays = wire::keys(layout, assumed.iter().map(|(key, _)| &**key))?;
    arrays.push(Array::Int(assumed.iter().map(|(_, revision)| Some(*revision)).collect()));
    let parameters: Vec<_> = arrays.iter().map(Array::parameter).collect();
    let found = link.query(Text::Check { lock }, &parameters).await?;
    if found.len() == assumed.len() { Ok(()) } else { Err(damaged().into()) }
}

/// Writes what was changed and commits, with one round trip.
pub(crate) async fn flush(
    link: &Link,
    layouts: &[Layout],
    differences: &[Difference],
    parcels: &[Parcel],
) -> Outcome<()> {
    let mut statements: Vec<(Text, Vec<Array>)> = Vec::new();
    for of_table in differences.chunk_by(|one, other| one.table == other.table) {
        let layout = of_table.first().and_then(|difference| layouts.get(difference.table));
        let layout = layout.ok_or_else(damaged)?;
        let gone = of_table.iter().filter(|difference| difference.now.is_none());
        let gone: Vec<&[u8]> = gone.map(|difference| &*difference.key).collect();
        if !gone.is_empty() {
            let keys = wire::keys(layout, gone.into_iter())?;
            statements.push((Text::Delete(layout.table.id), keys));
        }
        let here = of_table.iter().filter_map(|d| Some((&d.key, d.now.as_ref()?)));
        let here: Vec<(&Bytes, &Bytes)> = here.collect();
        if !here.is_empty() {
            statements.push((Text::Put(layout.table.id), wire::rows(layout, &here)?));
        }
    }
    let sent = statements.iter().map(|(text, arrays)| {
        async move {
            let parameters: Vec<_> = arrays.iter().map(Array::parameter).collect();
            link.execute(*text, &parameters).await.map(drop)
        }
        .boxed_local()
    });
    let shipped = parcels.iter().map(|parcel| parcel.send(link).boxed_local());
    let committed = async { link.execute("COMMIT", &[]).await.map(drop) }.boxed_local();
    let outcomes = join_all(sent.chain(shipped).chain([committed])).await;
    // What PostgreSQL refused says more than that the transaction then came to nothing.
    let rank = |failure: &Failure| matches!(failure, Failure::Lost(_));
    let failures = outcomes.into_iter().filter_map(Result::err);
    failures.min_by_key(rank).map_or(Ok(()), Err)
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
