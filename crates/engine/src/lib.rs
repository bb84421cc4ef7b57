//! One door over a store: applies writes, answers reads, does what falls due, and lets claims wait.

mod admin;
mod clock;
mod due;
mod engine;
mod read;
mod request;
mod waiters;
mod write;

pub use clock::{Clock, SystemClock};
pub use engine::Engine;
