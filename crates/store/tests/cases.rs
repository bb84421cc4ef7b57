//! What every store does alike.

use std::sync::Arc;

use model::{Error, Result};
use store::tables::{
    ALL, TOKEN, TOKEN_ID, UNIT, UNIT_DUE, UNIT_READY, UNIT_STATE, WORKER, WORKER_DUE, WORKER_PARENT,
};
use store::{Doc, PRIMARY, Range, Store, Tx, Value};

use crate::support::{
    all_scans, bytes, int, names, read, ready, real, stores, text, unit, unit_key, worker, write,
};

/// Runs a case on a fresh store of each kind.
fn on_every_store(case: impl Fn(Arc<dyn Store>)) {
    for (store, _files) in stores() {
        case(store);
    }
}

fn save(store: &dyn Store, docs: Vec<Doc>) {
    write(store, move |tx| tx.save(&UNIT, docs.clone())).unwrap();
}

fn scan(store: &dyn Store, index: usize, range: Range) -> Vec<String> {
    let names = write(store, move |tx| names(tx, index, range.clone())).unwrap();
    names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
}

fn everything(store: &dyn Store) -> Vec<Vec<Vec<Doc>>> {
    write(store, |tx| ALL.iter().map(|table| all_scans(tx, table)).collect()).unwrap()
}

fn refused<T>(message: &str) -> Result<T> {
    Err(Error::BadInput(message.to_owned()))
}

#[test]
fn rows_come_back_as_they_were_saved() {
    on_every_store(|store| {
        let mut doc = unit(1, b"a\0\xff", Some(-4), Some(-0.5), Some(i64::MIN));
        doc.body = vec![0, 255, 0];
        let saved = doc.clone();
        save(&*store, vec![saved]);
        let keys = vec![unit_key(1, "b"), doc.key.clone(), unit_key(1, "a"), doc.key.clone()];
        let look = move |tx: &mut dyn Tx| tx.load(&UNIT, &keys);
        let expected = vec![None, Some(doc.clone()), None, Some(doc)];
        assert_eq!(write(&*store, look.clone()).unwrap(), expected);
        assert_eq!(read(&*store, look).unwrap(), expected);
    });
}

#[test]
fn who_asks_for_no_rows_learns_nothing_of_others() {
    on_every_store(|store| {
        save(&*store, vec![ready("a", 1.0)]);
        let look = |tx: &mut dyn Tx| {
            let mut counts = Vec::new();
            for limit in [0, 1] {
                for index in [UNIT_STATE, PRIMARY] {
                    counts.push(tx.scan(&UNIT, index, &Range::default(), limit)?.len());
                }
            }
            Ok(counts)
        };
        assert_eq!(write(&*store, look), Ok(vec![0, 0, 1, 1]));
        assert_eq!(read(&*store, look), Ok(vec![0, 0, 1, 1]));
    });
}

#[test]
fn a_later_save_replaces_and_a_removal_removes() {
    on_every_store(|store| {
        save(&*store, vec![ready("a", 1.0), ready("b", 2.0), ready("a", 3.0)]);
        assert_eq!(scan(&*store, UNIT_READY, Range::default()), ["b", "a"]);
        write(&*store, |tx| tx.remove(&UNIT, &[unit_key(1, "a"), unit_key(1, "none")])).unwrap();
        assert_eq!(scan(&*store, UNIT_READY, Range::default()), ["b"]);
        assert_eq!(scan(&*store, PRIMARY, Range::default()), ["b"]);
        save(&*store, vec![ready("a", 0.0)]);
        assert_eq!(scan(&*store, UNIT_READY, Range::default()), ["a", "b"]);
    });
}

