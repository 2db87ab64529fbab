-- Channels that people make, beside those of the settings: what one needs to know in `settings`, what nobody may see in
-- `secret`, encrypted. `fingerprint` says which configuration a row holds: only a dispatcher that has opened this very one
-- sends, and judges, for it.

ALTER TABLE channel RENAME COLUMN secret_sha256 TO fingerprint;

ALTER TABLE channel
  ALTER COLUMN secret_setting DROP NOT NULL,
  ADD COLUMN settings   jsonb       NOT NULL DEFAULT '{}',
  ADD COLUMN secret     bytea,
  ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
  -- A channel that has sent something is named by its deliveries for ever: it is marked, not deleted.
  ADD COLUMN deleted_at timestamptz,
  DROP CONSTRAINT channel_kind_known,
  ADD CONSTRAINT channel_kind_known CHECK (kind IN ('slack_webhook', 'slack_bot', 'webhook', 'email', 'apprise')),
  ADD CONSTRAINT channel_secret_in_one_place CHECK (secret_setting IS NULL OR secret IS NULL),
  DROP CONSTRAINT channel_name_unique;
CREATE UNIQUE INDEX channel_name_unique ON channel (name) WHERE deleted_at IS NULL;
