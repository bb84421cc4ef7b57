-- The tables of mail; crates/store/src/tables.rs says what each is for.

CREATE TABLE mail_account (
    namespace INTEGER NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE mail_part (
    namespace INTEGER NOT NULL,
    account TEXT NOT NULL,
    seq INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, account, seq)
) STRICT;
