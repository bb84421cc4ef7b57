//! The audit log.

use model::AuditEntry;
use schemars::JsonSchema;
use serde::Serialize;

/// Rows of the audit log.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AuditPage {
    /// The rows, newest first; there may be fewer than were asked for.
    pub(crate) rows: Vec<AuditEntry>,
    /// What to ask for as `before` to go on; null at the end.
    pub(crate) before: Option<u64>,
}
