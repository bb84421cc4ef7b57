//! Whole stores: what comes out of one goes into another, and nothing comes in by halves.

use model::{Error, Result};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::{option, sample};
use store::{
    Column, Doc, Fill, Kind, Memory, PRIMARY, Postgres, Present, Range, Snapshot, Sqlite, Store,
    Table, Value, tables,
};
use tempfile::TempDir;

use crate::cluster;
use crate::support::{int, open, open_postgres, text, unit, write};

/// All rows of all tables, table by table.
type Rows = Vec<Vec<Doc>>;

fn rows(mut snapshot: Box<dyn Snapshot>) -> Rows {
    let table = |table: &&'static Table| {
        let mut docs = Vec::new();
        let take = &mut |doc| {
            docs.push(doc);
            Ok(())
        };
        snapshot.each(table, take).unwrap();
        assert!(snapshot.count(table).unwrap() >= docs.len() as u64);
        docs
    };
    tables::ALL.iter().map(table).collect()
}

fn fill(mut fill: Box<dyn Fill>, rows: &Rows) -> Result<()> {
    for (table, docs) in tables::ALL.into_iter().zip(rows) {
        for part in docs.chunks(7) {
            fill.put(table, part.to_vec())?;
        }
    }
    fill.commit()
}

fn value(column: Column) -> BoxedStrategy<Value> {
    match column.kind {
        Kind::Int => {
            let numbers = vec![i64::MIN, -1, 0, 1, 255, 256, i64::MAX];
            sample::select(numbers).prop_map(Value::Int).boxed()
        }
        Kind::Real => {
            let numbers = vec![f64::NEG_INFINITY, -0.1, 0.0, f64::MIN_POSITIVE, 1e300];
            sample::select(numbers).prop_map(Value::Real).boxed()
        }
        Kind::Text => {
            let words = vec!["", "\0", "\u{1}", "\u{1}\u{2}", "a\0b", "é", "\u{10ffff}", "\"\n"];
            sample::select(words).prop_map(text).boxed()
        }
        Kind::Bytes => vec(sample::select(vec![0_u8, 1, b'a', 255]), 0..4)
            .prop_map(|bytes| Value::Bytes(bytes.into()))
            .boxed(),
    }
}

fn all_rows() -> impl Strategy<Value = Rows> {
    let of_table = |table: &&'static Table| {
        let is_counter = table.id == tables::COUNTER.id;
        let keys: Vec<_> = table.key.iter().map(|column| value(*column)).collect();
        let columns = table.columns.iter().map(|column| option::of(value(*column)));
        let doc = (keys, columns.collect::<Vec<_>>(), vec(any::<u8>(), 0..6));
        vec(doc, 0..6).prop_map(move |all| {
            let mut docs: Vec<Doc> = Vec::new();
            for (key, columns, body) in all {
                let columns: Vec<_> =
                    columns.into_iter().map(|v| v.unwrap_or(Value::Null)).collect();
                // A counter at 0 is the same as none.
                let is_none = is_counter && columns[0] == int(0);
                if !is_none && docs.iter().all(|doc| doc.key != key) {
                    docs.push(Doc { key, columns, body });
                }
            }
            docs
        })
    };
    tables::ALL.iter().map(of_table).collect::<Vec<_>>()
}

/// Gives the rows as the model of all stores orders them.
fn in_order(rows: &Rows) -> Rows {
    let (memory, rows) = (Memory::new(), rows.clone());
    let in_order = write(&memory, move |tx| {
        let tables = tables::ALL.into_iter().zip(&rows);
        let in_order = tables.map(|(table, docs)| {
            tx.save(table, docs.clone())?;
            tx.scan(table, PRIMARY, &Range::default(), u32::MAX)
        });
        in_order.collect()
    });
    in_order.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn everything_goes_from_store_to_store(given in all_rows()) {
        let folder = TempDir::new().unwrap();
        let (one, other) = (folder.path().join("a.db"), folder.path().join("b.db"));
        let url = cluster::url();
        let expected = in_order(&given);
        fill(Sqlite::fill(&one).unwrap(), &given).unwrap();
        let first = rows(Sqlite::snapshot(&one).unwrap());
        prop_assert_eq!(&first, &expected);
        fill(Postgres::fill(&url).unwrap(), &first).unwrap();
        let second = rows(Postgres::snapshot(&url).unwrap());
        prop_assert_eq!(&second, &expected);
        fill(Sqlite::fill(&other).unwrap(), &second).unwrap();
        prop_assert_eq!(&rows(Sqlite::snapshot(&other).unwrap()), &expected);
    }
}

fn one_unit(name: &str) -> Doc {
    unit(1, name, Some(0), Some(0.5), None)
}

fn names(rows: &Rows) -> Vec<String> {
    let name = |doc: &Doc| String::from_utf8(doc.key[2].as_bytes().unwrap().to_vec()).unwrap();
    rows[tables::UNIT.id].iter().map(name).collect()
}

#[test]
fn a_snapshot_is_of_one_moment() {
    let folder = TempDir::new().unwrap();
    let (path, url) = (folder.path().join("store.db"), cluster::url());
    let stores: [Box<dyn Store>; 2] = [Box::new(open(&folder)), Box::new(open_postgres(&url))];
    for store in &stores {
        write(&**store, |tx| tx.save(&tables::UNIT, vec![one_unit("a"), one_unit("b")])).unwrap();
    }
    let snapshots = [Sqlite::snapshot(&path).unwrap(), Postgres::snapshot(&url).unwrap()];
    for store in &stores {
        write(&**store, |tx| {
            tx.remove(&tables::UNIT, &[one_unit("a").key])?;
            tx.save(&tables::UNIT, vec![one_unit("c")])
        })
        .unwrap();
    }
    for snapshot in snapshots {
        assert_eq!(names(&rows(snapshot)), ["a", "b"]);
    }
    for snapshot in [Sqlite::snapshot(&path).unwrap(), Postgres::snapshot(&url).unwrap()] {
        assert_eq!(names(&rows(snapshot)), ["b", "c"]);
    }
}