#[test]
fn a_range_is_a_prefix_and_a_stretch_of_the_next_field() {
    on_every_store(|store| {
        let spec = |spec, names: &[&str]| {
            names.iter().map(|name| unit(spec, name, Some(spec), None, None)).collect()
        };
        save(&*store, spec(1, &["a", "b", "c", "d"]));
        save(&*store, spec(2, &["b"]));
        save(&*store, spec(256, &["x"]));
        let prefix = || Range::prefix([int(1), int(1)]);
        let primary = |range| scan(&*store, PRIMARY, range);
        assert_eq!(primary(Range::default()), ["a", "b", "c", "d", "b", "x"]);
        assert_eq!(primary(prefix()), ["a", "b", "c", "d"]);
        assert_eq!(primary(prefix().after(Some(bytes("b")))), ["c", "d"]);
        assert_eq!(primary(prefix().upto(bytes("b"))), ["a", "b"]);
        assert_eq!(primary(prefix().after(Some(bytes("a"))).upto(bytes("c"))), ["b", "c"]);
        assert_eq!(primary(prefix().after(Some(bytes("c"))).upto(bytes("c"))), [""; 0]);
        assert_eq!(primary(prefix().after(Some(bytes("d"))).upto(bytes("a"))), [""; 0]);
        assert_eq!(primary(Range::prefix([int(1)]).after(Some(int(1)))), ["b", "x"]);
        assert_eq!(primary(Range::prefix([int(1)]).upto(int(2))), ["a", "b", "c", "d", "b"]);
        assert_eq!(primary(Range::prefix([int(2)])), [""; 0]);
        assert_eq!(primary(Range::prefix([int(1), int(1), bytes("c")])), ["c"]);
        let state = Range::prefix([int(1), int(2), int(2)]);
        assert_eq!(scan(&*store, UNIT_STATE, state), ["b"]);
    });
}

#[test]
fn a_range_goes_on_into_the_primary_key() {
    on_every_store(|store| {
        let due = |name: &str| unit(1, name, None, None, Some(5));
        save(&*store, vec![due("b"), due("a"), due("c")]);
        let range = Range::prefix([int(5), int(1), int(1)]).after(Some(bytes("a")));
        assert_eq!(scan(&*store, UNIT_DUE, range), ["b", "c"]);
    });
}

#[test]
fn a_scan_gives_at_most_its_limit() {
    on_every_store(|store| {
        save(&*store, ["c", "a", "d", "b"].map(|name| ready(name, 1.0)).into());
        for index in [PRIMARY, UNIT_READY, UNIT_STATE] {
            for (limit, expected) in [(0, ""), (1, "a"), (3, "abc"), (9, "abcd")] {
                let docs =
                    write(&*store, move |tx| tx.scan(&UNIT, index, &Range::default(), limit));
                let found: String = (docs.unwrap().iter())
                    .map(|doc| str::from_utf8(&doc.body).unwrap().to_owned())
                    .collect();
                assert_eq!(found, expected);
            }
        }
    });
}

#[test]
fn ties_are_in_primary_key_order() {
    on_every_store(|store| {
        let workers = [("b", 1), ("a", 1), ("c", 0)];
        let docs: Vec<Doc> =
            workers.map(|(name, due)| worker(name, 7, Some(3), Some(due))).into_iter().collect();
        write(&*store, move |tx| tx.save(&WORKER, docs.clone())).unwrap();
        for (index, expected) in [(WORKER_DUE, ["c", "a", "b"]), (WORKER_PARENT, ["a", "b", "c"])] {
            let docs = write(&*store, move |tx| tx.scan(&WORKER, index, &Range::default(), 9));
            let docs = docs.unwrap();
            let found: Vec<&str> = docs.iter().map(|doc| doc.key[1].as_text().unwrap()).collect();
            assert_eq!(found, expected);
        }
    });
}

#[test]
fn nulls_are_in_no_index() {
    on_every_store(|store| {
        let docs = vec![
            unit(1, "none", None, None, None),
            unit(1, "state", Some(1), None, None),
            unit(1, "ready", None, Some(0.0), None),
            unit(1, "due", None, None, Some(0)),
        ];
        save(&*store, docs);
        assert_eq!(scan(&*store, PRIMARY, Range::default()), ["due", "none", "ready", "state"]);
        assert_eq!(scan(&*store, UNIT_STATE, Range::default()), ["state"]);
        assert_eq!(scan(&*store, UNIT_READY, Range::default()), ["ready"]);
        assert_eq!(scan(&*store, UNIT_DUE, Range::default()), ["due"]);
        save(&*store, vec![unit(1, "ready", None, None, None)]);
        assert_eq!(scan(&*store, UNIT_READY, Range::default()), [""; 0]);
    });
}

