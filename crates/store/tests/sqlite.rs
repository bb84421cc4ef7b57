//! What only the SQLite store has: files, migrations, groups and checks of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use model::{Error, Result};
use rusqlite::Connection;
use store::tables::{ALL, NAMESPACE, SPEC, UNIT, UNIT_READY, UNIT_STATE, WORKER};
use store::{Column, Doc, Job, Kept, Kind, PRIMARY, Range, Sqlite, SqliteOptions, Store, Tx};
use tempfile::TempDir;

use crate::support::{
    Pending, all_scans, int, names, open, read, ready, submit, text, unit, unit_key, worker, write,
};

fn path(folder: &TempDir) -> PathBuf {
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

fn save(store: &Sqlite, docs: Vec<Doc>) -> Result<()> {
    write(store, move |tx| tx.save(&UNIT, docs.clone()))
}

fn everything(store: &Sqlite) -> Vec<Vec<Vec<Doc>>> {
    write(store, |tx| ALL.iter().map(|table| all_scans(tx, table)).collect()).unwrap()
}

/// Holds the writer until the sender is dropped, so that what is submitted meanwhile is one group.
fn hold(store: &Sqlite) -> (mpsc::Sender<()>, Pending<()>) {
    let (release, held) = mpsc::channel::<()>();
    let (started, starts) = mpsc::channel();
    let pending = submit(store, move |_| {
        let _ = started.send(());
        let _ = held.recv();
        Ok(())
    });
    starts.recv().unwrap();
    (release, pending)
}

#[test]
fn what_is_acknowledged_is_on_disk() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let copy = TempDir::new().unwrap();
    for number in 0..20 {
        save(&store, vec![ready(format!("{number:02}"), 1.0)]).unwrap();
        // What a crash at this moment would leave behind.
        for name in ["store.db", "store.db-wal"] {
            fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        let found = write(&open(&copy), |tx| names(tx, UNIT_READY, Range::default())).unwrap();
        assert_eq!(found.len(), number + 1);
    }
}

#[test]
fn a_store_that_is_opened_again_has_everything() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    write(&store, |tx| {
        for number in 0..300 {
            let due = (number % 3 == 0).then_some(number);
            let state = (number % 5 != 0).then_some(number % 7);
            let ready = (number % 2 == 0).then_some(number as f64 / -3.0);
            tx.save(&UNIT, vec![unit(number % 11, number.to_be_bytes(), state, ready, due)])?;
            tx.save(&WORKER, vec![worker(&format!("w{number}"), number, due, state)])?;
        }
        Ok(())
    })
    .unwrap();
    let before = everything(&store);
    drop(store);
    assert!(!folder.path().join("store.db-wal").exists(), "a clean end leaves one file");
    assert_eq!(everything(&open(&folder)), before);
}

#[test]
fn a_store_is_open_only_once() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    assert!(refusal(&folder).contains("open in another process"));
    drop(store);
    drop(open(&folder));
}

#[test]
fn a_newer_database_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder));
    sql(&folder).execute("INSERT INTO migration VALUES (99, 0, '')", []).unwrap();
    assert!(refusal(&folder).contains("written by a newer Lockstep"));
}

#[test]
fn a_changed_migration_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder));
    sql(&folder).execute("UPDATE migration SET checksum = checksum + 1", []).unwrap();
    assert!(refusal(&folder).contains("migration 1"));
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    sql(&folder).execute_batch("CREATE TABLE mine (a)").unwrap();
    assert!(refusal(&folder).contains("another program"));
    let tables: i64 =
        sql(&folder).query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
    fs::write(path(&folder), "no database at all, but long enough to look at".repeat(30)).unwrap();
    assert!(refusal(&folder).contains("not a database"));
    let missing = Sqlite::open(Path::new("/nowhere/store.db"), SqliteOptions::default());
    assert!(missing.is_err_and(|error| error.to_string().contains("folder")));
}

#[test]
fn a_failing_job_does_not_disturb_its_group() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let (release, held) = hold(&store);
    let jobs: Vec<Pending<usize>> = (0..50)
        .map(|number| {
            submit(&store, move |tx| {
                let before = names(tx, UNIT_STATE, Range::default())?.len();
                tx.save(&UNIT, vec![ready(format!("{number:02}"), f64::from(number))])?;
                tx.save(&UNIT, vec![ready("shared", f64::from(number))])?;
                if number % 3 == 0 {
                    // What is to be undone is on disk by now.
                    names(tx, PRIMARY, Range::default())?;
                    return Err(Error::BadInput(number.to_string()));
                }
                Ok(before)
            })
        })
        .collect();
    drop(release);
    held.wait().unwrap();
    let mut expected = 0;
    for (number, job) in jobs.into_iter().enumerate() {
        if number % 3 == 0 {
            assert_eq!(job.wait(), Err(Error::BadInput(number.to_string())));
        } else {
            assert_eq!(job.wait(), Ok(expected));
            expected += if expected == 0 { 2 } else { 1 };
        }
    }
    let before = everything(&store);
    let in_order = read(&store, |tx| names(tx, PRIMARY, Range::default())).unwrap();
    assert_eq!(in_order.len(), expected);
    drop(store);
    assert_eq!(everything(&open(&folder)), before);
}

