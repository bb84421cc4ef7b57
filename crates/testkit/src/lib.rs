//! What tests stand on: a clock that stands still, every backend behind one fixture, a small
//! language for scripts, and a naive model of the queue that shares no code with the rules.
//!
//! The conformance suite is in `tests/main/conformance`; each of its cases runs on every
//! [`Fixture`].

#![expect(clippy::expect_used, clippy::panic, reason = "a script fails by panicking")]

mod checked;
mod clock;
pub mod cluster;
mod fixture;
pub mod identity;
mod keys;
pub mod oracle;
pub mod rig;
pub mod rpc;
mod world;

pub use clock::{ManualClock, START};
pub use fixture::Fixture;
pub use keys::keys;
pub use world::{
    World, absent, all, bytes, data, dict_data, in_status, minutes, name, named, names_of,
    new_unit, publishing, request, seconds, spec_name, text, worker_name,
};
