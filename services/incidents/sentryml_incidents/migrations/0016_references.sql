-- The reference of each model: a frozen histogram against which slow drift shows. `monitor.normal_time` names the one in
-- force; earlier ones stay, as what was normal then.
CREATE TABLE reference (
  reference_id uuid        CONSTRAINT reference_key PRIMARY KEY,
  model_id     text        NOT NULL CONSTRAINT reference_of_model REFERENCES model,
  made_at      timestamptz NOT NULL,
  actor        jsonb       NOT NULL,
  message      jsonb       NOT NULL
);
CREATE INDEX reference_of_model_by_time ON reference (model_id, made_at);

-- References as they go out on references.v1, the deletion of a model as null. A row is deleted when Kafka has it.
CREATE TABLE reference_message (
  position bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT reference_message_key PRIMARY KEY,
  model_id text   NOT NULL CONSTRAINT reference_message_of_model REFERENCES model,
  message  jsonb
);
CREATE INDEX reference_message_of_model_in_order ON reference_message (model_id, position);

-- Comparisons with the reference, counted in the state machine.
ALTER TABLE monitor
  ADD COLUMN slow jsonb NOT NULL DEFAULT '{"drifting": 0, "clean": 0, "since": null, "confirmed": false}';

-- What an evaluation found against the reference, without bins; one in each coarse pane has it.
ALTER TABLE evaluation ADD COLUMN slow_drift jsonb;
