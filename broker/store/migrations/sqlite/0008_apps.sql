-- Devices of apps (idp/device), by the thumbprints of their keys. A revoked one
-- stays, so that its key is not taken again.
CREATE TABLE app_devices (
  number     INTEGER PRIMARY KEY,
  id         TEXT    NOT NULL UNIQUE,
  app        TEXT    NOT NULL,
  thumbprint BLOB    NOT NULL,
  identity   TEXT    NOT NULL,
  created    INTEGER NOT NULL,
  provider   TEXT    NOT NULL DEFAULT '',
  subject    TEXT    NOT NULL DEFAULT '',
  generation INTEGER NOT NULL DEFAULT 1,
  revoked    INTEGER NOT NULL DEFAULT 0,
  UNIQUE (thumbprint, app)
) STRICT;
CREATE INDEX app_devices_person ON app_devices (provider, subject, app) WHERE subject <> '';

-- Whose data it is: one identity of a person in each app.
CREATE TABLE app_identities (
  provider TEXT NOT NULL,
  subject  TEXT NOT NULL,
  app      TEXT NOT NULL,
  identity TEXT NOT NULL UNIQUE,
  PRIMARY KEY (provider, subject, app)
) STRICT, WITHOUT ROWID;

-- Identities of guests that a person with one of their own has taken over.
CREATE TABLE app_aliases (
  alias    TEXT NOT NULL PRIMARY KEY,
  identity TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX app_aliases_identity ON app_aliases (identity);

-- A family of tokens may belong to a device, whose only one it then is.
ALTER TABLE families ADD COLUMN device TEXT NOT NULL DEFAULT '';
CREATE INDEX families_device ON families (device) WHERE device <> '';

-- When a refresh token was used, and from which it came: clients of apps may ask
-- again for an answer that was lost. Of an access token, parent is the refresh token
-- that it was given with.
ALTER TABLE tokens ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN parent BLOB NOT NULL DEFAULT x'';
