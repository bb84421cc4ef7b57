//! Lets nothing change a store.

use std::future;

use model::{BoxFuture, Result};

use super::{Control, Operation};
use crate::driver::{Capabilities, refuse_change};

/// Refuses whatever would change a store. Drivers enforce it as well.
#[derive(Clone, Copy, Debug)]
pub struct ReadOnly;

impl Control for ReadOnly {
    fn before(&self, operation: Operation) -> BoxFuture<'_, Result<()>> {
        let refused = if operation.is_change() { refuse_change() } else { Ok(()) };
        Box::pin(future::ready(refused))
    }

    fn capabilities(&self, of_store: Capabilities) -> Capabilities {
        Capabilities { read_only: true, ..of_store }
    }
}
