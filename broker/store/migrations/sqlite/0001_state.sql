-- Times are microseconds since 1970, UTC. Secrets are here as SHA-256 only.

CREATE TABLE sessions (
  id       TEXT    NOT NULL PRIMARY KEY,
  token    BLOB    NOT NULL UNIQUE,
  provider TEXT    NOT NULL,
  subject  TEXT    NOT NULL,
  expires  INTEGER NOT NULL,
  seen     INTEGER NOT NULL,
  data     BLOB    NOT NULL
) STRICT;
CREATE INDEX sessions_expires ON sessions (expires);
CREATE INDEX sessions_person ON sessions (provider, subject);

CREATE TABLE pending (
  handle  BLOB    NOT NULL PRIMARY KEY,
  browser BLOB    NOT NULL,
  expires INTEGER NOT NULL,
  data    BLOB    NOT NULL
) STRICT;
CREATE INDEX pending_expires ON pending (expires);

-- A taken code stays, without its data, for as long as tokens made from it may live.
CREATE TABLE codes (
  code     BLOB    NOT NULL PRIMARY KEY,
  family   TEXT    NOT NULL,
  session  TEXT    NOT NULL,
  provider TEXT    NOT NULL,
  subject  TEXT    NOT NULL,
  taken    INTEGER NOT NULL DEFAULT 0,
  expires  INTEGER NOT NULL,
  keep     INTEGER NOT NULL,
  data     BLOB    NOT NULL
) STRICT;
CREATE INDEX codes_keep ON codes (keep);
CREATE INDEX codes_session ON codes (session);
CREATE INDEX codes_person ON codes (provider, subject);

-- An ended family stays, without data and tokens, so that its id is not used again.
CREATE TABLE families (
  id       TEXT    NOT NULL PRIMARY KEY,
  session  TEXT    NOT NULL,
  provider TEXT    NOT NULL,
  subject  TEXT    NOT NULL,
  ended    INTEGER NOT NULL DEFAULT 0,
  expires  INTEGER NOT NULL,
  data     BLOB    NOT NULL
) STRICT;
CREATE INDEX families_expires ON families (expires);
CREATE INDEX families_session ON families (session);
CREATE INDEX families_person ON families (provider, subject);

CREATE TABLE tokens (
  hash       BLOB    NOT NULL PRIMARY KEY,
  family     TEXT    NOT NULL REFERENCES families (id) ON DELETE CASCADE,
  refresh    INTEGER NOT NULL,
  used       INTEGER NOT NULL DEFAULT 0,
  thumbprint TEXT    NOT NULL,
  expires    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_expires ON tokens (expires);
CREATE INDEX tokens_family ON tokens (family);

CREATE TABLE consents (
  session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  client  TEXT NOT NULL,
  PRIMARY KEY (session, client)
) STRICT, WITHOUT ROWID;

-- Who came first keeps a session name, for good.
CREATE TABLE names (
  name     TEXT NOT NULL PRIMARY KEY,
  provider TEXT NOT NULL,
  subject  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Evidence that has been used (broker/replay).
CREATE TABLE used (
  key   BLOB    NOT NULL PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_until ON used (until);

-- Signing keys (broker/keys); sealed is nothing without the key file.
CREATE TABLE signing_keys (
  use        TEXT    NOT NULL,
  algorithm  TEXT    NOT NULL,
  generation INTEGER NOT NULL,
  kid        TEXT    NOT NULL UNIQUE,
  active     INTEGER NOT NULL,
  sealed     BLOB    NOT NULL,
  PRIMARY KEY (use, algorithm, generation)
) STRICT;
