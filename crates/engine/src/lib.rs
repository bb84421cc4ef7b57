//! One door over a store: applies writes, answers reads, does what falls due, and lets claims wait.

mod admin;
mod audit;
mod blob;
mod cache;
mod clock;
mod due;
mod engine;
pub mod expr;
mod node;
mod peer;
mod pulse;
mod read;
mod request;
mod secret;
mod shared;
mod trace;
mod user;
mod verify;
mod waiters;
mod workflow;
mod write;

pub use audit::{Followed, verify_audit};
pub use cache::{CacheCounts, CacheOptions, Cached, Doubt};
pub use clock::{Clock, SystemClock, clock_of};
pub use engine::Engine;
pub use node::Applied;
pub use peer::{Peer, PeerAddress};
pub use secret::{KEY_BYTES, Keys};
pub use shared::SecretOf;
pub use verify::verify;
pub use workflow::{CommitStage, Extensions, Order, PrepareStage, Proposal, SettleStage};
