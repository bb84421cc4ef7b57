-- The tables of workflows; crates/store/src/tables.rs says what each is for.

CREATE TABLE definition (
    namespace INTEGER NOT NULL,
    name TEXT NOT NULL,
    id INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX definition_id ON definition (namespace, id) WHERE id IS NOT NULL;

CREATE TABLE version (
    namespace INTEGER NOT NULL,
    definition INTEGER NOT NULL,
    version TEXT NOT NULL,
    created INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, definition, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX version_created ON version (namespace, definition, created) WHERE created IS NOT NULL;

CREATE TABLE draft (
    namespace INTEGER NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE start_trigger (
    namespace INTEGER NOT NULL,
    definition INTEGER NOT NULL,
    name TEXT NOT NULL,
    match_key BLOB,
    route BLOB,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, definition, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX start_trigger_match ON start_trigger (namespace, match_key) WHERE match_key IS NOT NULL;
CREATE INDEX start_trigger_route ON start_trigger (namespace, route) WHERE route IS NOT NULL;

CREATE TABLE catalog_change (
    catalog TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    namespace INTEGER,
    name TEXT,
    body BLOB NOT NULL,
    PRIMARY KEY (catalog, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE pipeline_run (
    namespace INTEGER NOT NULL,
    id INTEGER NOT NULL,
    definition INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pipeline_run_definition ON pipeline_run (namespace, definition, id) WHERE definition IS NOT NULL;

CREATE TABLE effect (
    namespace INTEGER NOT NULL,
    definition INTEGER NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, definition, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE instance (
    namespace INTEGER NOT NULL,
    id INTEGER NOT NULL,
    definition INTEGER,
    state INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX instance_definition ON instance (namespace, definition, id) WHERE definition IS NOT NULL;
CREATE INDEX instance_state ON instance (namespace, state, id) WHERE state IS NOT NULL;

CREATE TABLE journal (
    namespace INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, instance, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
    namespace INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, instance, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_wait (
    namespace INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    name TEXT NOT NULL,
    match_key BLOB,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, instance, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_wait_match ON event_wait (namespace, match_key) WHERE match_key IS NOT NULL;

CREATE TABLE event (
    namespace INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    identity BLOB,
    match_key BLOB,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_identity ON event (namespace, identity) WHERE identity IS NOT NULL;
CREATE INDEX event_match ON event (namespace, match_key, seq) WHERE match_key IS NOT NULL;

CREATE TABLE firing (
    namespace INTEGER NOT NULL,
    definition INTEGER NOT NULL,
    name TEXT NOT NULL,
    slot BLOB NOT NULL,
    instance INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, definition, name, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE timer (
    namespace INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    name TEXT NOT NULL,
    due INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, kind, owner, name)
) STRICT, WITHOUT ROWID;
