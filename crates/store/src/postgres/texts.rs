//! The texts of the statements, made from the tables. Rows come and go as arrays, so that one
//! statement does for any number of them.

use std::iter;

use model::Result;

use super::LAYOUTS;
use super::link::TIME;
use super::part::is_global;
use crate::layout::{Layout, Order};
use crate::ordered::damaged;
use crate::{Column, Kind, Table, tables};

/// The tables that a glance sees rows of, in the order of its parts.
pub(crate) static GLANCED: [&Table; 2] = [&tables::NAMESPACE, &tables::COUNTER];

/// Names a statement, so that its words are only made where it is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Text {
    /// These words.
    Plain(&'static str),
    /// Finds rows of a table by their keys; with `lock` it locks them, in key order.
    Load { table: usize, lock: bool },
    /// Inserts rows of a table, or replaces those with the same keys.
    Put(usize),
    /// Deletes rows of a table by their keys.
    Delete(usize),
    /// Counts the rows of a table.
    Count(usize),
    /// Fails if a namespace is not at the revision that is assumed of it; with `lock` it locks
    /// their rows, in key order.
    Check { lock: bool },
    /// Finds rows in a stretch of an order.
    Scan { table: usize, index: usize, shape: Shape },
    /// Finds the first field of every order that goes through all namespaces.
    Firsts,
    /// Saves a row of a table, if one is named, and brings all that a glance sees; with `nodes` the
    /// rows of nodes, too.
    Glance { saved: Option<usize>, nodes: bool },
}

impl From<&'static str> for Text {
    fn from(words: &'static str) -> Self {
        Self::Plain(words)
    }
}

impl Text {
    /// Gives the words.
    pub(crate) fn words(self) -> Result<String> {
        let layout = |table: usize| LAYOUTS.get(table).ok_or_else(damaged);
        Ok(match self {
            Self::Plain(words) => words.to_owned(),
            Self::Load { table, lock } => load(layout(table)?, lock),
            Self::Put(table) => put(layout(table)?),
            Self::Delete(table) => delete(layout(table)?),
            Self::Count(table) => format!("SELECT count(*) FROM {}", layout(table)?.table.name),
            Self::Check { lock } => check(lock),
            Self::Scan { table, index, shape } => {
                let layout = layout(table)?;
                scan(layout, index, layout.order(index)?, shape)
            }
            Self::Firsts => {
                let first = |(layout, index, field)| format!("({})", first(layout, index, field));
                let all: Vec<String> = global_orders()?.into_iter().map(first).collect();
                format!("SELECT {}", all.join(", "))
            }
            Self::Glance { saved, nodes } => glance(saved.map(layout).transpose()?, nodes)?,
        })
    }
}

/// Gives the orders that go through all namespaces, each with its first field.
pub(crate) fn global_orders() -> Result<Vec<(&'static Layout, usize, usize)>> {
    let mut orders = Vec::new();
    for layout in LAYOUTS.iter().filter(|layout| !layout.is_head()) {
        for (index, order) in layout.orders().iter().enumerate() {
            if let (Some(field), true) = (order.fields.first(), is_global(layout, index)?) {
                orders.push((layout, index, *field));
            }
        }
    }
    Ok(orders)
}

fn load(layout: &Layout, lock: bool) -> String {
    let table = layout.table.name;
    let keys = layout.table.key;
    let text = format!(
        "SELECT {} FROM {} JOIN {table} t ON {}",
        all(layout, "t."),
        arrays(keys.iter(), "k"),
        equal(keys),
    );
    if lock {
        let keys = names(keys.iter(), "t.");
        return format!("{text} ORDER BY {keys} FOR UPDATE OF t");
    }
    text
}

/// What fails stands in the log of the server, for people to read.
fn check(lock: bool) -> String {
    let (table, words) = (tables::NAMESPACE.name, "another node has written in ");
    let text = format!(
        "SELECT CASE t.revision WHEN k.revision THEN 0 ELSE ('{words}' || t.name)::bigint END
         FROM unnest($1::text[], $2::bigint[]) k (name, revision) JOIN {table} t ON t.name = k.name
         ORDER BY t.name"
    );
    if lock { text + " FOR UPDATE OF t" } else { text }
}

fn put(layout: &Layout) -> String {
    let (keys, columns) = (layout.table.key, layout.table.columns);
    let body = Column { name: "body", kind: Kind::Bytes };
    let sets = columns.iter().chain([&body]);
    let sets: Vec<String> = sets.map(|c| format!("{0} = excluded.{0}", c.name)).collect();
    format!(
        "INSERT INTO {} ({}) SELECT * FROM {} ON CONFLICT ({}) DO UPDATE SET {}",
        layout.table.name,
        all(layout, ""),
        arrays(keys.iter().chain(columns).chain([&body]), "r"),
        names(keys.iter(), ""),
        sets.join(", "),
    )
}

fn delete(layout: &Layout) -> String {
    let keys = layout.table.key;
    format!(
        "DELETE FROM {} t USING {} WHERE {}",
        layout.table.name,
        arrays(keys.iter(), "k"),
        equal(keys)
    )
}

