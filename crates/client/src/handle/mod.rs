//! Handles: a backend and names, and nothing else. Each call is one command or query.

mod attempt;
mod blob;
mod lockstep;
mod spec;
mod unit;
mod worker;

pub use attempt::AttemptHandle;
pub use blob::BlobUpload;
pub use lockstep::Lockstep;
pub use spec::SpecHandle;
pub use unit::UnitHandle;
pub use worker::WorkerHandle;
