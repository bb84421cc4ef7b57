//! Locks on paths.

use testkit::{
    rpc::{Jobs, V, b, i, l, s, t, tu},
    seconds,
};

cases![
    basic,
    conflict,
    conflict2,
    locksome,
    unlock_sanity,
    readlock_not_nil,
    unlock_not_locked,
    locks_run_out_and_can_be_kept,
    labels_have_types,
    paths_of_one_call_do_not_conflict,
    a_label_is_dropped_with_all_below,
    keys_must_be_paths,
    locks_outlast_clear_and_connections,
];

fn path<const N: usize>(labels: [&str; N]) -> V {
    l(labels.map(s))
}

fn owners<const N: usize>(jobs: &Jobs, paths: [V; N]) -> V {
    jobs.call("readlock", [l(paths)])
}

/// 135. Locks are taken, read in any order, and given back.
fn basic(jobs: &Jobs) {
    let (one, two) = (path(["foo", "bar"]), path(["foo", "baz"]));
    jobs.done("lock", [s("id"), i(60), l([one.clone(), two.clone()])]);
    assert_eq!(owners(jobs, [one.clone()]), l([t("id")]));
    assert_eq!(owners(jobs, [two.clone(), one.clone()]), l([t("id"), t("id")]));
    jobs.done("unlock", [s("id"), l([two.clone(), one.clone()])]);
    assert_eq!(owners(jobs, [one, two]), l([V::Null, V::Null]));
}

/// 136. What is below a locked path cannot be locked.
fn conflict(jobs: &Jobs) {
    jobs.done("lock", [s("id"), i(60), l([path(["foo"])])]);
    let params = [s("other"), i(60), l([path(["foo", "bar"])])];
    jobs.refused("lock", params, V::Bool(false), "[foo bar] is not lockable");
    let params = [s("id"), i(60), l([path(["free"]), path(["foo"])])];
    jobs.refused("lock", params, V::Bool(false), "[foo] is not lockable");
    assert_eq!(owners(jobs, [path(["free"])]), l([V::Null]));
}

/// 137. What is above a locked path cannot be locked.
fn conflict2(jobs: &Jobs) {
    jobs.done("lock", [s("id"), i(60), l([path(["foo", "bar"])])]);
    let params = [s("id"), i(60), l([path(["foo"])])];
    jobs.refused("lock", params, V::Bool(false), "[foo] is not lockable");
    jobs.done("lock", [s("id"), i(60), l([path(["foobar"]), path(["foo", "b"])])]);
}

/// 138. Some locks are better than none: null stands for those that are taken.
fn locksome(jobs: &Jobs) {
    jobs.done("lock", [s("id"), i(60), l([path(["b"])])]);
    let tuple = tu([s("c")]);
    let asked = l([path(["a"]), path(["b"]), tuple.clone()]);
    let got = jobs.pair("locksome", [s("other"), i(60), asked]);
    assert_eq!(got, l([path(["a"]), V::Null, tuple]).sent(jobs.strings));
    let expected = l([t("other"), t("id"), t("other")]);
    assert_eq!(owners(jobs, [path(["a"]), path(["b"]), path(["c"])]), expected);
}

/// 139. Only its owner can give a lock back.
fn unlock_sanity(jobs: &Jobs) {
    jobs.done("lock", [s("id"), i(60), l([path(["a"]), path(["b"])])]);
    let params = [s("other"), l([path(["a"])])];
    jobs.refused("unlock", params, V::Bool(false), "[a] is held by id");
    let params = [s("id"), l([path(["a"]), path(["c"])])];
    jobs.refused("unlock", params, V::Bool(false), "[c] is not held");
    assert_eq!(owners(jobs, [path(["a"]), path(["b"])]), l([t("id"), t("id")]));
}

/// 140. Reading no locks gives an empty list.
fn readlock_not_nil(jobs: &Jobs) {
    assert_eq!(owners(jobs, []), l([]));
}

/// 141. A lock that is not held cannot be given back.
fn unlock_not_locked(jobs: &Jobs) {
    let params = [s("id"), l([path(["a"])])];
    jobs.refused("unlock", params, V::Bool(false), "[a] is not held");
}

fn locks_run_out_and_can_be_kept(jobs: &Jobs) {
    jobs.done("lock", [s("id"), i(0), l([path(["a"])])]);
    jobs.done("lock", [s("id"), i(5_000_000), l([path(["b"])])]);
    jobs.world.advance(seconds(60));
    assert_eq!(owners(jobs, [path(["a"])]), l([t("id")]));
    jobs.done("renew", [s("id"), i(30), l([path(["a"])])]);
    let params = [s("other"), i(30), l([path(["a"])])];
    jobs.refused("renew", params, V::Bool(false), "[a] is held by id");
    jobs.world.advance(seconds(30));
    assert_eq!(owners(jobs, [path(["a"])]), l([t("id")]));
    jobs.world.advance(seconds(1));
    assert_eq!(owners(jobs, [path(["a"]), path(["b"])]), l([V::Null, t("id")]));
    let params = [s("id"), i(30), l([path(["a"])])];
    jobs.refused("renew", params, V::Bool(false), "[a] is held by None");
    jobs.done("lock", [s("other"), i(30), l([path(["a", "below"])])]);
    // No lock is held for longer than that, however long was asked for.
    jobs.world.advance(seconds(1_000_000));
    assert_eq!(owners(jobs, [path(["b"])]), l([V::Null]));
}

fn labels_have_types(jobs: &Jobs) {
    jobs.done("lock", [s("id"), i(60), l([l([t("a")])])]);
    jobs.done("lock", [s("id"), i(60), l([l([b("a")])])]);
    jobs.done("lock", [s("id"), i(60), l([l([i(1)]), l([testkit::rpc::f(1.0)])])]);
    // Lists and tuples name the same path.
    let params = [s("id"), i(60), l([tu([t("a")])])];
    jobs.refused("lock", params, V::Bool(false), "[a] is not lockable");
}

fn paths_of_one_call_do_not_conflict(jobs: &Jobs) {
    jobs.done("lock", [s("id"), i(60), l([path(["a"]), path(["a", "b"])])]);
    assert_eq!(owners(jobs, [path(["a"]), path(["a", "b"])]), l([t("id"), t("id")]));
}

fn a_label_is_dropped_with_all_below(jobs: &Jobs) {
    let paths = [path(["a"]), path(["a", "b"]), path(["ab"])];
    jobs.done("lock", [s("id"), i(60), l(paths.clone())]);
    assert_eq!(jobs.call("delete_namespace", [s("a")]), i(0));
    assert_eq!(owners(jobs, paths), l([V::Null, V::Null, t("id")]));
}

fn keys_must_be_paths(jobs: &Jobs) {
    let undecodable = Err("cannot decode key paths".to_owned());
    assert_eq!(jobs.try_call("readlock", [s("a")]), undecodable);
    assert_eq!(jobs.try_call("lock", [s("id"), i(1), l([s("a")])]), undecodable);
    assert_eq!(jobs.try_call("unlock", [s("id"), V::Null]), undecodable);
    let long = l([l([t(&"x".repeat(2_000))])]);
    assert!(jobs.try_call("readlock", [long]).unwrap_err().contains("lock path in bytes"));
}

fn locks_outlast_clear_and_connections(jobs: &Jobs) {
    jobs.done("lock", [s("id"), i(60), l([path(["a"])])]);
    jobs.call("clear", []);
    let mut other = testkit::rpc::Caller::open(jobs.address, jobs.strings);
    assert_eq!(other.call("readlock", [l([path(["a"])])]), Ok(l([t("id")])));
}
