//! Secrets: values that are sealed in the store under keys that are nowhere in it.
//!
//! A value is sealed in the transaction that sets it, and opened by whoever uses it in this
//! process. No command, query, event or row has it in the clear, nor a hash of it that could be
//! guessed: whatever is digested is digested under a key.

mod ask;
mod keys;
mod open;
mod rows;
mod rules;

pub(crate) use ask::answer;
pub use keys::{KEY_BYTES, Keys};
pub(crate) use open::{check, open};
pub(crate) use rows::SecretRow;
pub(crate) use rules::apply;
