-- Markers: what people and programs know of a model's life, as a deployment or a holiday, to be seen beside its curve.
-- Their text may hold anything but U+0000.

CREATE TABLE marker (
  marker_id uuid        CONSTRAINT marker_key PRIMARY KEY,
  model_id  text        NOT NULL CONSTRAINT marker_of_model REFERENCES model,
  at        timestamptz NOT NULL,
  text      text        NOT NULL,
  made_at   timestamptz NOT NULL,
  actor     jsonb       NOT NULL
);
-- For the markers of a time, and for the newest in pages.
CREATE INDEX marker_of_model_by_time ON marker (model_id, at, marker_id);

-- What was marked before a step of an incident, as it is published: deleting a marker does not change what was sent.
ALTER TABLE transition ADD COLUMN markers json;
