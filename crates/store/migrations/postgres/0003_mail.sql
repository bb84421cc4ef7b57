-- The tables of mail; crates/store/src/tables.rs says what each is for.

CREATE TABLE mail_account (
    namespace bigint,
    name text COLLATE "C",
    body bytea NOT NULL,
    PRIMARY KEY (namespace, name)
) WITH (fillfactor = 70);

CREATE TABLE mail_part (
    namespace bigint,
    account text COLLATE "C",
    seq bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, account, seq)
);
