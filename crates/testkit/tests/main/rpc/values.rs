//! Keys and data of every type.

use testkit::rpc::{Jobs, Strings, V, b, f, i, l, m, s, t, tu};

cases![binary_work_unit, work_unit_value, spec_byteification];

/// 129. Keys and values are any bytes.
fn binary_work_unit(jobs: &Jobs) {
    let utf16: Vec<u8> = "Höß".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let keys: [&[u8]; 9] = [
        b"\0",
        b"\x01\x02\x1b\x7f",
        &utf16,
        "Höß".as_bytes(),
        b"H\xf6\xdf",
        b"\xf0\x0f",
        b"\xff",
        b"\xff\x80",
        b"",
    ];
    jobs.set_spec("spec", []);
    let units = keys.map(|key| tu([b(key), m([("k", b(key))])]));
    jobs.done("add_work_units", [s("spec"), l(units)]);
    let expected = |key: &[u8]| m([("k", b(key))]).sent(Strings::Text);
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let listed = jobs.pair("get_work_units", [s("spec"), m([])]);
    assert_eq!(listed, l(sorted.iter().map(|key| tu([b(key), expected(key)]))));
    for key in &sorted {
        let got = jobs.pair("get_work", [s("w"), m([])]);
        assert_eq!(got, tu([t("spec"), b(key), expected(key)]));
        let options = m([("status", i(4))]);
        assert_eq!(jobs.pair("update_work_unit", [s("spec"), b(key), options]), V::Bool(true));
        assert_eq!(jobs.data("spec", key), expected(key));
    }
    let finished = jobs.pair("get_work_units", [s("spec"), m([("state", i(4))])]);
    assert_eq!(finished.items().len(), keys.len());
}

/// 130. Values keep their types.
fn work_unit_value(jobs: &Jobs) {
    let values = [
        l([i(1), i(2)]),
        tu([i(1), i(2)]),
        l([tu([l([]), tu([])]), m([("a", tu([m([])]))])]),
        V::Uuid(*b"\x00\xff\x10 a uuid bytes"),
        b([0, 255, 128]),
        t("text"),
        t("Höß ∀ 𝄞"),
        i(0),
        i(-1),
        i(u64::MAX),
        i(i64::MIN),
        f(10.0),
        f(0.1),
        V::Bool(true),
        V::Bool(false),
        V::Null,
    ];
    jobs.set_spec("spec", []);
    let data = |value: &V| m([("value", value.clone()), ("in", l([value.clone()]))]);
    for (value, number) in values.iter().zip(0_u8..) {
        let key = [number];
        jobs.done("add_work_units", [s("spec"), l([tu([b(key), data(value)])])]);
        assert_eq!(jobs.data("spec", &key), data(value).sent(Strings::Text));
        let got = jobs.pair("get_work", [s("w"), m([])]);
        assert_eq!(got.items()[2], data(value).sent(Strings::Text));
    }
    // Keys of inner maps are any value, and byte strings among them become text.
    let inner = V::Map(vec![(i(1), t("one")), (b("two"), i(2))]);
    jobs.done("add_work_units", [s("spec"), l([tu([s("m"), m([("inner", inner)])])])]);
    let inner = V::Map(vec![(i(1), t("one")), (t("two"), i(2))]);
    assert_eq!(*jobs.data("spec", b"m").at("inner"), inner);
}

/// 131. What Python 2 imports by is bytes, and the name is text.
fn spec_byteification(jobs: &Jobs) {
    let more = [("module", s("mod")), ("run_function", s("run")), ("desc", s("what"))];
    jobs.set_spec("spec", more);
    let expected = m([
        ("name", t("spec")),
        ("module", b("mod")),
        ("run_function", b("run")),
        // Strings of a spec are text, however they came.
        ("desc", t("what")),
    ])
    .sent(Strings::Text);
    assert_eq!(jobs.call("get_work_spec", [s("spec")]), expected);
    let listed = jobs.call("list_work_specs", [m([])]);
    assert_eq!(listed.items()[0], l([expected]));
    // What is stored is as it was, so that others see no bytes.
    let stored = jobs.world.spec("spec").data.dict().unwrap();
    assert_eq!(stored["module"], model::Datum::Text("mod".to_owned()));
}
