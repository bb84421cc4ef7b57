//! The conformance suite: scripts of commands with the replies they must get, on every backend.
//!
//! A number at the start of a case's comment is its line in the conformance list of the design.

use std::sync::Arc;

use testkit::{Fixture, World};

/// Makes one test of each case on each backend. A case that is not listed is unused code.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        cases!(@ memory: $($case),+);
        cases!(@ sqlite: $($case),+);
        cases!(@ postgres: $($case),+);
        cases!(@ remote_memory: $($case),+);
        cases!(@ remote_sqlite: $($case),+);
        cases!(@ cached_memory: $($case),+);
        cases!(@ cached_sqlite: $($case),+);
        cases!(@ cached_postgres: $($case),+);
        cases!(@ remote_cached_sqlite: $($case),+);
        cases!(@ cached_remote_sqlite: $($case),+);
    };
    (@ $backend:ident: $($case:ident),+) => {
        mod $backend {
            $(
                #[test]
                fn $case() {
                    let fixture = ::testkit::Fixture::$backend();
                    $crate::conformance::play(fixture, stringify!($case), super::$case);
                }
            )+
        }
    };
}

mod attempts;
mod audit;
mod blobs;
mod chaining;
mod concurrency;
mod data;
mod decisions;
mod defects;
mod definitions;
mod events;
mod limits;
mod namespaces;
mod ready;
mod scheduler;
mod secrets;
mod specs;
mod status;
mod summary;
mod units;
mod users;
mod workers;

/// Plays one case in a namespace of its own.
fn play(fixture: Fixture, case: &str, script: fn(&World)) {
    script(&World::new(Arc::new(fixture), case));
}

/// Every numbered line of the list has a case, and every file is part of the suite.
#[test]
fn the_list_is_covered() {
    let lines = (1..=60).chain(71..=91).chain(142..=146);
    crate::covered::check("conformance", include_str!("mod.rs"), lines);
}
