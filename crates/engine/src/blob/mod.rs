//! Blobs: content that is too large for data, kept once for each namespace under its SHA-256.
//!
//! Content comes in parts, each in a transaction of its own, and is a blob from the one on in which
//! its hash is computed. So a crash between two parts leaves an upload that nobody can read, and
//! that is collected like a blob to which nothing refers.

mod ask;
mod collect;
mod refs;
mod rows;
mod rules;
mod verify;

pub(crate) use ask::answer;
pub(crate) use collect::collect;
pub(crate) use refs::Referring;
pub(crate) use rules::apply;
pub(crate) use verify::Parts;
