-- The tables of blobs; crates/store/src/tables/beside.rs says what each is for.

CREATE TABLE blob (
    namespace INTEGER NOT NULL,
    upload INTEGER NOT NULL,
    hash BLOB,
    due INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, upload)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_hash ON blob (namespace, hash) WHERE hash IS NOT NULL;
CREATE INDEX blob_due ON blob (due) WHERE due IS NOT NULL;

CREATE TABLE blob_part (
    namespace INTEGER NOT NULL,
    upload INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, upload, seq)
) STRICT;

CREATE TABLE blob_ref (
    namespace INTEGER NOT NULL,
    hash BLOB NOT NULL,
    source INTEGER NOT NULL,
    place BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, hash, source, place)
) STRICT, WITHOUT ROWID;
