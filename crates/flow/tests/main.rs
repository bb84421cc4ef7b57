//! Tests of documents: the examples, what is wrong with broken ones, and mutations of all.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod book;
mod broken;
mod canonical;
mod cron;
mod examples;
mod mutations;
mod run;
mod schema;
mod slots;