#[test]
fn values_are_in_order() {
    let numbers = [i64::MIN, -65_537, -65_536, -257, -256, -255, -2, -1, 0, 1, 255, 256, 65_535];
    let reals = [f64::NEG_INFINITY, -1e300, -1.5, -f64::MIN_POSITIVE, 0.0, 1e-300, 1.0, 1e300];
    let names: [&[u8]; 9] =
        [b"", b"\0", b"\0\0", b"\0\x01", b"\0\xff", b"\x01", b"a", b"a\0b", b"\xff\xff"];
    on_every_store(|store| {
        let mut docs: Vec<Doc> = Vec::new();
        docs.extend(numbers.iter().map(|due| unit(1, due.to_string(), None, None, Some(*due))));
        docs.extend(reals.iter().map(|due| unit(2, due.to_string(), None, Some(*due), None)));
        docs.extend(names.iter().map(|name| unit(3, name, None, None, None)));
        docs.reverse();
        save(&*store, docs);
        assert_eq!(scan(&*store, UNIT_DUE, Range::default()), numbers.map(|due| due.to_string()));
        assert_eq!(
            scan(&*store, UNIT_READY, Range::default()),
            reals.map(|ready| ready.to_string())
        );
        let range = Range::prefix([int(1), int(3)]);
        let found = write(&*store, move |tx| crate::support::names(tx, PRIMARY, range.clone()));
        assert_eq!(found.unwrap(), names);
    });
}

#[test]
fn texts_are_in_order_too() {
    on_every_store(|store| {
        let texts = ["", "\0", "\0\u{1}", "\0a", "\u{1}", "\u{1}\0", "\u{1}\u{1}", "\u{2}", "a"];
        let texts = [&texts[..], &["a\0", "a\u{1}", "ab", "é", "\u{10ffff}"]].concat();
        let docs: Vec<Doc> = (texts.iter().rev())
            .map(|id| Doc { key: vec![bytes(id)], columns: vec![text(id)], body: vec![] })
            .collect();
        write(&*store, move |tx| tx.save(&TOKEN, docs.clone())).unwrap();
        let docs = read(&*store, |tx| tx.scan(&TOKEN, TOKEN_ID, &Range::default(), 99)).unwrap();
        let found: Vec<&str> = docs.iter().map(|doc| doc.columns[0].as_text().unwrap()).collect();
        assert_eq!(found, texts);
    });
}

#[test]
fn first_is_the_smallest() {
    on_every_store(|store| {
        let firsts = |tx: &mut dyn Tx| {
            Ok([tx.first(&UNIT, UNIT_DUE)?, tx.first(&WORKER, PRIMARY)?, tx.first(&TOKEN, 0)?])
        };
        assert_eq!(write(&*store, firsts).unwrap(), [None, None, None]);
        let first = write(&*store, move |tx| {
            tx.save(&UNIT, vec![unit(1, "b", None, None, Some(9))])?;
            tx.save(&UNIT, vec![unit(1, "a", None, None, Some(11))])?;
            tx.save(&WORKER, vec![worker("w", 1, None, None)])?;
            let token = Doc { key: vec![bytes("h")], columns: vec![text("t")], body: vec![] };
            tx.save(&TOKEN, vec![token])?;
            firsts(tx)
        });
        assert_eq!(first.unwrap(), [Some(int(9)), Some(int(1)), Some(text("t"))]);
    });
}

#[test]
fn a_transaction_sees_its_own_changes() {
    on_every_store(|store| {
        save(&*store, vec![ready("a", 1.0)]);
        let found = write(&*store, |tx| {
            tx.save(&UNIT, vec![ready("b", 2.0)])?;
            tx.remove(&UNIT, &[unit_key(1, "a")])?;
            let mut found = vec![];
            for index in [PRIMARY, UNIT_READY, UNIT_STATE] {
                found.push(names(tx, index, Range::default())?);
            }
            assert_eq!(tx.load(&UNIT, &[unit_key(1, "a")])?, [None]);
            Ok(found)
        });
        assert_eq!(found.unwrap(), vec![vec![b"b".to_vec()]; 3]);
    });
}

#[test]
fn an_error_leaves_no_trace() {
    on_every_store(|store| {
        save(&*store, vec![ready("a", 1.0), ready("b", 2.0)]);
        let before = everything(&*store);
        for look_in_between in [false, true] {
            let failed = write(&*store, move |tx| {
                tx.save(&UNIT, vec![ready("a", 9.0), ready("c", 3.0)])?;
                if look_in_between {
                    assert_eq!(names(tx, UNIT_STATE, Range::default())?.len(), 3);
                }
                tx.remove(&UNIT, &[unit_key(1, "b"), unit_key(1, "c")])?;
                if look_in_between {
                    assert_eq!(names(tx, UNIT_STATE, Range::default())?.len(), 1);
                }
                tx.save(&UNIT, vec![unit(1, "b", None, None, Some(1))])?;
                refused::<()>("after all of this")
            });
            assert_eq!(failed, refused("after all of this"));
            assert_eq!(everything(&*store), before);
        }
    });
}

