-- Networks that are kept out for a while (broker/limit).
CREATE TABLE blocks (
  network TEXT    PRIMARY KEY,
  since   INTEGER NOT NULL,
  until   INTEGER NOT NULL,
  count   INTEGER NOT NULL,
  what    TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blocks_until ON blocks (until);
