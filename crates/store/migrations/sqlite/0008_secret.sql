-- The table of secrets; crates/store/src/tables/beside.rs says what it is for.

CREATE TABLE secret (
    namespace INTEGER NOT NULL,
    name TEXT NOT NULL,
    sealed_by BLOB,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX secret_sealed_by ON secret (namespace, sealed_by) WHERE sealed_by IS NOT NULL;
