-- Normal time: the time that a model's baseline is made of. It is part of the state machine, and goes out on monitors.v1
-- without a new version of the monitor; so that topic has an outbox of its own.

ALTER TABLE monitor
  ADD COLUMN normal_time jsonb NOT NULL
    DEFAULT '{"revision": 0, "since": null, "excluded": [], "set_aside": null}',
  -- Where the current window of the first evaluation in the present run of drifting ones begins.
  ADD COLUMN drift_from timestamptz;

-- Evaluations say of which revision they are.
ALTER TABLE evaluation ADD COLUMN normal_time_revision integer NOT NULL DEFAULT 0;

-- Monitors as they go out, the deletion of a model as null. A row is deleted when Kafka has it.
CREATE TABLE monitor_message (
  -- Order of publishing per model: writers of one model take turns (they lock its monitor), so it is commit order.
  position bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT monitor_message_key PRIMARY KEY,
  model_id text   NOT NULL CONSTRAINT monitor_message_of_model REFERENCES model,
  message  jsonb
);
CREATE INDEX monitor_message_of_model_in_order ON monitor_message (model_id, position);

INSERT INTO monitor_message (model_id, message)
SELECT model_id, settings || jsonb_build_object('model_id', model_id, 'version', version, 'kept_since', kept_since)
  FROM monitor_version
 WHERE published_at IS NULL
 ORDER BY model_id, version;

-- Rows of monitor_version never change now.
DROP TRIGGER monitor_version_append_only ON monitor_version;
DROP INDEX monitor_version_unpublished;
ALTER TABLE monitor_version DROP COLUMN published_at;
CREATE FUNCTION refuse_any_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: rows are neither changed nor deleted', TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER monitor_version_append_only BEFORE UPDATE OR DELETE ON monitor_version
  FOR EACH ROW EXECUTE FUNCTION refuse_any_change();
