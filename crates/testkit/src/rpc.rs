//! CBOR-RPC by hand: bytes put together from the description of the protocol, by none of the code
//! that is under test, and a client that checks the form of every answer.

mod caller;
mod hand;
mod jobs;
mod mutated;

pub use caller::Caller;
pub use hand::{Strings, V, b, f, i, l, m, s, t, tu};
pub use jobs::{Jobs, listen};
pub use mutated::{MutatedReport, mutated, samples};
