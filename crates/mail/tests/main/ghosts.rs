//! Second copies of uploads that were made again: they go, and nothing else does.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use mail::{
    Content, Delta, Flags, Identified, Identity, Key, Pair, Seen, Side, Sides, Snapshot,
    plan::{Case, Ghost, Guard, Policy, Step, plan},
};

use crate::world::folder;

const LIKE: Identity = Identity([1; 16]);
const CONTENT: Content = Content([7; 16]);
const SECOND: Key = Key::Uid(9);

fn first() -> Pair {
    let keys = Sides { left: Key::Name("first".into()), right: Key::Uid(3) };
    let flags = Flags::default();
    Pair { id: 1, keys, stamps: Sides::default(), flags, identity: Some(LIKE) }
}

/// A folder in which an upload was made again, and to which a message with the same bytes came.
fn case(pairs: Vec<Pair>, gone: Vec<usize>) -> Case {
    let seen = Seen { key: SECOND, flags: Flags::default(), size: None, date: None, stamp: None };
    let right = Delta { new: vec![seen], gone, ..Delta::default() };
    let known = Identified { key: SECOND, size: 1, identity: LIKE };
    Case {
        folder: folder("INBOX"),
        snapshot: Arc::new(Snapshot::new(pairs)),
        deltas: Sides { left: Delta::default(), right },
        identities: Sides { left: HashMap::new(), right: HashMap::from([(SECOND, known)]) },
        contents: Sides { left: HashMap::new(), right: HashMap::from([(SECOND, CONTENT)]) },
        ghosts: vec![Ghost { side: Side::Right, identity: LIKE, content: CONTENT }],
    }
}

fn steps(case: &Case) -> Vec<Step> {
    let policy = Policy {
        writable: Sides { left: true, right: true },
        keep_flagged: false,
        guard: Guard { count: usize::MAX, ..Guard::default() },
        known: 1,
        approved: HashSet::new(),
    };
    plan(&[case], &policy).folders.remove(0).steps
}

#[test]
fn a_second_copy_is_removed_where_the_first_stands() {
    let steps = steps(&case(vec![first()], Vec::new()));
    assert!(matches!(&steps[..], [Step::Expel { side: Side::Right, key: SECOND }]), "{steps:?}");
}

#[test]
fn what_comes_back_after_it_went_elsewhere_is_no_second_copy() {
    // Somebody moved the first copy away, and then back, so it has another key now.
    let steps = steps(&case(Vec::new(), Vec::new()));
    assert!(matches!(&steps[..], [Step::Copy { to: Side::Left, key: SECOND, .. }]), "{steps:?}");
}

#[test]
fn what_takes_the_place_of_the_first_copy_is_no_second_copy() {
    let steps = steps(&case(vec![first()], vec![0]));
    assert!(!steps.iter().any(|step| matches!(step, Step::Expel { .. })), "{steps:?}");
}
