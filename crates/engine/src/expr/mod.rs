//! Who computes expressions: a pool of child processes, each with limits of its own.
//!
//! A child that exceeds its limits ends, and with it the ask that it was at, which gets a failure.
//! All others get their answers, from another child if need be.

mod child;
mod pool;

pub use pool::{Pool, PoolOptions};
