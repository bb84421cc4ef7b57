//! What only the PostgreSQL store has: a server, other nodes, migrations and plans of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use model::{Error, Result};
use store::tables::{ALL, ATTEMPT, COUNTER, HISTORY, NAMESPACE, UNIT, UNIT_READY};
use store::{Column, Doc, Kind, Postgres, PostgresOptions, Range, Store, Tx, Value};
use tokio::runtime::Builder;
use tokio_postgres::{Client, NoTls};

use crate::cluster::{self, Cluster};
use crate::support::{int, open_postgres, ready, submit, text, write};

/// Runs SQL on a connection of one's own.
fn sql<T>(url: &str, work: impl AsyncFnOnce(Client) -> T) -> T {
    let (base, schema) = url.split_once("?schema=").unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(base, NoTls).await.unwrap();
        drop(tokio::spawn(connection));
        client.batch_execute(&format!("SET search_path = {schema}")).await.unwrap();
        work(client).await
    })
}

fn rows(url: &str, query: &str) -> Vec<String> {
    sql(url, async |client| {
        let rows = client.query(query, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    })
}

fn refusal(url: &str) -> String {
    match Postgres::open(url, &PostgresOptions::default()) {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => {
            assert!(matches!(error, Error::BadInput(_)), "{error:?}");
            error.to_string()
        }
    }
}

#[test]
fn the_schema_is_that_of_the_tables() {
    let url = cluster::url();
    drop(open_postgres(&url));
    let mut expected = Vec::new();
    for table in ALL {
        let column = |column: &Column, note: &str| {
            let kind = match column.kind {
                Kind::Int => "bigint -",
                Kind::Real => "double precision -",
                Kind::Text => "text C",
                Kind::Bytes => "bytea -",
            };
            format!("{}.{} {kind} {note}", table.name, column.name)
        };
        let body = Column { name: "body", kind: Kind::Bytes };
        expected.extend(table.key.iter().map(|it| column(it, "NO")));
        expected.extend(table.columns.iter().map(|it| column(it, "YES")));
        expected.push(column(&body, "NO"));
        let name = |field: &usize| table.key.iter().chain(table.columns).nth(*field).unwrap().name;
        let keys: Vec<usize> = (0..table.key.len()).collect();
        let listed = |fields: &[usize]| fields.iter().map(name).collect::<Vec<_>>().join(", ");
        expected.push(format!("{}_pkey ({})", table.name, listed(&keys)));
        for index in table.indexes {
            let ties = keys.iter().copied().filter(|key| !index.fields.contains(key));
            let fields: Vec<usize> = index.fields.iter().copied().chain(ties).collect();
            let nullable = index.fields.iter().filter(|field| **field >= keys.len());
            let present: Vec<String> =
                nullable.map(|field| format!("({} IS NOT NULL)", name(field))).collect();
            let present = match &present[..] {
                [] => String::new(),
                _ => format!(" WHERE {}", present.join(" AND ")),
            };
            expected.push(format!("{} ({}){present}", index.name, listed(&fields)));
        }
    }
    let mut found = rows(
        &url,
        "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' ||
            coalesce(collation_name, '-') || ' ' || is_nullable
         FROM information_schema.columns JOIN pg_tables ON tablename = table_name
         WHERE table_schema = current_schema AND schemaname = current_schema
            AND table_name NOT IN ('migration', 'shipped')",
    );
    found.extend(rows(
        &url,
        "SELECT indexname || regexp_replace(indexdef, '^.* USING btree', '') FROM pg_indexes
         WHERE schemaname = current_schema AND tablename NOT IN ('migration', 'shipped')",
    ));
    found.sort();
    expected.sort();
    // An index of nothing but the primary key would only cost: PostgreSQL has the key itself.
    expected.retain(|line| !line.starts_with("spec_name "));
    assert_eq!(found, expected);
}

#[test]
fn ten_nodes_may_start_at_once() {
    let url = cluster::url();
    let open = || {
        thread::spawn({
            let url = url.clone();
            move || drop(open_postgres(&url))
        })
    };
    let nodes: Vec<_> = (0..10).map(|_| open()).collect();
    nodes.into_iter().for_each(|node| node.join().unwrap());
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
    let each_once = std::fs::read_dir(files).unwrap().count().to_string();
    assert_eq!(rows(&url, "SELECT count(*)::text FROM migration"), [each_once]);
}

#[test]
fn what_this_program_does_not_know_is_refused_and_left_alone() {
    let url = cluster::url();
    drop(open_postgres(&url));
    let change = |text: &str| sql(&url, async |client| client.batch_execute(text).await.unwrap());
    change("INSERT INTO migration (number, checksum) VALUES (99, 1)");
    assert!(refusal(&url).contains("newer Lockstep"));
    change("DELETE FROM migration WHERE number = 99; UPDATE migration SET checksum = 1");
    assert!(refusal(&url).contains("is not the one"));
    change("DROP TABLE migration");
    assert!(refusal(&url).contains("another program"));
    let counters = rows(&url, "SELECT name FROM counter");
    assert_eq!(counters, ["namespace", "catalog", "audit", "user"]);
}

#[test]
fn a_wrong_address_is_told() {
    let url = cluster::url();
    let base = url.split('?').next().unwrap();
    let nowhere = base.rsplit_once('/').unwrap().0;
    assert!(refusal(&format!("{nowhere}/nowhere")).contains("createdb"));
    let port: u16 = base.rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap();
    let away = base.replace(&port.to_string(), "1");
    match Postgres::open(&away, &PostgresOptions::default()) {
        Err(Error::Unavailable(message)) => {
            assert!(message.contains("cannot connect"), "{message}")
        }
        other => panic!("{:?}", other.map(drop)),
    }
}

/// The queries that scans become walk an index in its order, whatever the statistics say.
#[test]
fn no_statement_reads_a_whole_table() {
    let url = cluster::url();
    // PostgreSQL's own counters tell which way was taken. They are written when a session ends, and
    // count the making of an index as well.
    let scans = |kind: &str| -> u64 {
        let text = format!(
            "SELECT coalesce(sum({kind}), 0)::text FROM pg_stat_user_tables
             WHERE schemaname = current_schema AND relname IN ('unit', 'attempt', 'history')"
        );
        rows(&url, &text)[0].parse().unwrap()
    };
    let indexes: usize =
        [&UNIT, &ATTEMPT, &HISTORY].iter().map(|table| 1 + table.indexes.len()).sum();
    drop(open_postgres(&url));
    while scans("seq_scan") < indexes as u64 {}
    let store = open_postgres(&url);
    let docs: Vec<Doc> = (0..500).map(|n| ready(format!("{n}"), 1.0)).collect();
    write(&store, move |tx| tx.save(&UNIT, docs.clone())).unwrap();
    let scanned = |tx: &mut dyn Tx| {
        tx.scan(&UNIT, UNIT_READY, &Range::prefix([int(1), int(1)]), 10).map(|docs| docs.len())
    };
    assert_eq!(write(&store, scanned), Ok(10));
    drop(store);
    while scans("idx_scan") == 0 {}
    assert_eq!(scans("seq_scan"), indexes as u64);
}

fn count_up(tx: &mut dyn Tx) -> Result<i64> {
    count_up_in(tx, b"counter")
}

/// Adds one to the number in a row, under the lock of its namespace.
fn count_up_in(tx: &mut dyn Tx, name: &'static [u8]) -> Result<i64> {
    let key = vec![text("shared")];
    let head = tx.load(&NAMESPACE, std::slice::from_ref(&key))?.pop().flatten();
    let revision = match &head {
        Some(doc) => doc.columns[2].as_int()? + 1,
        None => 1,
    };
    let columns = vec![int(7), int(7), int(revision), int(0)];
    tx.save(&NAMESPACE, vec![Doc { key, columns, body: vec![] }])?;
    let counter = vec![int(7), int(1), Value::Bytes(name.into())];
    let found = tx.load(&UNIT, std::slice::from_ref(&counter))?.pop().flatten();
    let count = found.map_or(Ok(0), |doc| doc.columns[1].as_int())? + 1;
    let columns = vec![int(1), int(count), Value::Null, Value::Null, Value::Null];
    tx.save(&UNIT, vec![Doc { key: counter, columns, body: vec![] }])?;
    let body = count.to_be_bytes().to_vec();
    let key = vec![int(7), int(revision)];
    tx.save(&HISTORY, vec![Doc { key, columns: vec![int(count)], body }])?;
    Ok(count)
}

#[test]
fn nodes_that_write_the_same_row_lose_nothing() {
    let url = cluster::url();
    let nodes: Vec<Postgres> = (0..3).map(|_| open_postgres(&url)).collect();
    let work = |store: &Postgres| {
        let round = |_| -> Vec<_> { (0..20).map(|_| submit(store, count_up)).collect() };
        let pending: Vec<_> = (0..10).flat_map(round).collect();
        pending.into_iter().map(|it| it.wait().unwrap()).collect::<Vec<_>>()
    };
    let mut seen: Vec<i64> = thread::scope(|scope| {
        let threads: Vec<_> = nodes.iter().map(|node| scope.spawn(|| work(node))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    seen.sort_unstable();
    assert!(seen.into_iter().eq(1..=600));
    // The history has no gap, and is in the order of the counts.
    let text = "SELECT count(*)::text FROM history WHERE revision = time";
    assert_eq!(rows(&url, text), ["600"]);
    assert_eq!(rows(&url, "SELECT max(revision)::text FROM history"), ["600"]);
}

/// Makes the namespace if there is none, with a number that all namespaces are given in turn; tells
/// whether it made it. Both rows are asked for at once, as two jobs of one group may do.
fn make(tx: &mut dyn Tx) -> Result<bool> {
    let (name, numbers) = (vec![text("shared")], vec![text("namespace")]);
    let head = tx.load(&NAMESPACE, std::slice::from_ref(&name));
    let counter = tx.load(&COUNTER, std::slice::from_ref(&numbers));
    let (head, mut counter) = (head?.pop().flatten(), counter?.pop().flatten().unwrap());
    if head.is_some() {
        return Ok(false);
    }
    let id = counter.columns[0].as_int()? + 1;
    counter.columns = vec![int(id)];
    let columns = vec![int(id), int(id), int(1), int(0)];
    tx.save(&NAMESPACE, vec![Doc { key: name, columns, body: vec![] }])?;
    tx.save(&COUNTER, vec![counter])?;
    Ok(true)
}

/// Nobody can lock a row that is not there.
#[test]
fn a_namespace_that_two_nodes_make_at_once_is_made_once() {
    let url = cluster::url();
    let store = open_postgres(&url);
    let made = sql(&url, async |client| {
        let begun = "BEGIN; SELECT 1 FROM counter WHERE name = 'namespace' FOR UPDATE";
        client.batch_execute(begun).await.unwrap();
        let made = submit(&store, make);
        let waits = "SELECT count(*) FROM pg_locks
                     WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))";
        while client.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
        let other = "INSERT INTO namespace VALUES ('shared', 7, 7, 1, 0, ''); COMMIT";
        client.batch_execute(other).await.unwrap();
        made
    });
    assert_eq!(made.wait(), Ok(false));
    let found = rows(&url, "SELECT id::text FROM namespace");
    assert_eq!(found, ["7"]);
}

/// Nodes that write in turn ship to each other what they have changed, so none of them reads it.
#[test]
fn what_another_node_has_changed_is_not_read_again() {
    let url = cluster::url();
    let nodes = [open_postgres(&url), open_postgres(&url)];
    // Until each has seen that it is not alone, it ships nothing.
    for count in 1..=4 {
        assert_eq!(write(&nodes[count % 2], count_up), Ok(count as i64));
    }
    // A node that has seen a revision that was not shipped reads what it works with.
    let shipped = rows(&url, "SELECT (revision - base)::text FROM shipped ORDER BY revision");
    assert_eq!(shipped, ["1", "1"]);
    // What is taken from there is taken for true.
    sql(&url, async |client| {
        let text = "UPDATE unit SET state = state + 100";
        client.batch_execute(text).await.unwrap();
    });
    for count in 5..=20 {
        assert_eq!(write(&nodes[count % 2], count_up), Ok(count as i64));
    }
    // Where one shipment is missing, nothing is.
    sql(&url, async |client| {
        let text = "DELETE FROM shipped; UPDATE unit SET state = state + 100";
        client.batch_execute(text).await.unwrap();
    });
    assert_eq!(write(&nodes[1], count_up), Ok(121));
}

/// A node that is alone assumes so, and is told by its commit where that is not so.
#[test]
fn a_node_that_takes_itself_to_be_alone_changes_nothing_that_it_has_not_seen() {
    let url = cluster::url();
    let nodes = [open_postgres(&url), open_postgres(&url)];
    for count in 1..=3 {
        assert_eq!(write(&nodes[0], count_up), Ok(count));
    }
    assert_eq!(write(&nodes[1], count_up), Ok(4));
    assert_eq!(write(&nodes[0], count_up), Ok(5));
    // The same where nothing would be changed: what is told must be true, too.
    let look = |tx: &mut dyn Tx| {
        tx.load(&NAMESPACE, &[vec![text("shared")]])?;
        let key = vec![int(7), int(1), Value::Bytes((*b"counter").into())];
        let found = tx.load(&UNIT, &[key])?.pop().flatten();
        found.map(|doc| doc.columns[1].as_int()).transpose()
    };
    let third = open_postgres(&url);
    assert_eq!(write(&third, look), Ok(Some(5)));
    assert_eq!(write(&third, look), Ok(Some(5)));
    assert_eq!(write(&nodes[1], count_up), Ok(6));
    assert_eq!(write(&third, look), Ok(Some(6)));
}

/// A node that is alone guesses that a unit of which it knows nothing is new.
#[test]
fn a_unit_that_is_guessed_to_be_new_and_is_not_keeps_what_it_was() {
    let url = cluster::url();
    let before = open_postgres(&url);
    for count in 1..=3 {
        assert_eq!(write(&before, count_up), Ok(count));
        assert_eq!(write(&before, |tx| count_up_in(tx, b"other")), Ok(count));
    }
    drop(before);
    let store = open_postgres(&url);
    assert_eq!(write(&store, count_up), Ok(4));
    assert_eq!(write(&store, |tx| count_up_in(tx, b"other")), Ok(4));
    // Where nothing is inserted, no key says that the guess was wrong.
    let store = open_postgres(&url);
    assert_eq!(write(&store, count_up), Ok(5));
    let look = |name: &'static [u8]| {
        move |tx: &mut dyn Tx| {
            tx.load(&NAMESPACE, &[vec![text("shared")]])?;
            let key = vec![int(7), int(1), Value::Bytes(name.into())];
            let found = tx.load(&UNIT, &[key])?.pop().flatten();
            found.map(|doc| doc.columns[1].as_int()).transpose()
        }
    };
    assert_eq!(write(&store, look(b"other")), Ok(Some(4)));
    assert_eq!(write(&store, look(b"none")), Ok(None));
    assert_eq!(rows(&url, "SELECT count(*)::text FROM history"), ["9"]);
}

#[test]
fn a_connection_that_is_cut_off_loses_nothing_and_doubles_nothing() {
    let server = Cluster::start(&["fsync=off"]).unwrap();
    let url = format!("{}?schema=mine", server.url());
    let store = Arc::new(open_postgres(&url));
    write(&*store, count_up).unwrap();
    let (done, unknown) = (AtomicU64::new(1), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let count = || {
            for _ in 0..150 {
                match submit(&*store, count_up).wait() {
                    Ok(_) => done.fetch_add(1, Ordering::Relaxed),
                    Err(Error::Unavailable(message)) if message.contains("may or may not") => {
                        unknown.fetch_add(1, Ordering::Relaxed)
                    }
                    Err(Error::Unavailable(_)) => 0,
                    Err(error) => panic!("{error:?}"),
                };
            }
        };
        let cut = scope.spawn(|| {
            sql(&url, async |client| {
                let mut cut = 0;
                while !is_over.load(Ordering::Acquire) {
                    let text = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
                        WHERE application_name = 'lockstep writer'";
                    cut += client.query(text, &[]).await.unwrap().len();
                    // It must come back and get something done before it is cut off again.
                    let next = done.load(Ordering::Acquire) + 20;
                    while done.load(Ordering::Acquire) < next && !is_over.load(Ordering::Acquire) {
                        client.query("SELECT 1", &[]).await.unwrap();
                    }
                }
                cut
            })
        });
        let counters: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        counters.into_iter().for_each(|counter| counter.join().unwrap());
        is_over.store(true, Ordering::Release);
        assert!(cut.join().unwrap() > 3, "connections were cut off");
    });
    let (done, unknown) = (done.into_inner(), unknown.into_inner());
    let found: u64 = rows(&url, "SELECT state::text FROM unit")[0].parse().unwrap();
    assert!((done..=done + unknown).contains(&found), "{done} + {unknown}: {found}");
    assert_eq!(rows(&url, "SELECT count(*)::text FROM history"), [found.to_string()]);
}

