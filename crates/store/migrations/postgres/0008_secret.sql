-- The table of secrets; crates/store/src/tables/beside.rs says what it is for.

CREATE TABLE secret (
    namespace bigint,
    name text COLLATE "C",
    sealed_by bytea,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, name)
);
CREATE INDEX secret_sealed_by ON secret (namespace, sealed_by, name)
    WHERE sealed_by IS NOT NULL;
