//! Running what was submitted, whatever it does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use model::{Error, Result};

use crate::{Job, Tx};

/// Runs a job; a panic in it is an error like others, because one bad job must not end the store.
pub(crate) fn run(job: &mut dyn Job, tx: &mut dyn Tx) -> Result<()> {
    // The caller undoes what the job did to the transaction, and the job itself is not run again.
    catch_unwind(AssertUnwindSafe(|| job.run(tx))).unwrap_or_else(|panic| {
        let message = (panic.downcast_ref::<&str>().copied())
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(Error::Internal(format!("a job panicked: {}", message.unwrap_or("no message"))))
    })
}
