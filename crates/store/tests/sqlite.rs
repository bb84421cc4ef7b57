//! What only the SQLite store has: files, migrations, groups and checks of its own.

use std::fs;

use model::{Error, Result};
use rusqlite::Connection;
use store::tables::{ALL, UNIT};
use store::{Column, Kept, Kind, PRIMARY, Range, Sqlite, SqliteOptions, Store, Tx};
use tempfile::TempDir;

use crate::support::{all_scans, names, open, read, ready, submit, unit, unit_key, write};

fn path(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("store.db")
}

fn sql(folder: &TempDir) -> Connection {
    Connection::open(path(folder)).unwrap()
}

fn refusal(folder: &TempDir) -> String {
    match Sqlite::open(path(folder), SqliteOptions::default()) {
        Ok(_) => panic!("the store opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_schema_is_that_of_the_tables() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder));
    let database = sql(&folder);
    let rows = |text: &str| -> Vec<(String, String)> {
        let mut statement = database.prepare(text).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<rusqlite::Result<_>>().unwrap()
    };
    let mut found = rows("SELECT name, sql FROM sqlite_schema WHERE type = 'table'");
    found.retain(|(name, _)| name != "migration");
    let mut expected: Vec<&str> = ALL.iter().map(|table| table.name).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert!(found.iter().map(|(name, _)| name).eq(expected));
    for table in ALL {
        let column = |column: &Column, not_null: bool, key: usize| {
            let kind = match column.kind {
                Kind::Int => "INTEGER",
                Kind::Real => "REAL",
                Kind::Text => "TEXT",
                Kind::Bytes => "BLOB",
            };
            (column.name.to_owned(), format!("{kind} {} {key}", i32::from(not_null)))
        };
        let body = Column { name: "body", kind: Kind::Bytes };
        let keys = (1..).zip(table.key).map(|(key, value)| column(value, true, key));
        let columns = table.columns.iter().map(|value| column(value, false, 0));
        let expected: Vec<_> = keys.chain(columns).chain([column(&body, true, 0)]).collect();
        let text = format!(
            "SELECT name, type || ' ' || \"notnull\" || ' ' || pk FROM pragma_table_info('{}')",
            table.name
        );
        assert_eq!(rows(&text), expected, "{}", table.name);
        let on_disk = table.indexes.iter().filter(|index| index.kept == Kept::OnDisk);
        let mut expected: Vec<_> = on_disk
            .map(|index| {
                let column = |field: &usize| table.key.iter().chain(table.columns).nth(*field);
                let fields: Vec<_> = index.fields.iter().map(|f| column(f).unwrap().name).collect();
                (index.name.to_owned(), format!("0 1 {}", fields.join(" ")))
            })
            .collect();
        expected.sort();
        let text = format!(
            "SELECT name, \"unique\" || ' ' || partial || ' ' || (
                SELECT group_concat(name, ' ') FROM pragma_index_info(list.name)
            ) FROM pragma_index_list('{}') AS list WHERE origin = 'c' ORDER BY name",
            table.name
        );
        assert_eq!(rows(&text), expected, "{}", table.name);
    }
}