/// What a scan is bounded by: how many fields are equal, how many are above, whether one has an
/// upper bound, and whether the rows are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) prefix: usize,
    pub(crate) above: usize,
    pub(crate) upto: bool,
    pub(crate) lock: bool,
}

fn scan(layout: &Layout, index: usize, order: &Order, shape: Shape) -> String {
    let fields = order.fields.iter().filter_map(|field| layout.column(*field));
    let names: Vec<&str> = fields.map(|column| column.name).collect();
    let mut conditions: Vec<String> = Vec::new();
    let mut place = 0;
    let mut next = || {
        place += 1;
        format!("${place}")
    };
    for name in names.iter().take(shape.prefix) {
        conditions.push(format!("{name} = {}", next()));
    }
    let rest: Vec<&str> = names.iter().skip(shape.prefix).copied().collect();
    let above: Vec<&str> = rest.iter().take(shape.above).copied().collect();
    if !above.is_empty() {
        let places: Vec<String> = above.iter().map(|_| next()).collect();
        conditions.push(format!("({}) > ({})", above.join(", "), places.join(", ")));
    }
    if let (true, Some(name)) = (shape.upto, rest.first()) {
        conditions.push(format!("{name} <= {}", next()));
    }
    conditions.extend(present(layout, index));
    let filter = match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    };
    let (columns, table, lock) = (all(layout, ""), layout.table.name, shape.lock);
    let order = names.join(", ");
    let lock = if lock { " FOR UPDATE" } else { "" };
    format!("SELECT {columns} FROM {table}{filter} ORDER BY {order} LIMIT {}{lock}", next())
}

fn first(layout: &Layout, index: usize, field: usize) -> String {
    let name = layout.column(field).map_or("", |column| column.name);
    let conditions: Vec<String> = present(layout, index).collect();
    let filter = match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    };
    format!("SELECT {name} FROM {}{filter} ORDER BY {name} LIMIT 1", layout.table.name)
}

/// Each row says which part it belongs to: 0 is the time and the first fields, and the others are
/// rows of [`GLANCED`] and at last those of nodes, whose keys are texts and whose columns are
/// numbers.
fn glance(saved: Option<&Layout>, nodes: bool) -> Result<String> {
    let (saved, places) = match saved {
        Some(layout) => {
            let columns = layout.table.key.len() + layout.table.columns.len();
            (format!("WITH saved AS ({}) ", put(layout)), columns + 1)
        }
        None => (String::new(), 0),
    };
    let firsts = global_orders()?.into_iter();
    let firsts = firsts.map(|(layout, index, field)| first(layout, index, field));
    let numbers: Vec<String> =
        iter::once(TIME.to_owned()).chain(firsts).map(|query| format!("({query})")).collect();
    let mut text = format!(
        "{saved}SELECT 0, NULL::text, ARRAY[{}]::bigint[], NULL::bytea",
        numbers.join(", ")
    );
    for (part, table) in (1..).zip(GLANCED) {
        let key = names(table.key.iter(), "");
        text += &format!(
            " UNION ALL SELECT {part}, {key}, ARRAY[{}], body FROM {} WHERE {key} = ANY (${})",
            names(table.columns.iter(), ""),
            table.name,
            places + part,
        );
    }
    if nodes {
        let (key, part) = (names(tables::NODE.key.iter(), ""), GLANCED.len() + 1);
        text += &format!(
            " UNION ALL (SELECT {part}, {key}, ARRAY[{}], body FROM {} ORDER BY {key} LIMIT ${})",
            names(tables::NODE.columns.iter(), ""),
            tables::NODE.name,
            places + part,
        );
    }
    Ok(text)
}

/// Gives the conditions under which a row is in an index: it holds only rows without nulls.
fn present(layout: &Layout, index: usize) -> impl Iterator<Item = String> {
    let fields = layout.table.indexes.get(index).map_or(&[][..], |index| index.fields);
    let nullable = fields.iter().filter(|field| **field >= layout.table.key.len());
    let columns = nullable.filter_map(|field| layout.column(*field));
    columns.map(|column| format!("{} IS NOT NULL", column.name))
}

fn all(layout: &Layout, prefix: &str) -> String {
    let columns = layout.table.key.iter().chain(layout.table.columns);
    format!("{}, {prefix}body", names(columns, prefix))
}

fn names<'a>(columns: impl Iterator<Item = &'a Column>, prefix: &str) -> String {
    let names: Vec<String> = columns.map(|column| format!("{prefix}{}", column.name)).collect();
    names.join(", ")
}

fn equal(keys: &[Column]) -> String {
    let equal: Vec<String> = keys.iter().map(|key| format!("t.{0} = k.{0}", key.name)).collect();
    equal.join(" AND ")
}

fn arrays<'a>(columns: impl Iterator<Item = &'a Column> + Clone, alias: &str) -> String {
    let arrays: Vec<String> = (1..)
        .zip(columns.clone())
        .map(|(place, column)| format!("${place}::{}[]", kind(column.kind)))
        .collect();
    format!("unnest({}) AS {alias} ({})", arrays.join(", "), names(columns, ""))
}

/// Gives the name of a type.
pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "bigint",
        Kind::Real => "double precision",
        Kind::Text => "text",
        Kind::Bytes => "bytea",
    }
}
