//! What a node looks at again and again, brought by one small statement that commits by itself.

use std::sync::Arc;
use std::time::Instant;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::failure::Outcome;
use super::fetch::{Rows, take_in};
use super::known::Known;
use super::link::{DatabaseTime, Link};
use super::part::Bytes;
use super::texts::{GLANCED, Text, global_orders};
use super::tx::wanted;
use super::wire;
use crate::layout::{Layout, layout};
use crate::ordered::{Plain, damaged};
use crate::{Glance, PRIMARY, Range, tables};

/// Saves what is to be saved, and takes note of all that the job can ask for.
pub(crate) async fn glance(
    link: &Link,
    known: &mut Known,
    glance: &Glance,
    time: &DatabaseTime,
) -> Outcome<()> {
    let layouts = known.layouts;
    let saved: Option<(&Layout, Bytes, Bytes)> = match &glance.save {
        Some((table, doc)) => {
            let layout = layout(layouts, table)?;
            Some((layout, layout.key(&doc.key)?.into(), layout.row(doc)?.into()))
        }
        None => None,
    };
    let mut asked: Vec<(&Layout, Vec<Bytes>)> = Vec::new();
    for (table, keys) in GLANCED.into_iter().zip([&glance.namespaces, &glance.counters]) {
        let layout = layout(layouts, table)?;
        let key = |key: &crate::Key| layout.key(key).map(Bytes::from);
        asked.push((layout, keys.iter().map(key).collect::<Result<_, _>>()?));
    }
    let mut arrays = Vec::new();
    if let Some((layout, key, row)) = &saved {
        arrays = wire::rows(layout, &[(key, row)])?;
    }
    for (layout, keys) in &asked {
        arrays.extend(wire::keys(layout, keys.iter().map(|key| &**key))?);
    }
    let mut parameters: Vec<_> = arrays.iter().map(wire::Array::parameter).collect();
    let limit = glance.nodes.map(i64::from);
    parameters.extend(limit.iter().map(|limit| limit as &(dyn ToSql + Sync)));
    let saved = saved.as_ref().map(|(layout, ..)| layout.table.id);
    let text = Text::Glance { saved, nodes: limit.is_some() };
    let (sent, mut nodes) = (Instant::now(), Rows::new());
    for row in link.query(text, &parameters).await? {
        learn(known, &row, time, sent, &mut nodes)?;
    }
    if let Some(limit) = glance.nodes {
        learn_nodes(known, nodes, limit)?;
    }
    for (layout, keys) in &asked {
        for key in keys {
            // Those that were found are known by now.
            known.learn(layout.table.id, Arc::clone(key), None)?;
        }
    }
    Ok(())
}

fn learn(
    known: &mut Known,
    row: &Row,
    time: &DatabaseTime,
    sent: Instant,
    nodes: &mut Rows,
) -> Outcome<()> {
    let part: i32 = row.try_get(0)?;
    let numbers: Vec<Option<i64>> = row.try_get(2)?;
    let part = usize::try_from(part).map_err(|_| damaged())?;
    if part > GLANCED.len() {
        let layout = layout(known.layouts, &tables::NODE)?;
        nodes.push(wire::encoded_head(layout, row.try_get(1)?, &numbers, row.try_get(3)?)?);
        return Ok(());
    }
    let Some(table) = part.checked_sub(1).and_then(|place| GLANCED.get(place)) else {
        let mut numbers = numbers.into_iter();
        let now = numbers.next().flatten().ok_or_else(damaged)?;
        time.note(now, sent);
        let first = |(layout, index, _): (&Layout, usize, usize)| {
            let value = numbers.next().flatten().map(encoded);
            (layout.table.id, index, value)
        };
        let firsts = global_orders()?.into_iter().map(first).collect();
        return Ok(known.learn_firsts(firsts)?);
    };
    let layout = layout(known.layouts, table)?;
    let (key, row) = wire::encoded_head(layout, row.try_get(1)?, &numbers, row.try_get(3)?)?;
    Ok(known.learn(table.id, key, Some(row))?)
}

/// Takes note of the rows of nodes as of the stretch that they are.
fn learn_nodes(known: &mut Known, mut rows: Rows, limit: u32) -> Outcome<()> {
    let layouts = known.layouts;
    let layout = layout(layouts, &tables::NODE)?;
    let range = Range::default();
    let stretch = layout.stretch(layout.order(PRIMARY)?, &range)?.ok_or_else(damaged)?;
    let wanted = wanted(layout, PRIMARY, &range, &stretch, limit)?;
    // The parts of a statement come in any order.
    rows.sort_unstable();
    take_in(known, layouts, wanted, rows)
}

fn encoded(number: i64) -> Bytes {
    let mut bytes = Vec::with_capacity(9);
    Plain::Int(number).encode(&mut bytes);
    bytes.into()
}