#[test]
fn a_database_that_goes_away_comes_back() {
    let mut server = Cluster::start(&["fsync=off"]).unwrap();
    let url = format!("{}?schema=mine", server.url());
    let store = open_postgres(&url);
    for signal in ["INT", "QUIT"] {
        let before = write(&store, count_up).unwrap();
        server.stop(signal).unwrap();
        match write(&store, count_up) {
            Err(Error::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
        let read = crate::support::read(&store, |tx| tx.load(&NAMESPACE, &[vec![text("shared")]]));
        assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
        server.run().unwrap();
        assert_eq!(write(&store, count_up), Ok(before + 1), "after {signal}");
    }
}

#[test]
fn a_node_that_stands_still_gives_its_locks_up() {
    let url = cluster::url();
    let (frozen, healthy) = (open_postgres(&url), open_postgres(&url));
    write(&healthy, count_up).unwrap();
    // A session that stands still in the middle of a transaction, as that of a frozen node does.
    sql(&url, async |client| {
        let hold = "SET idle_in_transaction_session_timeout = '300ms'; BEGIN;
                    SELECT 1 FROM namespace WHERE name = 'shared' FOR UPDATE";
        client.batch_execute(hold).await.unwrap();
        assert_eq!(write(&healthy, count_up), Ok(2));
    });
    assert_eq!(write(&frozen, count_up), Ok(3));
}

#[test]
fn leases_go_by_the_time_of_the_database() {
    let store = open_postgres(&cluster::url());
    let text = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint::text";
    let database: i64 = rows(&cluster::url(), text)[0].parse().unwrap();
    let ours = store.now().unwrap().0 / 1_000_000;
    assert!((ours - database).abs() < 2_000, "{ours} {database}");
    assert!(store.is_shared());
}

#[test]
fn nodes_hint_that_they_have_committed() {
    let url = cluster::url();
    let (one, other) = (open_postgres(&url), open_postgres(&url));
    let (told, heard) = mpsc::channel();
    let own = told.clone();
    other.on_hint(Box::new(move || told.send("other").unwrap_or_default()));
    one.on_hint(Box::new(move || own.send("one").unwrap_or_default()));
    // A hint may be missed as long as the other does not listen yet.
    let minute = Duration::from_secs(60);
    let first = loop {
        write(&one, count_up).unwrap();
        if let Ok(who) = heard.recv_timeout(Duration::from_millis(50)) {
            break who;
        }
    };
    assert_eq!(first, "other", "a node does not tell itself");
    write(&one, count_up).unwrap();
    assert_eq!(heard.recv_timeout(minute), Ok("other"));
}
