//! The order of ready units.

use model::{UnitChange, UnitMeta};
use testkit::{World, named, new_unit};

cases![ready_order, ready_priority, ready_deletion, ready_reprioritized];

/// 142. One; two in order; two in reverse order come out by name.
fn ready_order(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["unit"]);
    assert_eq!(w.claim_names(9), ["unit"]);
    w.add("spec", ["first"]);
    w.add("spec", ["second"]);
    assert_eq!(w.claim_names(9), ["first", "second"]);
    w.add("spec", ["y"]);
    w.add("spec", ["x"]);
    assert_eq!(w.claim_names(9), ["x", "y"]);
}

/// 143. Priority beats name, below zero too.
fn ready_priority(w: &World) {
    w.plain_spec("spec");
    let priorities = [("a", 0.0), ("b", -1.5), ("c", 1e300), ("d", 1.0), ("e", 1.5), ("f", -1e300)];
    for (unit, priority) in priorities {
        let meta = UnitMeta { priority, not_before: None };
        w.add_unit("spec", model::NewUnit { meta, ..new_unit(unit) });
    }
    assert_eq!(w.claim_names(9), ["c", "e", "d", "a", "b", "f"]);
}

/// 144. Deleting the only one, the first of three, and one that is not there.
fn ready_deletion(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["only"]);
    assert_eq!(w.delete("spec", named(["only"])), 1);
    w.no_work();
    w.add("spec", ["a", "b", "c"]);
    assert_eq!(w.delete("spec", named(["a"])), 1);
    assert_eq!(w.delete("spec", named(["x"])), 0);
    assert_eq!(w.claim_names(9), ["b", "c"]);
}

/// 145. Changing the priority of the first, down, and of the middle one, up.
fn ready_reprioritized(w: &World) {
    w.plain_spec("spec");
    w.add("spec", ["a", "b", "c"]);
    w.set_units("spec", named(["a"]), UnitChange::Priority(-1.0));
    assert_eq!(w.claim_names(9), ["b", "c", "a"]);
    w.delete("spec", testkit::all());
    w.add("spec", ["a", "b", "c"]);
    w.set_units("spec", named(["b"]), UnitChange::Priority(100.0));
    assert_eq!(w.claim_names(9), ["b", "a", "c"]);
}
