//! Fetching what is missing: a few statements, sent at once.

use std::sync::Arc;

use futures_util::future::{try_join, try_join_all, try_join3};
use tokio_postgres::types::ToSql;

use super::failure::Outcome;
use super::known::{Known, Page};
use super::link::Link;
use super::missing::{Missing, Wanted};
use super::part::{Bytes, is_global};
use super::shipment::{self, Shipment};
use super::spans::End;
use super::texts::{Shape, Text, global_orders};
use super::wire;
use crate::layout::Layout;
use crate::ordered::damaged;
use crate::tables;

/// The rows of one table, encoded.
pub(crate) type Rows = Vec<(Bytes, Bytes)>;

/// Fetches what is missing. A writer takes the rows that belong to no namespace first and by
/// themselves, and locks them: what else is missing is asked for again under the locks.
pub(crate) async fn fetch(
    link: &Link,
    known: &mut Known,
    mut missing: Missing,
    writes: bool,
) -> Outcome<()> {
    let layouts = known.layouts;
    let is_head = |table: usize| layouts.get(table).is_some_and(Layout::is_head);
    if writes {
        let heads = missing.rows.keys().any(|table| is_head(*table))
            || missing.stretches.iter().any(|wanted| is_head(wanted.table));
        if heads {
            missing.rows.retain(|table, _| is_head(*table));
            missing.stretches.retain(|wanted| is_head(wanted.table));
            missing.firsts = false;
        }
    }
    let rows = missing.rows.iter().map(|(table, keys)| async {
        let layout = layouts.get(*table).ok_or_else(damaged)?;
        let arrays = wire::keys(layout, keys.iter().map(Vec::as_slice))?;
        let parameters: Vec<_> = arrays.iter().map(wire::Array::parameter).collect();
        let lock = writes && layout.is_head();
        let found = link.query(Text::Load { table: *table, lock }, &parameters).await?;
        found.iter().map(|row| wire::encoded(layout, row)).collect::<Outcome<Rows>>()
    });
    let stretches = missing.stretches.iter().map(|wanted| scan(link, layouts, wanted, writes));
    let firsts = async { if missing.firsts { firsts(link).await } else { Ok(vec![]) } };
    let heads = missing.rows.get(&tables::NAMESPACE.id).filter(|_| writes);
    let behind = known.behind(heads.into_iter().flatten().map(Vec::as_slice));
    // It is sent last, so that it sees what there is once the namespaces are locked.
    let shipped = shipped(link, &behind);
    let all = try_join3(try_join_all(rows), try_join_all(stretches), firsts);
    let ((rows, stretches, firsts), shipped) = try_join(all, shipped).await?;
    known.take(shipped);

    let mut is_new_lock = false;
    let head_rows = missing.rows.keys().copied().zip(&rows);
    let head_stretches = missing.stretches.iter().map(|wanted| wanted.table).zip(&stretches);
    for (table, found) in head_rows.chain(head_stretches).filter(|(table, _)| is_head(*table)) {
        let layout = layouts.get(table).ok_or_else(damaged)?;
        is_new_lock |= found.iter().any(|(key, _)| !known.is_locked(layout, key));
    }
    if is_new_lock && writes {
        known.drop_loose()?;
    }
    for ((table, keys), found) in missing.rows.iter().zip(rows) {
        for (key, row) in found {
            known.learn(*table, key, Some(row))?;
        }
        // One that was looked for before a new lock was granted may be there by now.
        if is_new_lock && writes {
            continue;
        }
        for key in keys {
            // Those that were found are known by now.
            known.learn(*table, key.as_slice().into(), None)?;
        }
    }
    for (wanted, found) in missing.stretches.into_iter().zip(stretches) {
        take_in(known, layouts, wanted, found)?;
    }
    if !firsts.is_empty() {
        known.learn_firsts(firsts)?;
    }
    Ok(())
}

async fn scan(link: &Link, layouts: &[Layout], wanted: &Wanted, writes: bool) -> Outcome<Rows> {
    let layout = layouts.get(wanted.table).ok_or_else(damaged)?;
    let shape = Shape {
        prefix: wanted.prefix.len(),
        above: wanted.above.len(),
        upto: wanted.upto.is_some(),
        lock: writes && layout.is_head(),
    };
    let text = Text::Scan { table: wanted.table, index: wanted.index, shape };
    let values = wanted.prefix.iter().chain(&wanted.above).chain(&wanted.upto);
    let values: Vec<_> = values.map(wire::parameter).collect();
    let limit = i64::from(wanted.limit);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(values.len() + 1);
    parameters.extend(values.iter().map(|value| &**value as &(dyn ToSql + Sync)));
    parameters.push(&limit);
    let found = link.query(text, &parameters).await?;
    found.iter().map(|row| wire::encoded(layout, row)).collect()
}

/// Finds what was shipped since a revision of each of some namespaces.
async fn shipped(link: &Link, behind: &[(i64, i64)]) -> Outcome<Vec<Shipment>> {
    if behind.is_empty() {
        return Ok(Vec::new());
    }
    let (ids, revisions): (Vec<i64>, Vec<i64>) = behind.iter().copied().unzip();
    shipment::unpack(&link.query(shipment::FIND, &[&ids, &revisions]).await?)
}

/// Takes note of a stretch.
pub(crate) fn take_in(
    known: &mut Known,
    layouts: &[Layout],
    wanted: Wanted,
    found: Rows,
) -> Outcome<()> {
    let layout = layouts.get(wanted.table).ok_or_else(damaged)?;
    let order = layout.order(wanted.index)?;
    let is_whole = found.len() < wanted.limit as usize;
    let last = match found.last() {
        Some((key, row)) if !is_whole => order.entry(&layout.fields(key, row)?),
        _ => None,
    };
    let keys: Vec<Bytes> = found.iter().map(|(key, _)| Arc::clone(key)).collect();
    for (key, row) in found {
        known.learn(wanted.table, key, Some(row))?;
    }
    if is_global(layout, wanted.index)? || wanted.prefix.is_empty() {
        let Wanted { table, index, start, end: wanted_end, .. } = wanted;
        let is_other = |page: &Page| {
            (page.table, page.index) != (table, index)
                || page.start != start
                || page.wanted_end != wanted_end
        };
        known.pages.retain(is_other);
        known.pages.push(Page { table, index, start, wanted_end, keys, last });
        return Ok(());
    }
    let namespace = wanted.prefix.first().map(crate::Value::as_int).transpose()?;
    let end = last.map_or(wanted.end, |last| End::behind(&last));
    Ok(known.cover(wanted.table, wanted.index, namespace, &wanted.start, end)?)
}

/// Fetches the first field of every order that goes through all namespaces, all with one statement.
async fn firsts(link: &Link) -> Outcome<Vec<(usize, usize, Option<Bytes>)>> {
    let rows = link.query(Text::Firsts, &[]).await?;
    let row = rows.first().ok_or_else(damaged)?;
    let first = |(place, (layout, index, field)): (usize, (&Layout, usize, usize))| {
        Ok((layout.table.id, index, wire::field(layout, field, row, place)?))
    };
    global_orders()?.into_iter().enumerate().map(first).collect()
}
