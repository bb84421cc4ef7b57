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
    /// Writes all that a group of jobs has changed.
    Group(Group),
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
            Self::Put(table) => put(layout(table)?, 1),
            Self::Group(what) => group(what)?,
            Self::Count(table) => format!("SELECT count(*) FROM {}", layout(table)?.table.name),
            Self::Check { lock } => check(lock, 1),
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

/// What a group of jobs has changed, as sets of tables by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    /// Of these, rows are deleted.
    pub(crate) deletes: u64,
    /// Of these, rows are inserted that are certain not to be there.
    pub(crate) inserts: u64,
    /// Of these, rows are inserted or replaced.
    pub(crate) puts: u64,
    /// Whether it locks namespaces first, and fails if one is not as it is assumed to be.
    pub(crate) checks: bool,
}

const _: () = assert!(tables::ALL.len() <= 64, "a set of tables is 64 bits");

/// Everything is one statement, so that it costs one message and one plan, and is a transaction by
/// itself where none is open. What is selected runs first, and so locks and checks first; the
/// changes have nothing to do with each other.
fn group(what: Group) -> Result<String> {
    let (mut parts, mut place) = (Vec::new(), 1);
    for layout in LAYOUTS.iter() {
        let (id, keys) = (layout.table.id, layout.table.key.len());
        let columns = keys + layout.table.columns.len() + 1;
        let changes = [
            (what.deletes, keys, delete as fn(&Layout, usize) -> String),
            (what.inserts, columns, insert),
            (what.puts, columns, put),
        ];
        for (tables, parameters, text) in changes {
            if tables & (1 << id) != 0 {
                parts.push(format!("c{place} AS ({})", text(layout, place)));
                place += parameters;
            }
        }
    }
    let last = if what.checks { check(true, place) } else { "SELECT 0".to_owned() };
    Ok(format!("WITH {} {last}", parts.join(", ")))
}

fn load(layout: &Layout, lock: bool) -> String {
    let table = layout.table.name;
    let keys = layout.table.key;
    let text = format!(
        "SELECT {} FROM {} JOIN {table} t ON {}",
        all(layout, "t."),
        arrays(keys.iter(), "k", 1),
        equal(keys),
    );
    if lock {
        let keys = names(keys.iter(), "t.");
        return format!("{text} ORDER BY {keys} FOR UPDATE OF t");
    }
    text
}

/// What fails stands in the log of the server, for people to read.
fn check(lock: bool, place: usize) -> String {
    let (table, words) = (tables::NAMESPACE.name, "another node has written in ");
    let next = place + 1;
    let text = format!(
        "SELECT CASE t.revision WHEN k.revision THEN 0 ELSE ('{words}' || t.name)::bigint END
         FROM unnest(${place}::text[], ${next}::bigint[]) k (name, revision)
         JOIN {table} t ON t.name = k.name
         ORDER BY t.name"
    );
    if lock { text + " FOR UPDATE OF t" } else { text }
}

const BODY: Column = Column { name: "body", kind: Kind::Bytes };

fn insert(layout: &Layout, place: usize) -> String {
    let (keys, columns) = (layout.table.key, layout.table.columns);
    format!(
        "INSERT INTO {} ({}) SELECT * FROM {}",
        layout.table.name,
        all(layout, ""),
        arrays(keys.iter().chain(columns).chain([&BODY]), "r", place),
    )
}

fn put(layout: &Layout, place: usize) -> String {
    let sets = layout.table.columns.iter().chain([&BODY]);
    let sets: Vec<String> = sets.map(|c| format!("{0} = excluded.{0}", c.name)).collect();
    format!(
        "{} ON CONFLICT ({}) DO UPDATE SET {}",
        insert(layout, place),
        names(layout.table.key.iter(), ""),
        sets.join(", "),
    )
}

fn delete(layout: &Layout, place: usize) -> String {
    let keys = layout.table.key;
    format!(
        "DELETE FROM {} t USING {} WHERE {}",
        layout.table.name,
        arrays(keys.iter(), "k", place),
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
            (format!("WITH saved AS ({}) ", put(layout, 1)), columns + 1)
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

/// Names a table of arrays, which are the parameters from a place on.
fn arrays<'a>(
    columns: impl Iterator<Item = &'a Column> + Clone,
    alias: &str,
    place: usize,
) -> String {
    let arrays: Vec<String> = (place..)
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
