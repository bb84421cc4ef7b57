//! The tables of what is kept beside the work.

use super::{bytes, int, text};
use crate::Table;

/// The audit log: a chain of rows for each namespace, and one for the whole installation, whose id
/// is 0. The body is the canonical content, and `hash` the SHA-256 of it.
pub static AUDIT: Table = Table {
    id: 29,
    name: "audit",
    key: &[int("namespace"), int("seq")],
    columns: &[bytes("hash")],
    indexes: &[],
};

/// Where each chain of the audit log ends; `name` is that of its namespace.
pub static AUDIT_HEAD: Table = Table {
    id: 30,
    name: "audit_head",
    key: &[int("namespace")],
    columns: &[text("name"), int("seq"), bytes("hash")],
    indexes: &[],
};
