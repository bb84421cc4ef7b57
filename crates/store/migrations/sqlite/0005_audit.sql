-- The tables of the audit log; crates/store/src/tables.rs says what each is for.

CREATE TABLE audit (
    namespace INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, seq)
) STRICT;

CREATE TABLE audit_head (
    namespace INTEGER NOT NULL,
    name TEXT,
    seq INTEGER,
    hash BLOB,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace)
) STRICT;
