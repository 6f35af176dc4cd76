-- The newest sign-in of each person, for administration: who has signed in, and
-- as whom. Swept by keep.
CREATE TABLE arrivals (
  provider TEXT    NOT NULL,
  subject  TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  keep     INTEGER NOT NULL,
  data     BLOB    NOT NULL,
  PRIMARY KEY (provider, subject)
) STRICT;
CREATE INDEX arrivals_at ON arrivals (at);
CREATE INDEX arrivals_keep ON arrivals (keep);
