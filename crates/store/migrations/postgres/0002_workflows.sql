-- The tables of workflows; crates/store/src/tables.rs says what each is for.

CREATE TABLE definition (
    namespace bigint,
    name text COLLATE "C",
    id bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, name)
) WITH (fillfactor = 70);
CREATE INDEX definition_id ON definition (namespace, id, name) WHERE id IS NOT NULL;

CREATE TABLE version (
    namespace bigint,
    definition bigint,
    version text COLLATE "C",
    created bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, definition, version)
) WITH (fillfactor = 70);
CREATE INDEX version_created ON version (namespace, definition, created, version) WHERE created IS NOT NULL;

CREATE TABLE draft (
    namespace bigint,
    name text COLLATE "C",
    body bytea NOT NULL,
    PRIMARY KEY (namespace, name)
) WITH (fillfactor = 70);

CREATE TABLE start_trigger (
    namespace bigint,
    definition bigint,
    name text COLLATE "C",
    match_key bytea,
    route bytea,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, definition, name)
) WITH (fillfactor = 70);
CREATE INDEX start_trigger_match ON start_trigger (namespace, match_key, definition, name) WHERE match_key IS NOT NULL;
CREATE INDEX start_trigger_route ON start_trigger (namespace, route, definition, name) WHERE route IS NOT NULL;

CREATE TABLE catalog_change (
    catalog text COLLATE "C",
    epoch bigint,
    namespace bigint,
    name text COLLATE "C",
    body bytea NOT NULL,
    PRIMARY KEY (catalog, epoch)
) WITH (fillfactor = 70);

CREATE TABLE pipeline_run (
    namespace bigint,
    id bigint,
    definition bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, id)
) WITH (fillfactor = 70);
CREATE INDEX pipeline_run_definition ON pipeline_run (namespace, definition, id) WHERE definition IS NOT NULL;

CREATE TABLE effect (
    namespace bigint,
    definition bigint,
    name text COLLATE "C",
    body bytea NOT NULL,
    PRIMARY KEY (namespace, definition, name)
) WITH (fillfactor = 70);

CREATE TABLE instance (
    namespace bigint,
    id bigint,
    definition bigint,
    state bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, id)
) WITH (fillfactor = 70);
CREATE INDEX instance_definition ON instance (namespace, definition, id) WHERE definition IS NOT NULL;
CREATE INDEX instance_state ON instance (namespace, state, id) WHERE state IS NOT NULL;

CREATE TABLE journal (
    namespace bigint,
    instance bigint,
    seq bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, instance, seq)
) WITH (fillfactor = 70);

CREATE TABLE inbox (
    namespace bigint,
    instance bigint,
    seq bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, instance, seq)
) WITH (fillfactor = 70);

CREATE TABLE event_wait (
    namespace bigint,
    instance bigint,
    name text COLLATE "C",
    match_key bytea,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, instance, name)
) WITH (fillfactor = 70);
CREATE INDEX event_wait_match ON event_wait (namespace, match_key, instance, name) WHERE match_key IS NOT NULL;

CREATE TABLE event (
    namespace bigint,
    seq bigint,
    identity bytea,
    match_key bytea,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, seq)
) WITH (fillfactor = 70);
CREATE INDEX event_identity ON event (namespace, identity, seq) WHERE identity IS NOT NULL;
CREATE INDEX event_match ON event (namespace, match_key, seq) WHERE match_key IS NOT NULL;

CREATE TABLE firing (
    namespace bigint,
    definition bigint,
    name text COLLATE "C",
    slot bytea,
    instance bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, definition, name, slot)
) WITH (fillfactor = 70);

CREATE TABLE timer (
    namespace bigint,
    kind bigint,
    owner bigint,
    name text COLLATE "C",
    due bigint,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, kind, owner, name)
) WITH (fillfactor = 70);
CREATE INDEX timer_due ON timer (due, namespace, kind, owner, name) WHERE due IS NOT NULL;

-- Whoever changes the catalog locks this row, so it has to be there from the start.
INSERT INTO counter VALUES ('catalog', 0, '');