#[test]
fn pages_follow_each_other() {
    let docs: Vec<Doc> = (0..2_500).map(|number| one_unit(&format!("{number:04}"))).collect();
    let mut given: Rows = vec![Vec::new(); tables::ALL.len()];
    given[tables::UNIT.id] = docs;
    let url = cluster::url();
    fill(Postgres::fill(&url).unwrap(), &given).unwrap();
    assert_eq!(rows(Postgres::snapshot(&url).unwrap()), given);
}

#[test]
fn what_is_not_committed_is_not_there() {
    let folder = TempDir::new().unwrap();
    let (path, url) = (folder.path().join("store.db"), cluster::url());
    for mut fill in [Sqlite::fill(&path).unwrap(), Postgres::fill(&url).unwrap()] {
        fill.put(&tables::UNIT, vec![one_unit("a")]).unwrap();
    }
    assert!(!path.exists(), "a database that was made for it goes again");
    assert!(names(&rows(Postgres::snapshot(&url).unwrap())).is_empty());
}

#[test]
fn a_row_that_is_there_twice_is_refused() {
    let folder = TempDir::new().unwrap();
    let (path, url) = (folder.path().join("store.db"), cluster::url());
    for mut fill in [Sqlite::fill(&path).unwrap(), Postgres::fill(&url).unwrap()] {
        let twice = vec![one_unit("a"), one_unit("a")];
        let refused = fill.put(&tables::UNIT, twice).and_then(|()| fill.commit());
        assert!(refused.is_err());
    }
    assert!(names(&rows(Postgres::snapshot(&url).unwrap())).is_empty());
}

#[test]
fn only_an_empty_store_is_filled() {
    let folder = TempDir::new().unwrap();
    let (path, url) = (folder.path().join("store.db"), cluster::url());
    for store in [&open(&folder) as &dyn Store, &open_postgres(&url)] {
        write(store, |tx| tx.save(&tables::UNIT, vec![one_unit("a")])).unwrap();
    }
    for refused in [Sqlite::fill(&path).err(), Postgres::fill(&url).err()] {
        let refused = refused.unwrap();
        assert!(matches!(&refused, Error::BadInput(why) if why.contains("is not empty")));
    }
    assert_eq!(names(&rows(Sqlite::snapshot(&path).unwrap())), ["a"]);
    assert_eq!(names(&rows(Postgres::snapshot(&url).unwrap())), ["a"]);
}

#[test]
fn a_store_that_is_open_is_not_filled() {
    let folder = TempDir::new().unwrap();
    let _open = open(&folder);
    let refused = Sqlite::fill(folder.path().join("store.db")).err();
    assert!(matches!(refused, Some(Error::Unavailable(_))));
}

#[test]
fn there_is_no_snapshot_of_what_is_no_store() {
    let folder = TempDir::new().unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "no database at all, but long enough to look like one".repeat(40))
        .unwrap();
    let refused = [
        Sqlite::snapshot(folder.path().join("none.db")).err(),
        Sqlite::snapshot(&text).err(),
        Postgres::snapshot(&cluster::url()).err(),
    ];
    for refused in refused {
        assert!(matches!(&refused, Some(Error::BadInput(_))), "{refused:?}");
    }
    assert!(!folder.path().join("none.db").exists());
}

#[test]
fn a_backup_holds_what_was_there_and_can_be_restored() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let store = open(&folder);
    write(&store, |tx| tx.save(&tables::UNIT, vec![one_unit("a")])).unwrap();
    let nothing: store::Progress<'_> = &mut |_, _| {};
    Sqlite::backup(&at("store.db"), &at("copy.db"), nothing).unwrap();
    write(&store, |tx| tx.save(&tables::UNIT, vec![one_unit("b")])).unwrap();
    assert!(Sqlite::backup(&at("store.db"), &at("copy.db"), nothing).is_err(), "it is there");
    let restore =
        |present| Sqlite::restore(&at("copy.db"), &at("store.db"), present, &mut |_, _| {});
    assert!(matches!(restore(Present::MoveAside), Err(Error::Unavailable(_))), "it is open");
    drop(store);
    assert!(matches!(restore(Present::Refuse), Err(Error::BadInput(_))), "it is there");
    assert_eq!(restore(Present::MoveAside), Ok(Some(at("store.db.replaced"))));
    assert!(matches!(restore(Present::MoveAside), Err(Error::BadInput(_))), "an older one is");
    assert_eq!(names(&rows(Sqlite::snapshot(at("store.db")).unwrap())), ["a"]);
    assert_eq!(names(&rows(Sqlite::snapshot(at("store.db.replaced")).unwrap())), ["a", "b"]);
    assert!(!at("store.db.restored").exists() && !at("copy.db-wal").exists());
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let store = open(&folder);
    let docs: Vec<Doc> = (0..2_000).map(|number| one_unit(&format!("{number}"))).collect();
    write(&store, move |tx| tx.save(&tables::UNIT, docs.clone())).unwrap();
    Sqlite::backup(&at("store.db"), &at("copy.db"), &mut |_, _| {}).unwrap();
    drop(store);
    let mut bytes = std::fs::read(at("copy.db")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8_192].fill(7);
    std::fs::write(at("copy.db"), bytes).unwrap();
    let new = at("new.db");
    let refused = Sqlite::restore(&at("copy.db"), &new, Present::Refuse, &mut |_, _| {});
    assert!(refused.is_err() && !new.exists(), "{refused:?}");
}
