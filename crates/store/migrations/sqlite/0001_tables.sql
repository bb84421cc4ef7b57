-- The tables of crates/store/src/tables.rs. Value columns may be null, and a row with a null in an
-- indexed column is not in that index. Indexes that are kept in memory are not here.

CREATE TABLE namespace (
    name TEXT NOT NULL,
    id INTEGER,
    live INTEGER,
    revision INTEGER,
    last_id INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
CREATE INDEX namespace_live ON namespace (live) WHERE live IS NOT NULL;

CREATE TABLE spec (
    namespace INTEGER NOT NULL,
    name TEXT NOT NULL,
    id INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX spec_id ON spec (namespace, id) WHERE id IS NOT NULL;

CREATE TABLE spec_data (
    namespace INTEGER NOT NULL,
    spec INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, spec)
) STRICT, WITHOUT ROWID;

CREATE TABLE unit (
    namespace INTEGER NOT NULL,
    spec INTEGER NOT NULL,
    name BLOB NOT NULL,
    id INTEGER,
    state INTEGER,
    ready REAL,
    due INTEGER,
    since INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, spec, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX unit_state ON unit (namespace, spec, state, name) WHERE state IS NOT NULL;
CREATE INDEX unit_since ON unit (namespace, spec, since) WHERE since IS NOT NULL;

CREATE TABLE attempt (
    namespace INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    id INTEGER NOT NULL,
    worker INTEGER,
    busy INTEGER,
    due INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, unit, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_worker ON attempt (namespace, worker, id) WHERE worker IS NOT NULL;
CREATE INDEX attempt_busy ON attempt (namespace, busy, id) WHERE busy IS NOT NULL;

CREATE TABLE worker (
    namespace INTEGER NOT NULL,
    name TEXT NOT NULL,
    id INTEGER,
    parent INTEGER,
    due INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX worker_id ON worker (namespace, id) WHERE id IS NOT NULL;
CREATE INDEX worker_parent ON worker (namespace, parent, name) WHERE parent IS NOT NULL;

CREATE TABLE history (
    namespace INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    time INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
    namespace INTEGER NOT NULL,
    id TEXT NOT NULL,
    due INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_due ON request (due) WHERE due IS NOT NULL;

CREATE TABLE rubble (
    namespace INTEGER NOT NULL,
    spec INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, spec)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    hash BLOB NOT NULL,
    id TEXT,
    body BLOB NOT NULL,
    PRIMARY KEY (hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_id ON token (id) WHERE id IS NOT NULL;

CREATE TABLE counter (
    name TEXT NOT NULL,
    value INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;

-- For people with a SQL shell; the program does not use it.
CREATE VIEW unit_status AS
SELECT
    namespace.name AS namespace,
    spec.name AS spec,
    CAST(unit.name AS TEXT) AS unit,
    CASE unit.state
        WHEN 0 THEN 'available'
        WHEN 1 THEN 'pending'
        WHEN 3 THEN 'failed'
        WHEN 4 THEN 'delayed'
        ELSE 'finished'
    END AS status,
    -unit.ready AS priority,
    datetime(unit.due / 1000000000, 'unixepoch') AS due
FROM unit
JOIN namespace ON namespace.live = unit.namespace
JOIN spec ON spec.namespace = unit.namespace AND spec.id = unit.spec;
