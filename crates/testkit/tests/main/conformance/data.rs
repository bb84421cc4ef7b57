//! Nothing is lost in translation: data, names and times come back as they went in.

use model::{Change, Data, Datum, NewUnit, Time, UnitMeta, UnitRef, UpdateWorker};
use testkit::{World, all, bytes, dict_data, name, named, new_unit, spec_name, text, worker_name};

cases![
    spec_data_keeps_its_types,
    unit_data_keeps_its_types,
    attempt_data_keeps_its_types,
    worker_data_keeps_its_types,
    unit_names_are_bytes,
    text_names_are_any_text,
    numbers_at_their_limits,
];

/// A dictionary with every type, nested in every other.
fn everything() -> [(&'static str, Datum); 17] {
    let leaves = || {
        vec![
            Datum::Null,
            Datum::Bool(true),
            Datum::Int(10),
            Datum::Float(10.0),
            text("text"),
            bytes("text"),
            Datum::Uuid([0xab; 16]),
            Datum::List(vec![]),
            Datum::Tuple(vec![]),
            Datum::Map(vec![]),
        ]
    };
    [
        ("name", text("spec")),
        ("null value", Datum::Null),
        ("false", Datum::Bool(false)),
        ("int", Datum::Int(10)),
        ("float", Datum::Float(10.0)),
        ("least", Datum::Int(i128::from(i64::MIN))),
        ("most", Datum::Int(i128::from(u64::MAX))),
        ("tiny", Datum::Float(f64::MIN_POSITIVE)),
        ("text", text("gr\u{fc}n \u{1F980} \0 \"quoted\"\n")),
        ("bytes", bytes(b"\0\xff\xfe text")),
        ("uuid", Datum::Uuid(*b"0123456789abcdef")),
        ("empty list", Datum::List(vec![])),
        ("empty tuple", Datum::Tuple(vec![])),
        ("empty map", Datum::Map(vec![])),
        ("list", Datum::List(leaves())),
        ("tuple", Datum::Tuple(vec![Datum::Tuple(leaves()), Datum::List(leaves())])),
        (
            "map",
            Datum::Map(vec![
                (Datum::Int(7), Datum::List(leaves())),
                (text("7"), Datum::Tuple(leaves())),
                (Datum::Tuple(vec![Datum::Int(1), text("x")]), Datum::Null),
            ]),
        ),
    ]
}

#[track_caller]
fn same(found: &Data) {
    assert_eq!(*found, dict_data(everything()));
    let dict = everything().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    assert_eq!(found.dict().unwrap(), dict);
}

fn spec_data_keeps_its_types(w: &World) {
    w.try_set_spec(dict_data(everything())).unwrap();
    same(&w.spec("spec").data);
}

fn unit_data_keeps_its_types(w: &World) {
    w.plain_spec("spec");
    w.add_unit("spec", NewUnit { data: dict_data(everything()), ..new_unit("a") });
    same(&w.unit("spec", "a").data);
    same(&w.units("spec", all())[0].data);
    same(&w.claim_one().data);
}

fn attempt_data_keeps_its_types(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a"]);
    let attempt = w.claim_one();
    w.change(&attempt, Change::Finish, Some(dict_data(everything()))).unwrap();
    same(&w.attempt(&attempt).data);
    same(&w.unit("spec", "a").data);
    same(&w.all_of("worker")[0].data);
}

fn worker_data_keeps_its_types(w: &World) {
    let update = UpdateWorker {
        worker: worker_name("worker"),
        mode: "mode \u{fc}".to_owned(),
        data: dict_data(everything()),
        expiration: Some(Time::MAX),
        last_update: Some(Time(1)),
    };
    w.try_update_worker(update.clone()).unwrap();
    let worker = w.worker("worker");
    same(&worker.data);
    assert_eq!(worker.mode, update.mode);
    assert_eq!((worker.expiration, worker.last_update), (Time::MAX, Time(1)));
}

fn unit_names_are_bytes(w: &World) {
    w.plain_spec("spec");
    let mut names: Vec<&[u8]> = vec![
        b"",
        b"\0",
        b"\0\0",
        b"\x01",
        b"-",
        b"-LQ",
        b"..",
        b"/",
        b"a",
        b"a/b",
        b"a b",
        b"a~",
        b"\xc3\xbc",
        b"\xf0\x0f",
        b"\xfe\xff\0a",
        b"\xff",
        b"\xff\x80",
        b"\n",
        b"%2F",
        b"'",
    ];
    w.add("spec", names.iter().rev());
    names.sort();
    let listed: Vec<_> =
        w.units("spec", all()).iter().map(|unit| unit.name.as_bytes().to_vec()).collect();
    assert_eq!(listed, names, "in bytewise order");
    for expected in &names {
        assert_eq!(w.unit("spec", expected).name, name(expected));
        let attempt = w.claim_one();
        assert_eq!(attempt.unit, name(expected));
        w.finish(&attempt).unwrap();
    }
    assert_eq!(w.delete("spec", named(["", "-", "a~"])), 3);
    assert_eq!(w.counts("spec").finished, names.len() as u64 - 3);
}

fn text_names_are_any_text(w: &World) {
    let names = ["-", "..", "/", "a b", "\0", "\u{fc}\u{1F980}", "%20", "'; DROP TABLE unit", "?#"];
    for namespace in names.into_iter().chain([""]) {
        let w = w.in_namespace(namespace);
        for spec in names {
            w.plain_spec(spec);
            w.add(spec, ["a"]);
            let unit = UnitRef { spec: spec_name(spec), name: name("a"), id: None };
            w.try_make(spec, unit, None).unwrap();
            assert_eq!(w.active_of(spec).len(), 1);
        }
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        assert_eq!(w.spec_names(), sorted);
    }
}

fn numbers_at_their_limits(w: &World) {
    w.plain_spec("spec");
    for priority in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, -0.0, 0.1 + 0.2] {
        for not_before in [Some(Time(i64::MIN + 1)), Some(Time(0)), Some(Time::MAX), None] {
            let meta = UnitMeta { priority, not_before };
            w.add_unit("spec", NewUnit { meta, ..new_unit("a") });
            assert_eq!(w.unit("spec", "a").meta, meta);
        }
    }
    let dict = dict_data([
        ("name", text("spec")),
        ("priority", Datum::Int(i128::from(i64::MIN))),
        ("weight", Datum::Int(i128::from(u64::MAX))),
        ("max_running", Datum::Float(1e300)),
        ("interval", Datum::Int(-5)),
        ("min_gb", Datum::Float(f64::MAX)),
    ]);
    w.try_set_spec(dict).unwrap();
    let meta = w.meta("spec");
    assert_eq!((meta.priority, meta.weight), (i64::MIN, i64::MAX));
    assert_eq!((meta.max_running, meta.min_memory_gb), (i64::MAX as u64, f64::MAX));
    w.plain_spec("other");
    w.add("other", ["a"]);
    w.claim_one();
    w.claim_one();
}
