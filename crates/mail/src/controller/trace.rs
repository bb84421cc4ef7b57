//! Tells of every operation in the log.

use std::future;

use model::{BoxFuture, Result};

use super::{Control, Operation};

/// Writes a line into the log before each operation.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What the store is called in the log.
    pub store: String,
}

impl Control for Trace {
    fn before(&self, operation: Operation) -> BoxFuture<'_, Result<()>> {
        tracing::debug!(store = %self.store, %operation, "mail");
        Box::pin(future::ready(Ok(())))
    }
}
