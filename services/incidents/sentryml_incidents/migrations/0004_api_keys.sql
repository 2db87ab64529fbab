-- API keys: rotation, and when a key was last used.
--
-- A rotated key names the one that it replaces, and a key is replaced once. What a key was used for is in a table of
-- its own: api_key is an outbox whose rows the relay claims, and a use that held such a row for a moment would put off
-- a revocation by a second.

ALTER TABLE api_key ADD COLUMN rotated_from text
  CONSTRAINT api_key_rotated_from REFERENCES api_key
  CONSTRAINT api_key_rotated_once UNIQUE  -- also: the successor of each key, for the list
  CONSTRAINT api_key_rotated_from_another CHECK (rotated_from <> key_id);

CREATE TABLE api_key_usage (
  key_id  text        CONSTRAINT api_key_usage_key PRIMARY KEY CONSTRAINT api_key_usage_of_key REFERENCES api_key,
  used_at timestamptz NOT NULL,
  service text        NOT NULL
);
