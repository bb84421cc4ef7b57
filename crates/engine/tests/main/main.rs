//! The engine's own tests; what every backend must do is in the conformance suite.

mod stores;
mod waiting;
