-- How people like to see accounts (broker/marks). A mark that says nothing is not kept.

CREATE TABLE marks (
  provider  TEXT    NOT NULL,
  subject   TEXT    NOT NULL,
  account   TEXT    NOT NULL,
  label     TEXT    NOT NULL DEFAULT '',
  colour    TEXT    NOT NULL DEFAULT '',
  favourite INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (provider, subject, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE recent_roles (
  provider TEXT    NOT NULL,
  subject  TEXT    NOT NULL,
  role     TEXT    NOT NULL,
  used     INTEGER NOT NULL,
  PRIMARY KEY (provider, subject, role)
) STRICT, WITHOUT ROWID;
