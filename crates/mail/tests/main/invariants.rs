//! What must always hold, each with the tests that would fail if it did not.

use std::{fs, path::Path};

/// Each invariant, and its tests by file and name.
const INVARIANTS: [(&str, &[(&str, &str)]); 14] = [
    (
        "a round without changes of others leaves both sides the same",
        &[
            ("crashes", "random_histories_converge"),
            ("triples", "random_triples_end_equal_and_lose_and_double_nothing"),
        ],
    ),
    (
        "a second round changes nothing",
        &[
            ("crashes", "random_histories_converge"),
            ("rounds", "new_messages_go_to_the_other_side_with_their_flags"),
            ("triples", "random_triples_end_equal_and_lose_and_double_nothing"),
        ],
    ),
    (
        "no message is lost that no user removed",
        &[
            ("crashes", "a_cut_after_any_effect_loses_and_doubles_nothing"),
            ("dovecot_rigs", "kills_lose_nothing_and_double_nothing"),
        ],
    ),
    (
        "no message is doubled, whatever is cut off and goes on",
        &[
            ("crashes", "a_cut_after_any_effect_loses_and_doubles_nothing"),
            ("dovecot_rigs", "cut_connections_lose_nothing_and_double_nothing"),
            ("dovecot_accidents", "a_lost_state_doubles_nothing"),
        ],
    ),
    (
        "what a user removed does not come back",
        &[
            ("crashes", "random_histories_converge"),
            ("rounds", "what_is_removed_before_its_key_is_told_stays_removed"),
        ],
    ),
    (
        "the state says nothing that is not so and durable",
        &[
            ("crashes", "a_cut_after_any_effect_loses_and_doubles_nothing"),
            ("maildir", "a_message_that_is_cut_off_leaves_no_trace"),
        ],
    ),
    (
        "flags merge the same way whoever comes first",
        &[("flags", "changes_of_one_base_merge_alike_from_both_sides")],
    ),
    (
        "no more is removed than the guard allows, and nothing for what is not there",
        &[
            ("rounds", "an_emptied_side_removes_nothing_until_it_is_approved"),
            ("rounds", "a_side_without_folders_or_with_another_identity_is_not_believed"),
            ("dovecot_accidents", "an_emptied_folder_does_not_empty_the_server"),
            ("dovecot_accidents", "a_store_that_is_not_mounted_is_not_empty"),
        ],
    ),
    (
        "what may only be read is not changed",
        &[
            ("dovecot", "a_side_that_is_read_only_changes_nothing"),
            ("maildir", "a_side_that_is_read_only_is_not_even_marked"),
            ("rounds", "a_plan_changes_nothing_and_can_be_applied_later"),
        ],
    ),
    (
        "what changes during a round is seen by the next",
        &[("crashes", "what_users_do_during_a_round_is_neither_lost_nor_undone")],
    ),
    (
        "bytes stay as they are",
        &[
            ("dovecot", "bytes_are_preserved_both_ways"),
            ("maildir", "bytes_are_preserved_whatever_they_are"),
        ],
    ),
    (
        "memory has bounds",
        &[
            ("hostile", "a_message_of_two_gigabytes_does_not_raise_memory"),
            ("hostile", "bombs_do_not_fill_the_memory"),
            ("hostile", "what_is_compressed_is_held_to_the_same_limits"),
        ],
    ),
    (
        "each change is told once",
        &[
            ("rounds", "events_tell_each_change_once"),
            ("crashes", "whatever_is_cut_off_events_tell_all_that_changed"),
        ],
    ),
    (
        "names of folders lead there and back",
        &[
            ("../../src/controller/names", "names_go_both_ways_or_not_at_all"),
            ("../../src/controller/transcode", "every_name_comes_back"),
        ],
    ),
];

#[test]
fn every_invariant_has_tests() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/main");
    for (invariant, tests) in INVARIANTS {
        assert!(!tests.is_empty(), "{invariant}");
        for (file, test) in tests {
            let text = fs::read_to_string(place.join(format!("{file}.rs"))).unwrap();
            assert!(text.contains(&format!("fn {test}(")), "{invariant}: no {test} in {file}");
        }
    }
}
