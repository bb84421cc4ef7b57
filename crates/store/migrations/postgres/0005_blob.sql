-- The tables of blobs; crates/store/src/tables/beside.rs says what each is for.

CREATE TABLE blob (
    namespace bigint,
    upload bigint,
    hash bytea,
    due bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, upload)
) WITH (fillfactor = 70);
CREATE INDEX blob_hash ON blob (namespace, hash, upload) WHERE hash IS NOT NULL;
CREATE INDEX blob_due ON blob (due, namespace, upload) WHERE due IS NOT NULL;

CREATE TABLE blob_part (
    namespace bigint,
    upload bigint,
    seq bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, upload, seq)
);
ALTER TABLE blob_part ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE blob_ref (
    namespace bigint,
    hash bytea,
    source bigint,
    place bytea,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, hash, source, place)
);
