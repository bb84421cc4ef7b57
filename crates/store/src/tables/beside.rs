//! The tables of what is kept beside the work.

use super::{bytes, int, on_disk, text};
use crate::Table;

/// Mail accounts that are kept in step as work: how each stands, and where its state begins.
pub static MAIL_ACCOUNT: Table = Table {
    id: 27,
    name: "mail_account",
    key: &[int("namespace"), text("name")],
    columns: &[],
    indexes: &[],
};

/// The agreed states of mail accounts, as the parts that rounds have written.
pub static MAIL_PART: Table = Table {
    id: 28,
    name: "mail_part",
    key: &[int("namespace"), text("account"), int("seq")],
    columns: &[],
    indexes: &[],
};

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

/// Content that was sent, by the id of its upload; a blob once `hash` is there. `due` is when to
/// look whether it is still wanted. The upload 0 has the sum of all others.
pub static BLOB: Table = Table {
    id: 31,
    name: "blob",
    key: &[int("namespace"), int("upload")],
    columns: &[bytes("hash"), int("due")],
    indexes: &[on_disk("blob_hash", &[0, 2]), on_disk("blob_due", &[3])],
};
/// Index of [`BLOB`]: namespace, hash.
pub const BLOB_HASH: usize = 0;
/// Index of [`BLOB`]: due.
pub const BLOB_DUE: usize = 1;

/// The content of blobs in parts, each as it is.
pub static BLOB_PART: Table = Table {
    id: 32,
    name: "blob_part",
    key: &[int("namespace"), int("upload"), int("seq")],
    columns: &[],
    indexes: &[],
};

/// Rows that referred to a blob when they were written: `source` is the table, `place` the rest of
/// the key.
pub static BLOB_REF: Table = Table {
    id: 33,
    name: "blob_ref",
    key: &[int("namespace"), bytes("hash"), int("source"), bytes("place")],
    columns: &[],
    indexes: &[],
};

/// Users by name.
pub static USER: Table =
    Table { id: 34, name: "person", key: &[text("name")], columns: &[], indexes: &[] };

/// Browsers that are signed in, by the SHA-256 of what their cookies hold. `holder` says whose it
/// is, and `due` when it is over in any case.
pub static SESSION: Table = Table {
    id: 35,
    name: "session",
    key: &[bytes("hash")],
    columns: &[text("holder"), int("due")],
    indexes: &[on_disk("session_holder", &[1]), on_disk("session_due", &[2])],
};
/// Index of [`SESSION`]: holder.
pub const SESSION_HOLDER: usize = 0;
/// Index of [`SESSION`]: due.
pub const SESSION_DUE: usize = 1;

/// Secrets, sealed: `sealed_by` is the id of the key, and the body has what was sealed with the
/// time and revision of its value. No key is in the database.
pub static SECRET: Table = Table {
    id: 36,
    name: "secret",
    key: &[int("namespace"), text("name")],
    columns: &[bytes("sealed_by")],
    indexes: &[on_disk("secret_sealed_by", &[0, 2])],
};
/// Index of [`SECRET`]: namespace, sealed_by.
pub const SECRET_SEALED_BY: usize = 0;
