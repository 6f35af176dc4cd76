-- The provider's own names for the session it has with the person, so that its
-- word that they have signed out there finds ours.
ALTER TABLE sessions ADD COLUMN name_id TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN session_index TEXT NOT NULL DEFAULT '';
UPDATE sessions SET
  name_id       = coalesce(json_extract(CAST(data AS TEXT), '$.upstream.name_id'), ''),
  session_index = coalesce(json_extract(CAST(data AS TEXT), '$.upstream.session_index'), '')
WHERE json_valid(CAST(data AS TEXT));
CREATE INDEX sessions_upstream ON sessions (provider, name_id);