#[test]
fn a_panic_is_an_error_and_the_store_goes_on() {
    on_every_store(|store| {
        let panicked = write(&*store, |tx| -> Result<()> {
            tx.save(&UNIT, vec![ready("a", 1.0)])?;
            panic!("on purpose")
        });
        assert!(matches!(&panicked, Err(Error::Internal(message)) if message.contains("purpose")));
        let panicked = read(&*store, |_| -> Result<()> { panic!("on purpose") });
        assert!(matches!(panicked, Err(Error::Internal(_))));
        assert_eq!(scan(&*store, PRIMARY, Range::default()), [""; 0]);
        save(&*store, vec![ready("b", 1.0)]);
        assert_eq!(scan(&*store, PRIMARY, Range::default()), ["b"]);
    });
}

#[test]
fn a_read_changes_nothing_and_sees_no_index_in_memory() {
    on_every_store(|store| {
        save(&*store, vec![ready("a", 1.0)]);
        let before = everything(&*store);
        let internal = |outcome: Result<()>| assert!(matches!(outcome, Err(Error::Internal(_))));
        internal(read(&*store, |tx| tx.save(&UNIT, vec![ready("b", 1.0)])));
        internal(read(&*store, |tx| tx.remove(&UNIT, &[unit_key(1, "a")])));
        internal(read(&*store, |tx| tx.scan(&UNIT, UNIT_READY, &Range::default(), 1).map(|_| ())));
        if !store.is_shared() {
            internal(read(&*store, |tx| tx.first(&UNIT, UNIT_DUE).map(|_| ())));
        }
        assert_eq!(everything(&*store), before);
        let found = read(&*store, |tx| names(tx, UNIT_STATE, Range::default()));
        assert_eq!(found.unwrap(), [b"a"]);
    });
}

#[test]
fn a_value_that_does_not_fit_its_column_is_refused() {
    on_every_store(|store| {
        let refuses = |change: fn(&mut Doc)| {
            let mut doc = ready("a", 1.0);
            change(&mut doc);
            let outcome = write(&*store, move |tx| tx.save(&UNIT, vec![doc.clone()]));
            assert!(matches!(outcome, Err(Error::Internal(_))), "{outcome:?}");
        };
        refuses(|doc| doc.key[0] = Value::Null);
        refuses(|doc| doc.key[2] = text("a"));
        refuses(|doc| doc.columns[2] = int(1));
        refuses(|doc| doc.columns[2] = real(f64::NAN));
        refuses(|doc| doc.columns.truncate(3));
        refuses(|doc| doc.key.push(int(1)));
        let scan = |range: Range| {
            write(&*store, move |tx| tx.scan(&UNIT, UNIT_STATE, &range, 1).map(|_| ()))
        };
        assert!(matches!(scan(Range::prefix([text("a")])), Err(Error::Internal(_))));
        let longest = [int(1), int(1), int(1), bytes("a")];
        assert_eq!(scan(Range::prefix(longest.clone())), Ok(()));
        let too_long = Range::prefix(longest).after(Some(int(1)));
        assert!(matches!(scan(too_long), Err(Error::Internal(_))));
    });
}

#[test]
fn one_transaction_may_take_everything_bit_by_bit() {
    on_every_store(|store| {
        let docs: Vec<Doc> = (0..1_000).map(|n| ready(format!("{n:04}"), 1.0)).collect();
        save(&*store, docs);
        let take = |limit: u32| {
            move |tx: &mut dyn Tx| {
                let mut taken = Vec::new();
                loop {
                    let mut docs = tx.scan(&UNIT, UNIT_READY, &Range::prefix([int(1)]), limit)?;
                    taken.push(docs.len());
                    if docs.is_empty() || taken.len() > 9 {
                        return Ok(taken);
                    }
                    docs.iter_mut().for_each(|doc| doc.columns[2] = Value::Null);
                    tx.save(&UNIT, docs)?;
                }
            }
        };
        assert_eq!(write(&*store, take(300)).unwrap(), [300, 300, 300, 100, 0]);
    });
}
