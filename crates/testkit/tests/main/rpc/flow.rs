//! Output that becomes units of the next spec.

use testkit::rpc::{Jobs, V, i, l, m, s, tu};

cases![simple_flow, simple_output, simple_output_bytes, output_with_priority];

fn two(jobs: &Jobs) {
    jobs.set_spec("one", [("then", s("two"))]);
    jobs.set_spec("two", []);
    jobs.add("one", ["u"]);
    assert_eq!(jobs.work("w").as_deref(), Some("u"));
}

fn finish(jobs: &Jobs, spec: &str, key: &str, output: V) {
    let options = m([("status", i(4)), ("data", m([("output", output)]))]);
    assert_eq!(jobs.pair("update_work_unit", [s(spec), s(key), options]), V::Bool(true));
}

/// 114. A map makes units with data; without a next spec, output means nothing.
fn simple_flow(jobs: &Jobs) {
    two(jobs);
    finish(jobs, "one", "u", m([("v", m([("x", i(1))]))]));
    assert_eq!(jobs.data("two", b"v"), m([("x", i(1))]).sent(jobs.strings));
    assert_eq!(jobs.work("w").as_deref(), Some("v"));
    finish(jobs, "two", "v", m([("z", m([]))]));
    assert_eq!((jobs.keys("one", []), jobs.keys("two", [])), (vec!["u".into()], vec!["v".into()]));
    assert_eq!(jobs.work("w"), None);
}

/// 115. A list of names makes units without data.
fn simple_output(jobs: &Jobs) {
    two(jobs);
    finish(jobs, "one", "u", l([s("a"), s("b")]));
    assert_eq!(jobs.keys("two", []), ["a", "b"]);
    assert_eq!(jobs.data("two", b"a"), m([]));
}

/// 116. The names may be bytes.
fn simple_output_bytes(jobs: &Jobs) {
    two(jobs);
    finish(jobs, "one", "u", l([V::Bytes(b"a".to_vec()), V::Bytes(b"b".to_vec())]));
    assert_eq!(jobs.keys("two", []), ["a", "b"]);
}

fn output_with_priority(jobs: &Jobs) {
    two(jobs);
    let output = l([s("a"), tu([s("b"), m([]), m([("priority", i(5))])])]);
    finish(jobs, "one", "u", output);
    assert_eq!(jobs.work("w").as_deref(), Some("b"));
}
