-- The tables of users; crates/store/src/tables/beside.rs says what each is for.

CREATE TABLE person (
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    hash BLOB NOT NULL,
    holder TEXT,
    due INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_holder ON session (holder) WHERE holder IS NOT NULL;
CREATE INDEX session_due ON session (due) WHERE due IS NOT NULL;
