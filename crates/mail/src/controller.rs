//! Controllers: what stands between a driver and the engine.
//!
//! Most have the driver's own interface and stand over any other, in a chain. What hides
//! messages or folders stands above the state controller, so that what is hidden is not taken for
//! removed; that one looks at deltas instead of listings.

mod hide;
mod layer;
mod names;
mod rate;
mod read_only;
mod trace;
mod transcode;

pub use hide::{Glob, Hide};
pub use layer::{Control, Controlled, Operation};
pub use names::{Names, Rule};
pub use rate::Rate;
pub use read_only::ReadOnly;
pub use trace::Trace;
pub use transcode::Utf7;
