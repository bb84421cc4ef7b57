//! The ancestor's own tests of its CBOR-RPC interface, on every backend, with text and with bytes
//! wherever a client may send either.
//!
//! A number at the start of a line of a case's comment is its line in the conformance list of the
//! design.

use testkit::{
    Fixture,
    rpc::{Jobs, Strings},
};

/// Makes two tests of each case on each backend. A case that is not listed is unused code.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        cases!(@ memory: $($case),+);
        cases!(@ sqlite: $($case),+);
        cases!(@ postgres: $($case),+);
        cases!(@ cached_sqlite: $($case),+);
        cases!(@ cached_postgres: $($case),+);
    };
    (@ $backend:ident: $($case:ident),+) => {
        mod $backend {
            $(
                mod $case {
                    use ::testkit::{Fixture, rpc::Strings};

                    #[test]
                    fn text() {
                        $crate::rpc::play(Fixture::$backend(), Strings::Text, super::super::$case);
                    }

                    #[test]
                    fn bytes() {
                        $crate::rpc::play(Fixture::$backend(), Strings::Bytes, super::super::$case);
                    }
                }
            )+
        }
    };
}

mod access;
mod defects;
mod flow;
mod jobs;
mod listing;
mod locks;
mod mutated;
mod values;
mod wire;

/// Plays one case on a server of its own.
fn play(fixture: Fixture, strings: Strings, script: fn(&Jobs)) {
    script(&Jobs::new(fixture, strings));
}

/// Every numbered line of the list has a case, and every file is part of the suite.
#[test]
fn the_list_is_covered() {
    crate::covered::check("rpc", include_str!("mod.rs"), 96..=141);
}
