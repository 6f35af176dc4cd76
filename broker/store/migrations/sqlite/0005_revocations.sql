-- What operators have taken back (broker/revocation); numbers rise and are never used again.
CREATE TABLE revocations (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  kind   TEXT    NOT NULL,
  target TEXT    NOT NULL,
  at     INTEGER NOT NULL,
  until  INTEGER NOT NULL DEFAULT 0,
  keep   INTEGER NOT NULL
) STRICT;
CREATE INDEX revocations_keep ON revocations (keep);
