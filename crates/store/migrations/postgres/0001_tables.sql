-- The tables of crates/store/src/tables.rs. Value columns may be null, and a row with a null in an
-- indexed column is not in that index. Names are compared byte by byte, as in every other store.
--
-- Rows of units, specs and namespaces change often and are short-lived in each state: pages are left
-- partly empty so that a new version of a row finds room beside the old one, and the cleaners come
-- after a fixed number of dead rows instead of a share of a table that may be large.

CREATE TABLE namespace (
    name text COLLATE "C" PRIMARY KEY,
    id bigint,
    live bigint,
    revision bigint,
    last_id bigint,
    body bytea NOT NULL
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
CREATE INDEX namespace_live ON namespace (live, name) WHERE live IS NOT NULL;

CREATE TABLE spec (
    namespace bigint,
    name text COLLATE "C",
    id bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, name)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
CREATE INDEX spec_id ON spec (namespace, id, name) WHERE id IS NOT NULL;

CREATE TABLE spec_data (
    namespace bigint,
    spec bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, spec)
);

CREATE TABLE unit (
    namespace bigint,
    spec bigint,
    name bytea,
    id bigint,
    state bigint,
    ready double precision,
    due bigint,
    since bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, spec, name)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_insert_scale_factor = 0.2,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX unit_ready ON unit (namespace, spec, ready, name) WHERE ready IS NOT NULL;
CREATE INDEX unit_state ON unit (namespace, spec, state, name) WHERE state IS NOT NULL;
CREATE INDEX unit_due ON unit (due, namespace, spec, name) WHERE due IS NOT NULL;
CREATE INDEX unit_since ON unit (namespace, spec, since, name) WHERE since IS NOT NULL;

CREATE TABLE attempt (
    namespace bigint,
    unit bigint,
    id bigint,
    worker bigint,
    busy bigint,
    due bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, unit, id)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_insert_scale_factor = 0.2,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX attempt_worker ON attempt (namespace, worker, id, unit) WHERE worker IS NOT NULL;
CREATE INDEX attempt_busy ON attempt (namespace, busy, id, unit) WHERE busy IS NOT NULL;
CREATE INDEX attempt_due ON attempt (due, namespace, unit, id) WHERE due IS NOT NULL;

CREATE TABLE worker (
    namespace bigint,
    name text COLLATE "C",
    id bigint,
    parent bigint,
    due bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, name)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.1);
CREATE INDEX worker_id ON worker (namespace, id, name) WHERE id IS NOT NULL;
CREATE INDEX worker_parent ON worker (namespace, parent, name) WHERE parent IS NOT NULL;
CREATE INDEX worker_due ON worker (due, namespace, name) WHERE due IS NOT NULL;

CREATE TABLE history (
    namespace bigint,
    revision bigint,
    time bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, revision)
) WITH (autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE request (
    namespace bigint,
    id text COLLATE "C",
    due bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, id)
) WITH (autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_scale_factor = 0);
CREATE INDEX request_due ON request (due, namespace, id) WHERE due IS NOT NULL;

CREATE TABLE rubble (
    namespace bigint,
    spec bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, spec)
);

CREATE TABLE token (
    hash bytea PRIMARY KEY,
    id text COLLATE "C",
    body bytea NOT NULL
);
CREATE INDEX token_id ON token (id, hash) WHERE id IS NOT NULL;

CREATE TABLE counter (
    name text COLLATE "C" PRIMARY KEY,
    value bigint,
    body bytea NOT NULL
);
-- Whoever makes a namespace locks this row, so it has to be there from the start.
INSERT INTO counter VALUES ('namespace', 0, '');

CREATE TABLE lock (
    namespace bigint,
    path bytea,
    due bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, path)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.1);
CREATE INDEX lock_due ON lock (due, namespace, path) WHERE due IS NOT NULL;

CREATE TABLE node (
    name text COLLATE "C" PRIMARY KEY,
    lease bigint,
    body bytea NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 100, autovacuum_vacuum_scale_factor = 0);

-- For people with a SQL shell; the program does not use it.
CREATE VIEW unit_status AS
SELECT
    namespace.name AS namespace,
    spec.name AS spec,
    encode(unit.name, 'escape') AS unit,
    CASE unit.state
        WHEN 0 THEN 'available'
        WHEN 1 THEN 'pending'
        WHEN 3 THEN 'failed'
        WHEN 4 THEN 'delayed'
        ELSE 'finished'
    END AS status,
    -unit.ready AS priority,
    to_timestamp(unit.due / 1e9) AS due
FROM unit
JOIN namespace ON namespace.live = unit.namespace
JOIN spec ON spec.namespace = unit.namespace AND spec.id = unit.spec;
