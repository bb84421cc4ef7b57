CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- Folders that both sides have, or had when they last agreed.
CREATE TABLE folder (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  left_id TEXT,
  right_id TEXT,
  left_epoch TEXT,
  left_token TEXT,
  right_epoch TEXT,
  right_token TEXT,
  -- Seconds since 1970 at which both sides were last known to be the same.
  proved INTEGER,
  -- Whether all that was in it at first was looked at, so that what comes since is news.
  known INTEGER NOT NULL DEFAULT 0
);

-- Messages that are on both sides. A key is a number (a UID) or a text (a name).
CREATE TABLE pair (
  id INTEGER PRIMARY KEY,
  folder INTEGER NOT NULL REFERENCES folder(id) ON DELETE CASCADE,
  left_key NOT NULL,
  right_key NOT NULL,
  left_stamp INTEGER,
  right_stamp INTEGER,
  flags INTEGER NOT NULL,
  keywords TEXT,
  identity BLOB,
  UNIQUE (folder, left_key),
  UNIQUE (folder, right_key)
);

-- Appends that were begun and whose outcome is not known.
CREATE TABLE intent (
  folder TEXT NOT NULL,
  side TEXT NOT NULL,
  key NOT NULL,
  attempts INTEGER NOT NULL,
  run INTEGER NOT NULL,
  PRIMARY KEY (folder, side, key)
) WITHOUT ROWID;

-- Messages that were appended again, so that a second copy may turn up.
CREATE TABLE ghost (
  id INTEGER PRIMARY KEY,
  folder TEXT NOT NULL,
  side TEXT NOT NULL,
  identity BLOB NOT NULL,
  content BLOB NOT NULL,
  until INTEGER NOT NULL
);

CREATE TABLE hold (
  token TEXT PRIMARY KEY,
  why TEXT NOT NULL,
  removals TEXT NOT NULL,
  at INTEGER NOT NULL,
  approved INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE conflict (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  body TEXT NOT NULL
);

CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  started INTEGER NOT NULL,
  finished INTEGER,
  summary TEXT,
  -- Whether what it removed is no longer kept.
  purged INTEGER NOT NULL DEFAULT 0
);

-- What a run did, so that it can be undone.
CREATE TABLE done (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  body TEXT NOT NULL,
  undone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX done_by_run ON done (run);

CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL
);
