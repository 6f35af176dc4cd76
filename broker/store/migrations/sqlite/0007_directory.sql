-- People of the built-in directory (idp/directory); secrets in data are hashed and sealed.
CREATE TABLE people (
  directory TEXT    NOT NULL,
  id        TEXT    NOT NULL,
  name      TEXT    NOT NULL,
  version   INTEGER NOT NULL,
  data      BLOB    NOT NULL,
  PRIMARY KEY (directory, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX people_name ON people (directory, name);

-- Codes from mails and challenges of passkeys that are out.
CREATE TABLE people_codes (
  key       BLOB    NOT NULL PRIMARY KEY,
  directory TEXT    NOT NULL,
  person    TEXT    NOT NULL,
  tries     INTEGER NOT NULL,
  expires   INTEGER NOT NULL,
  data      BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX people_codes_expires ON people_codes (expires);
CREATE INDEX people_codes_person ON people_codes (directory, person);
