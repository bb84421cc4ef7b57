-- The tables of the audit log; crates/store/src/tables.rs says what each is for.

CREATE TABLE audit (
    namespace bigint,
    seq bigint,
    hash bytea,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, seq)
);

CREATE TABLE audit_head (
    namespace bigint PRIMARY KEY,
    name text COLLATE "C",
    seq bigint,
    hash bytea,
    body bytea NOT NULL
) WITH (fillfactor = 70);

-- Whoever adds to the chain of the whole installation locks this row, so it has to be there from
-- the start.
INSERT INTO counter VALUES ('audit', 0, '');
