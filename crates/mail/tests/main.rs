//! Tests of mail: sync between model stores and real ones.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "main/acts.rs"]
mod acts;
#[path = "main/crashes.rs"]
mod crashes;
#[path = "main/dovecot.rs"]
mod dovecot;
#[path = "main/dovecot_accidents.rs"]
mod dovecot_accidents;
#[path = "main/dovecot_rigs.rs"]
mod dovecot_rigs;
#[path = "main/flags.rs"]
mod flags;
#[path = "main/ghosts.rs"]
mod ghosts;
#[path = "main/hostile.rs"]
mod hostile;
#[path = "main/invariants.rs"]
mod invariants;
#[path = "main/maildir.rs"]
mod maildir;
#[path = "main/rounds.rs"]
mod rounds;
#[path = "main/support.rs"]
mod support;
#[path = "main/triples.rs"]
mod triples;
#[path = "main/world.rs"]
mod world;
