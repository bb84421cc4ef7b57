//! The algebra of flags: what both sides made of one base, whatever the order.

use mail::{FlagChange, Flags, Keyword, System};
use proptest::prelude::*;

fn some_flags() -> impl Strategy<Value = Flags> {
    let system = prop::sample::subsequence(System::ALL.to_vec(), 0..=5);
    let keywords = prop::sample::subsequence(vec!["a", "b", "work", "$Forwarded"], 0..=4);
    (system, keywords).prop_map(|(system, keywords)| {
        Flags::new(system, keywords.into_iter().map(|name| Keyword::new(name).unwrap()))
    })
}

proptest! {
    #[test]
    fn a_change_leads_from_one_set_to_the_other(old in some_flags(), new in some_flags()) {
        let change = FlagChange::between(&old, &new);
        prop_assert_eq!(&change.of(&old), &new);
        prop_assert_eq!(&change.of(&new), &new);
        prop_assert_eq!(change.reversed().of(&new), old);
    }

    #[test]
    fn changes_of_one_base_merge_alike_from_both_sides(
        base in some_flags(),
        left in some_flags(),
        right in some_flags(),
    ) {
        let ours = FlagChange::between(&base, &left);
        let theirs = FlagChange::between(&base, &right);
        let merged = ours.and(&theirs).of(&base);
        prop_assert_eq!(&merged, &theirs.and(&ours).of(&base));
        // What either side still lacks brings it there.
        prop_assert_eq!(&theirs.beyond(&ours).of(&left), &merged);
        prop_assert_eq!(&ours.beyond(&theirs).of(&right), &merged);
        // The base with everything that was added and without everything that was removed.
        let added = left.minus(&base).union(&right.minus(&base));
        let removed = base.minus(&left).union(&base.minus(&right));
        prop_assert_eq!(&merged, &base.union(&added).minus(&removed));
        // Merging again changes nothing.
        let again = FlagChange::between(&merged, &merged);
        prop_assert!(again.is_empty());
    }
}

#[test]
fn keywords_that_differ_in_case_are_the_same() {
    let flags = Flags::from_names(["\\seen", "Work", "work", "\\Recent", "bad word"]);
    assert_eq!(flags.names().collect::<Vec<_>>(), ["\\Seen", "Work"]);
    assert_eq!(flags, Flags::from_names(["WORK", "\\SEEN"]));
}
