//! Journals that were kept from earlier builds, taken again by this one.
//!
//! `UPDATE=1` keeps those that are missing, and never changes one that is there: a journal that no
//! longer gives its states is of an instance that would break when its server is upgraded. Where
//! that is meant, raise `IR_VERSION` and delete the file.

use std::{fs, path::PathBuf};

use flow::run::{Program, Record, State, retake};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::{scenario, world::block_on};

/// A journal, with what its states were.
#[derive(Serialize, Deserialize)]
struct Kept {
    program: Json,
    journal: Vec<Json>,
    /// The digest of the state after each message.
    states: Vec<String>,
    last: Json,
}

/// Larger ones are not kept.
const BYTES_MAX: usize = 40_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn digest(state: &State) -> String {
    // Keys are in order, so that a digest does not depend on how maps are kept.
    let text = serde_json::to_value(state).unwrap().to_string();
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Takes a journal from its beginning, and gives the digests of all states, and the last.
fn take_again(program: &Program, journal: &[Record]) -> (Vec<String>, State) {
    let mut state = State::default();
    let mut digests = Vec::new();
    for record in journal {
        let (next, gaps) = block_on(retake(program, state, record));
        assert_eq!(gaps, 0, "the journal lacks something");
        digests.push(digest(&next));
        state = next;
    }
    (digests, state)
}

#[test]
fn kept_journals_give_the_states_that_they_gave() {
    let mut count = 0;
    for file in fs::read_dir(folder()).unwrap() {
        let file = file.unwrap().path();
        let name = file.display();
        let kept: Kept = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let program: Program = serde_json::from_value(kept.program).unwrap();
        let journal: Vec<Record> = kept
            .journal
            .into_iter()
            .map(|record| serde_json::from_value(record).unwrap())
            .collect();
        let (digests, last) = take_again(&program, &journal);
        assert_eq!(serde_json::to_value(&last).unwrap(), kept.last, "{name}");
        assert_eq!(digests, kept.states, "{name}");
        count += 1;
    }
    assert!(count >= 60, "{count}");
}

#[test]
fn each_scenario_has_a_kept_journal() {
    let update = std::env::var_os("UPDATE").is_some();
    for (name, scenario) in scenario::all() {
        let file = folder().join(format!("{}.json", slug(&name)));
        if file.exists() {
            continue;
        }
        let world = scenario::play(&name, &scenario);
        let (states, last) = take_again(&world.program, &world.records);
        assert_eq!(last, world.state, "{name}");
        let journal = world.records.iter().map(|record| serde_json::to_value(record).unwrap());
        let kept = Kept {
            program: serde_json::to_value(&world.program).unwrap(),
            journal: journal.collect(),
            states,
            last: serde_json::to_value(&world.state).unwrap(),
        };
        let text = serde_json::to_string(&kept).unwrap() + "\n";
        if text.len() <= BYTES_MAX {
            assert!(update, "run this test with UPDATE=1 to keep the journal of {name:?}");
            fs::write(&file, text).unwrap();
        }
    }
}

fn slug(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let words: String = name.chars().map(word).collect();
    let words: Vec<&str> = words.split_whitespace().take(9).collect();
    words.join("-")
}
