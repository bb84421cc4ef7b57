//! The engine's own tests; what every backend must do is in the conformance suite.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod audit;
mod blob;
mod cache;
mod nodes;
mod publish;
mod secret;
mod stores;
mod waiting;
