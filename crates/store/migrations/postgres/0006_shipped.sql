-- What nodes ship to each other with their commits, so that none has to read again what another has
-- changed. Nothing is lost with it: it is not logged, and whoever misses something reads the rows.

CREATE UNLOGGED TABLE shipped (
    namespace bigint,
    revision bigint,
    base bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (namespace, revision)
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
-- Compressing costs more than it saves.
ALTER TABLE shipped ALTER COLUMN body SET STORAGE EXTERNAL;
