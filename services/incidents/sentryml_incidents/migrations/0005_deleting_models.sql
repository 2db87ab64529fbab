-- Models can be deleted, and a monitor says since when panes have been kept for its windows.
--
-- A deleted model has no row in `monitor`, so that nothing can be decided about it and no list shows it; what it had in
-- `evaluation`, `latest_evaluation` and `activity` is deleted. Its incidents, their timelines and evidence, and the versions
-- of its monitor stay: they are append-only. The row in `model` stays as well, since it says until when everything that
-- still arrives is of before. Events that come later register the model anew.

-- When the model was last deleted. It is deleted as long as it has not been seen since: last_seen <= deleted_at.
ALTER TABLE model ADD COLUMN deleted_at timestamptz;

-- Clean-up: the evaluations that deleted models have left.
CREATE INDEX model_deleted ON model (model_id) WHERE deleted_at IS NOT NULL;

-- A version without settings is the deletion: it goes out as a tombstone, in its place among the versions.
ALTER TABLE monitor_version ALTER COLUMN settings DROP NOT NULL;
-- Since when panes have been kept for windows of this length, where that is not "always".
ALTER TABLE monitor_version ADD COLUMN kept_since timestamptz;

-- The version with which the model was registered, anew after a deletion: versions go on, so evaluations made under
-- earlier ones are of the deleted model.
ALTER TABLE monitor ADD COLUMN first_version integer NOT NULL DEFAULT 1;

-- Marks the incidents of a deleted model. One that is registered anew by the same name starts without them.
ALTER TABLE incident ADD COLUMN model_deleted_at timestamptz;
ALTER TABLE incident ADD CONSTRAINT incident_of_deleted_model_is_closed
  CHECK (model_deleted_at IS NULL OR state = 'closed');

-- What the confirmations of deletions are signed with: made here, never shown. gen_random_uuid is PostgreSQL's strong
-- random source; two of them hold 244 random bits.
CREATE TABLE confirmation_key (
  only_one boolean NOT NULL DEFAULT true
    CONSTRAINT confirmation_key_key PRIMARY KEY
    CONSTRAINT confirmation_key_only_one CHECK (only_one),
  key bytea NOT NULL
);
INSERT INTO confirmation_key (key) VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