#[test]
fn a_full_disk_loses_nothing_and_is_not_the_end() {
    let folder = TempDir::new().unwrap();
    let options = SqliteOptions { size_mib_max: Some(1), ..SqliteOptions::default() };
    let store = Sqlite::open(path(&folder), options).unwrap();
    let name = |number: u32| format!("{number:04}");
    let large = move |number: u32| {
        let mut doc = ready(name(number), 1.0);
        doc.body = vec![7; 20_000];
        doc
    };
    let mut saved = 0;
    let refusal = loop {
        match save(&store, vec![large(saved)]) {
            Ok(()) => saved += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refusal, Error::StorageFull(_)), "{refusal:?}");
    assert!(saved > 10);
    let found = read(&store, |tx| names(tx, PRIMARY, Range::default())).unwrap();
    let expected: Vec<_> = (0..saved).map(|number| name(number).into_bytes()).collect();
    assert_eq!(found, expected);
    let scans = everything(&store);
    let refused = write(&store, move |tx| {
        tx.save(&UNIT, vec![ready("small", 0.0)])?;
        tx.remove(&UNIT, &[unit_key(1, name(0))])?;
        tx.save(&UNIT, (9_000..9_100).map(large).collect())?;
        names(tx, PRIMARY, Range::default())
    });
    assert!(matches!(refused, Err(Error::StorageFull(_))), "{refused:?}");
    assert_eq!(everything(&store), scans);
    write(&store, move |tx| tx.remove(&UNIT, &[unit_key(1, name(0)), unit_key(1, name(1))]))
        .unwrap();
    save(&store, vec![large(9_999)]).unwrap();
    let scans = everything(&store);
    drop(store);
    assert_eq!(everything(&open(&folder)), scans);
}

#[test]
fn a_store_that_has_too_much_to_do_says_so() {
    let folder = TempDir::new().unwrap();
    let options = SqliteOptions { jobs_max: 3, ..SqliteOptions::default() };
    let store = Sqlite::open(path(&folder), options).unwrap();
    let (release, held) = hold(&store);
    let jobs: Vec<_> = (0..5).map(|_| submit(&store, |_| Ok(()))).collect();
    drop(release);
    held.wait().unwrap();
    let outcomes = jobs.into_iter().map(Pending::wait);
    let refused = outcomes.filter(|it| matches!(it, Err(Error::Unavailable(_)))).count();
    assert_eq!(refused, 2);
    save(&store, vec![ready("a", 1.0)]).unwrap();
}

#[test]
fn a_store_that_is_dropped_finishes_what_is_queued() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let (release, held) = hold(&store);
    let save = |number: i32| {
        submit(&store, move |tx| tx.save(&UNIT, vec![ready(number.to_string(), 1.0)]))
    };
    let jobs: Vec<_> = (0..600).map(save).collect();
    drop(release);
    drop(store);
    held.wait().unwrap();
    jobs.into_iter().for_each(|job| job.wait().unwrap());
    let found = write(&open(&folder), |tx| names(tx, UNIT_READY, Range::default())).unwrap();
    assert_eq!(found.len(), 600);
}

#[test]
fn the_last_owner_may_be_a_job() {
    struct Owner(Arc<Sqlite>, mpsc::Sender<()>);
    impl Job for Owner {
        fn run(&mut self, tx: &mut dyn Tx) -> Result<()> {
            tx.save(&UNIT, vec![ready("a", 1.0)])
        }
        fn done(self: Box<Self>, outcome: Result<()>) {
            outcome.unwrap();
            let Self(store, done) = *self;
            drop(store);
            done.send(()).unwrap();
        }
    }
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open(&folder));
    let (release, held) = hold(&store);
    let (done, is_done) = mpsc::channel();
    store.write(Box::new(Owner(Arc::clone(&store), done)));
    drop(store);
    drop(release);
    held.wait().unwrap();
    is_done.recv().unwrap();
    let store = loop {
        // The thread is about to let go of the lock.
        match Sqlite::open(path(&folder), SqliteOptions::default()) {
            Err(Error::Unavailable(_)) => std::thread::yield_now(),
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(write(&store, |tx| names(tx, PRIMARY, Range::default())).unwrap(), [b"a"]);
}

#[test]
fn people_see_statuses_as_words() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    write(&store, |tx| {
        let numbers = [1, 1, 9, 9].map(int).to_vec();
        let namespace = Doc { key: vec![text("ns")], columns: numbers, body: vec![] };
        tx.save(&NAMESPACE, vec![namespace])?;
        let key = vec![int(1), text("read")];
        tx.save(&SPEC, vec![Doc { key, columns: vec![int(2)], body: vec![] }])?;
        let waiting = unit(2, "a", Some(0), Some(-5.0), None);
        let done = unit(2, "b", None, None, None);
        tx.save(&UNIT, vec![waiting, done, unit(2, "c", Some(4), None, Some(1_000_000_000))])
    })
    .unwrap();
    let shown: String = sql(&folder)
        .query_row(
            "SELECT group_concat(concat_ws(' ', namespace, spec, unit, status, priority, due), '; ')
             FROM (SELECT * FROM unit_status ORDER BY unit)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let expected = "ns read a available 5.0; ns read b finished; \
                    ns read c delayed 1970-01-01 00:00:01";
    assert_eq!(shown, expected);
}
