-- Which monitors are managed by files, as whoever puts these in force says: shown to those who change one by hand, and
-- what tells their changes from the file. It decides nothing, so it is no version of the monitor.

CREATE TABLE managed_monitor (
  model_id   text        CONSTRAINT managed_monitor_key PRIMARY KEY
                         CONSTRAINT managed_monitor_of_monitor REFERENCES monitor ON DELETE CASCADE,
  source     text        NOT NULL,
  applied_at timestamptz NOT NULL,
  applied_by jsonb       NOT NULL,
  version    integer     NOT NULL,
  -- The settings that the source names, as they were put in force.
  settings   jsonb       NOT NULL
);
