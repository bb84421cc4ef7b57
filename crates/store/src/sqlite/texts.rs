//! The texts of the statements: made once from the tables, with a place for each value.

use crate::layout::{Layout, Order};
use crate::{Column, Kept, Range, Table};

/// The statements of one table.
pub(crate) struct Texts {
    pub(crate) load: String,
    insert: String,
    /// Sets the body and some columns, at the place that is their [`Columns`].
    updates: Vec<String>,
    delete: String,
}

/// What has to be done to a row on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Insert,
    /// Only what differs is set, so that no other index has to be touched.
    Update(Columns),
    Delete,
}

/// A set of the columns that are not in the key: a bit for each, the first is the lowest.
pub(crate) type Columns = usize;

impl Texts {
    pub(crate) fn new(layout: &Layout) -> Self {
        let table = layout.table;
        let keys: Vec<&str> = table.key.iter().map(|column| column.name).collect();
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let (table, body) = (table.name, ["body"]);
        let matching = equal(&keys, 1, " AND ");
        let all = [&keys[..], &columns, &body].concat();
        let places: Vec<String> = (1..=all.len()).map(|place| format!("?{place}")).collect();
        let update = |set: Columns| {
            let columns = (0..).zip(&columns).filter(|(place, _)| set & (1 << place) != 0);
            let names: Vec<&str> = columns.map(|(_, name)| *name).chain(body).collect();
            let set = equal(&names, keys.len() + 1, ", ");
            format!("UPDATE {table} SET {set} WHERE {matching}")
        };
        Self {
            load: format!(
                "SELECT {} FROM {table} WHERE {matching}",
                [&columns[..], &body].concat().join(", ")
            ),
            insert: format!(
                "INSERT INTO {table} ({}) VALUES ({})",
                all.join(", "),
                places.join(", ")
            ),
            updates: (0..1 << columns.len()).map(update).collect(),
            delete: format!("DELETE FROM {table} WHERE {matching}"),
        }
    }

    pub(crate) fn of(&self, change: Change) -> Option<&String> {
        match change {
            Change::Insert => Some(&self.insert),
            Change::Update(columns) => self.updates.get(columns),
            Change::Delete => Some(&self.delete),
        }
    }
}

impl Change {
    pub(crate) fn sets(self, place: usize) -> bool {
        match self {
            Self::Insert => true,
            Self::Update(columns) => columns & (1 << place) != 0,
            Self::Delete => false,
        }
    }
}

fn equal(names: &[&str], first: usize, between: &str) -> String {
    let equal = (first..).zip(names).map(|(place, name)| format!("{name} = ?{place}"));
    equal.collect::<Vec<_>>().join(between)
}

/// Gives the text that finds the rows in a range of an index.
pub(crate) fn scan_text(layout: &Layout, index: usize, order: &Order, range: &Range) -> String {
    let mut names = names(layout, order);
    let mut conditions: Vec<String> =
        names.by_ref().take(range.prefix.len()).map(|name| format!("{name} = ?")).collect();
    if let Some(next) = names.next() {
        conditions.extend(range.after.as_ref().map(|_| format!("{next} > ?")));
        conditions.extend(range.upto.as_ref().map(|_| format!("{next} <= ?")));
    }
    let columns = layout.table.key.iter().chain(layout.table.columns);
    let columns: Vec<&str> = columns.map(|column| column.name).chain(["body"]).collect();
    ordered_text(&columns.join(", "), layout, index, order, conditions)
}

/// Gives the text that finds the smallest first field of an index, and that field's column.
pub(crate) fn first_text(
    layout: &Layout,
    index: usize,
    order: &Order,
) -> Option<(&'static Column, String)> {
    let column = order.fields.first().and_then(|field| layout.column(*field))?;
    Some((column, ordered_text(column.name, layout, index, order, Vec::new()) + " LIMIT 1"))
}

fn ordered_text(
    columns: &str,
    layout: &Layout,
    index: usize,
    order: &Order,
    mut conditions: Vec<String>,
) -> String {
    let table = layout.table.name;
    let mut text = format!("SELECT {columns} FROM {table}");
    if let Some(index) = layout.table.indexes.get(index) {
        text += &format!(" INDEXED BY {}", index.name);
        // The index holds only rows without nulls; SQLite takes it only if told so.
        conditions.extend(not_null(layout, index.fields));
    }
    if !conditions.is_empty() {
        text += &format!(" WHERE {}", conditions.join(" AND "));
    }
    let names: Vec<&str> = names(layout, order).collect();
    text + &format!(" ORDER BY {}", names.join(", "))
}

/// Gives the text that finds the keys and columns of all rows that are in an index in memory.
pub(crate) fn indexed_text(layout: &Layout) -> String {
    let Table { name, key, columns, indexes, .. } = layout.table;
    let names: Vec<&str> = key.iter().chain(*columns).map(|column| column.name).collect();
    let indexes = indexes.iter().filter(|index| index.kept == Kept::InMemory);
    let conditions = indexes.map(|index| not_null(layout, index.fields).collect::<Vec<_>>());
    let conditions: Vec<String> = conditions.map(|all| all.join(" AND ")).collect();
    let text = format!("SELECT {} FROM {name}", names.join(", "));
    // An index of nothing but key columns holds every row.
    if conditions.iter().any(String::is_empty) {
        return text;
    }
    format!("{text} WHERE {}", conditions.join(" OR "))
}

/// Gives the conditions under which a row is in an index.
fn not_null(layout: &Layout, fields: &[usize]) -> impl Iterator<Item = String> {
    let nullable = fields.iter().filter(|field| **field >= layout.table.key.len());
    let nullable = nullable.filter_map(|field| layout.column(*field));
    nullable.map(|column| format!("{} IS NOT NULL", column.name))
}

fn names(layout: &Layout, order: &Order) -> impl Iterator<Item = &'static str> {
    order.fields.iter().filter_map(|field| Some(layout.column(*field)?.name))
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Null;
    use rusqlite::{Connection, params_from_iter};

    use super::*;
    use crate::layout::layouts;
    use crate::{PRIMARY, Value};

    #[test]
    fn every_scan_walks_an_index_in_its_order() {
        let connection = Connection::open_in_memory().unwrap();
        for migration in crate::sqlite::migrate::MIGRATIONS {
            connection.execute_batch(migration).unwrap();
        }
        let plan = |text: &str| -> Vec<String> {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
            let values = vec![Null; statement.parameter_count()];
            let rows = statement.query_map(params_from_iter(values), |row| row.get("detail"));
            rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
        };
        for layout in layouts() {
            for index in (0..layout.table.indexes.len()).chain([PRIMARY]) {
                let order = layout.order(index).unwrap();
                if order.kept == Kept::InMemory {
                    continue;
                }
                let (_, text) = first_text(&layout, index, order).unwrap();
                assert_eq!(plan(&text).len(), 1, "{text}");
                for (length, next) in
                    (0..order.fields.len()).flat_map(|it| [0, 1, 2, 3].map(|next| (it, next)))
                {
                    let some = |bit: usize| (next & bit != 0).then_some(Value::Null);
                    let prefix = vec![Value::Null; length];
                    let range = Range { prefix, after: some(1), upto: some(2) };
                    let text = scan_text(&layout, index, order, &range);
                    let plan = plan(&text);
                    // A second step would be sorting.
                    assert_eq!(plan.len(), 1, "{text}: {plan:?}");
                    let is_whole = length == 0 && next == 0;
                    assert!(is_whole || plan[0].starts_with("SEARCH"), "{text}: {plan:?}");
                }
            }
        }
    }
}
