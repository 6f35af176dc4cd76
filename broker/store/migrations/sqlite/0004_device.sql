-- Device authorizations that are under way (broker/devicecode).

CREATE TABLE devices (
  code    BLOB    NOT NULL PRIMARY KEY,
  user    BLOB    NOT NULL UNIQUE,
  state   INTEGER NOT NULL DEFAULT 0,
  pause   INTEGER NOT NULL DEFAULT 0,
  polled  INTEGER NOT NULL DEFAULT 0,
  expires INTEGER NOT NULL,
  request BLOB    NOT NULL,
  answer  BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_expires ON devices (expires);
