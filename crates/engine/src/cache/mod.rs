//! The coherent cache: answers by name from memory that are never staler than they may be.
//!
//! `core` is what is known, as a plain state machine; `cached` is the backend around it, which
//! loads and listens; `follow` hears what others commit.

mod cached;
mod core;
mod follow;
mod kinds;
mod lru;
mod meters;
mod scope;

pub use cached::{CacheOptions, Cached, Doubt};
pub use core::CacheCounts;
