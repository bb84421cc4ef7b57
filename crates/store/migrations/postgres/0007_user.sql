-- The tables of users; crates/store/src/tables/beside.rs says what each is for.

CREATE TABLE person (
    name text COLLATE "C" PRIMARY KEY,
    body bytea NOT NULL
);

CREATE TABLE session (
    hash bytea PRIMARY KEY,
    holder text COLLATE "C",
    due bigint,
    body bytea NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX session_holder ON session (holder, hash) WHERE holder IS NOT NULL;
CREATE INDEX session_due ON session (due, hash) WHERE due IS NOT NULL;

-- Whoever changes users locks this row, so it has to be there from the start.
INSERT INTO counter VALUES ('user', 0, '');
