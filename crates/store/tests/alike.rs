//! Random transactions, some of which fail, look alike from inside and outside of every store.

use model::{Error, Result};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::{option, sample};
use store::tables::{ATTEMPT, NAMESPACE, UNIT, WORKER};
use store::{Doc, Kept, Key, Memory, PRIMARY, Range, Store, Table, Tx, Value};
use tempfile::TempDir;

use crate::cluster;
use crate::support::{
    Pending, all_scans, int, open, open_postgres, read, real, submit, text, unit, worker, write,
};

/// What a transaction does.
#[derive(Clone, Debug)]
enum Step {
    Load(&'static Table, Vec<Key>),
    Save(&'static Table, Vec<Doc>),
    /// Inserts attempts, whose ids are given out later.
    Insert(Vec<Doc>),
    Remove(&'static Table, Vec<Key>),
    Scan(&'static Table, usize, Range, u32),
    First(&'static Table, usize),
}

/// What it saw.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Loaded(Vec<Option<Doc>>),
    Scanned(Vec<Doc>),
    First(Option<Value>),
}

fn run(steps: &[Step], fails: bool, tx: &mut dyn Tx) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for step in steps {
        match step {
            Step::Load(table, keys) => seen.push(Seen::Loaded(tx.load(table, keys)?)),
            Step::Save(table, docs) => tx.save(table, docs.clone())?,
            Step::Insert(docs) => tx.insert(&ATTEMPT, docs.clone())?,
            Step::Remove(table, keys) => tx.remove(table, keys)?,
            Step::Scan(table, index, range, limit) => {
                seen.push(Seen::Scanned(tx.scan(table, *index, range, *limit)?));
            }
            Step::First(table, index) => seen.push(Seen::First(tx.first(table, *index)?)),
        }
    }
    if fails { Err(Error::BadInput(format!("{seen:?}"))) } else { Ok(seen) }
}

fn number() -> impl Strategy<Value = i64> {
    sample::select(vec![i64::MIN, -300, -1, 0, 1, 2, 255, 256, 70_000, i64::MAX])
}

fn doc(table: &'static Table) -> BoxedStrategy<Doc> {
    let name = vec(sample::select(vec![0_u8, 1, b'a', 255]), 0..3);
    let word = sample::select(vec!["", "\0", "a", "a\0", "b", "é"]);
    let float = sample::select(vec![-1e9, -1.5, -0.0, 0.0, 1.5, f64::INFINITY]);
    let some = || option::of(number());
    let body = vec(any::<u8>(), 0..4);
    if table.id == UNIT.id {
        let ready = option::of(float);
        let unit = |(spec, name, state, ready, due, body)| Doc {
            body,
            ..unit(spec, name, state, ready, due)
        };
        return (1..3_i64, name, some(), ready, some(), body).prop_map(unit).boxed();
    }
    if table.id == WORKER.id {
        let worker = |(name, id, parent, due)| worker(name, id, parent, due);
        return (word, number(), some(), some()).prop_map(worker).boxed();
    }
    let value = |value: Option<i64>| value.map_or(Value::Null, int);
    let attempt = move |(unit, id, worker, busy, due)| Doc {
        key: vec![int(1), int(unit), int(id)],
        columns: vec![value(worker), value(busy), value(due)],
        body: vec![],
    };
    (1..3_i64, 1..6_i64, some(), some(), some()).prop_map(attempt).boxed()
}

/// A range that is made of the fields of one row, and goes on with those of two others.
fn range(table: &'static Table, index: usize) -> impl Strategy<Value = Range> {
    let keys = 0..table.key.len();
    let mut fields = table.indexes.get(index).map_or(vec![], |index| index.fields.to_vec());
    fields.extend(keys.filter(|field| !fields.contains(field)).collect::<Vec<_>>());
    let docs = (doc(table), option::of(doc(table)), option::of(doc(table)));
    (docs, 0..=fields.len()).prop_map(move |((doc, after, upto), length)| {
        let value = |doc: &Doc, place: usize| doc.field(fields[place]).unwrap().clone();
        let next = |doc: Option<Doc>| doc.filter(|_| length < fields.len());
        Range {
            prefix: (0..length).map(|place| value(&doc, place)).collect(),
            after: next(after).map(|doc| value(&doc, length)),
            upto: next(upto).map(|doc| value(&doc, length)),
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let tables: Vec<&'static Table> = vec![&UNIT, &UNIT, &ATTEMPT, &WORKER];
    sample::select(tables).prop_flat_map(|table| {
        let keys = move || vec(doc(table).prop_map(|doc| doc.key), 1..4);
        let indexes: Vec<usize> = (0..table.indexes.len()).chain([PRIMARY]).collect();
        let index = sample::select(indexes);
        let scan = (index.clone(), 0..5_u32).prop_flat_map(move |(index, limit)| {
            range(table, index).prop_map(move |range| Step::Scan(table, index, range, limit))
        });
        prop_oneof![
            1 => keys().prop_map(move |keys| Step::Load(table, keys)),
            4 => vec(doc(table), 1..5).prop_map(move |docs| Step::Save(table, docs)),
            1 => vec(doc(&ATTEMPT), 1..4).prop_map(Step::Insert),
            2 => keys().prop_map(move |keys| Step::Remove(table, keys)),
            2 => scan,
            1 => index.prop_map(move |index| Step::First(table, index)),
        ]
    })
}

fn scans(store: &dyn Store) -> Vec<Vec<Vec<Doc>>> {
    let tables = [&UNIT, &ATTEMPT, &WORKER];
    write(store, move |tx| tables.iter().map(|table| all_scans(tx, table)).collect()).unwrap()
}

/// What reads can see: the rows in every order that is on disk.
fn read_scans(store: &dyn Store) -> Vec<Vec<Doc>> {
    read(store, |tx| {
        let mut scans = Vec::new();
        for table in [&UNIT, &ATTEMPT, &WORKER] {
            scans.push(tx.scan(table, PRIMARY, &Range::default(), u32::MAX)?);
            for (number, index) in table.indexes.iter().enumerate() {
                if index.kept == Kept::OnDisk {
                    scans.push(tx.scan(table, number, &Range::default(), u32::MAX)?);
                }
            }
        }
        Ok(scans)
    })
    .unwrap()
}

type Transaction = (Vec<Step>, bool);

fn transactions() -> impl Strategy<Value = Vec<Transaction>> {
    vec((vec(step(), 1..8), prop::bool::weighted(0.3)), 1..12).prop_map(|mut transactions| {
        give_ids(transactions.iter_mut());
        transactions
    })
}

/// Gives rows that are inserted ids that no other row has.
fn give_ids<'t>(transactions: impl Iterator<Item = &'t mut Transaction>) {
    let mut ids = 1_000..;
    for step in transactions.flat_map(|(steps, _)| steps) {
        if let Step::Insert(docs) = step {
            docs.iter_mut().zip(&mut ids).for_each(|(doc, id)| doc.key[2] = int(id));
        }
    }
}

/// Submits all transactions, and then waits for what each has seen.
fn run_all(store: &dyn Store, transactions: &[Transaction]) -> Vec<Result<Vec<Seen>>> {
    let start = |(steps, fails): &Transaction| {
        let (steps, fails) = (steps.clone(), *fails);
        submit(store, move |tx| run(&steps, fails, tx))
    };
    let pending: Vec<Pending<_>> = transactions.iter().map(start).collect();
    pending.into_iter().map(Pending::wait).collect()
}

/// Tells whether a step asks for the first entry of an order that goes through all namespaces: a
/// shared store promises less of it.
fn is_global(step: &Step) -> bool {
    let Step::First(table, index) = step else { return false };
    table.indexes.get(*index).is_some_and(|index| index.fields[0] != 0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_looks_like_memory(transactions in transactions()) {
        let folder = TempDir::new().unwrap();
        let (memory, sqlite) = (Memory::new(), open(&folder));
        prop_assert_eq!(run_all(&memory, &transactions), run_all(&sqlite, &transactions));
        prop_assert_eq!(scans(&memory), scans(&sqlite));
        prop_assert_eq!(read_scans(&memory), read_scans(&sqlite));
        drop(sqlite);
        prop_assert_eq!(scans(&memory), scans(&open(&folder)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn postgres_looks_like_memory(mut transactions in transactions()) {
        for (steps, _) in &mut transactions {
            steps.retain(|step| !is_global(step));
        }
        let url = cluster::url();
        let (memory, postgres) = (Memory::new(), open_postgres(&url));
        // One after another: jobs that come together have no order in a store of many nodes.
        for one in transactions.chunks(1) {
            prop_assert_eq!(run_all(&memory, one), run_all(&postgres, one));
        }
        prop_assert_eq!(scans(&memory), scans(&postgres));
        prop_assert_eq!(read_scans(&memory), read_scans(&postgres));
        drop(postgres);
        prop_assert_eq!(scans(&memory), scans(&open_postgres(&url)));
    }
}

/// Does the steps as rules do: under the lock of their namespace, and with a new revision.
fn run_locked(steps: &[Step], fails: bool, tx: &mut dyn Tx) -> Result<Vec<Seen>> {
    let key = vec![text("n")];
    let head = tx.load(&NAMESPACE, std::slice::from_ref(&key))?.pop().flatten();
    let seen = run(steps, fails, tx)?;
    if steps.iter().any(|step| matches!(step, Step::Save(..) | Step::Insert(..) | Step::Remove(..)))
    {
        let before = head.map_or(Ok(0), |doc| doc.columns[2].as_int())?;
        let columns = vec![int(1), int(1), int(before + 1), int(0)];
        tx.save(&NAMESPACE, vec![Doc { key, columns, body: vec![] }])?;
    }
    Ok(seen)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// What each of several nodes knows of a namespace is what the others have made of it.
    #[test]
    fn nodes_look_like_memory(mut transactions in vec((transactions(), 0..3_usize), 1..6)) {
        give_ids(transactions.iter_mut().flat_map(|(transactions, _)| transactions));
        let url = cluster::url();
        let memory = Memory::new();
        let nodes: Vec<_> = (0..3).map(|_| open_postgres(&url)).collect();
        for (number, (transactions, node)) in transactions.into_iter().enumerate() {
            for (mut steps, fails) in transactions {
                // In an order through all namespaces it is only told at most what comes first.
                steps.retain(|step| !is_global(step));
                let work = move |tx: &mut dyn Tx| run_locked(&steps, fails, tx);
                let expected = write(&memory, work.clone());
                prop_assert_eq!(expected, write(&nodes[node], work), "{}", number);
            }
        }
        for node in &nodes {
            prop_assert_eq!(scans(&memory), scans(node));
        }
    }
}

#[test]
fn zero_is_zero() {
    let zeros = |store: &dyn Store| {
        write(store, |tx| {
            let key = unit(1, "a", None, None, None).key;
            let columns = vec![int(7), Value::Null, real(-0.0), Value::Null, Value::Null];
            tx.save(&UNIT, vec![Doc { key, columns, body: vec![] }])?;
            let range = Range::prefix([int(1), int(1), real(0.0)]);
            Ok(tx.scan(&UNIT, store::tables::UNIT_READY, &range, 9)?.len())
        })
    };
    assert_eq!(zeros(&Memory::new()), Ok(1));
    assert_eq!(zeros(&open(&TempDir::new().unwrap())), Ok(1));
    let texts = [text(""), text("\0")];
    assert_ne!(texts[0], texts[1]);
}
