-- Locks by the CBOR of their labels; `due` is when one runs out.

CREATE TABLE lock (
    namespace INTEGER NOT NULL,
    path BLOB NOT NULL,
    due INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (namespace, path)
) STRICT, WITHOUT ROWID;

-- Nodes by name; `lease` is until when each counts as alive.

CREATE TABLE node (
    name TEXT NOT NULL,
    lease INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
