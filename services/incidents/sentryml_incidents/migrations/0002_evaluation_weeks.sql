-- Evaluations by the week: what is too old goes by dropping a table, which costs the same for one row and for a
-- hundred million, instead of by deleting rows, which costs a scan, a vacuum and the write-ahead log of each.
--
-- The key serves the list of a model's evaluations, newest first, as well: one index to write instead of two. That it
-- holds the id last is no loss, since an evaluation's id is made of its model and time. There is no foreign key to
-- `model`: it would lock, and so rewrite, the model's row at every evaluation; the consumer registers models first.

ALTER TABLE evaluation RENAME TO evaluation_before;
ALTER INDEX evaluation_key RENAME TO evaluation_before_key;
DROP INDEX evaluation_newest, evaluation_age;

CREATE TABLE evaluation (
  evaluation_id   uuid        NOT NULL,
  model_id        text        NOT NULL,
  monitor_version integer     NOT NULL,
  evaluated_at    timestamptz NOT NULL,
  level           text        NOT NULL
    CONSTRAINT evaluation_level CHECK (level IN ('ok', 'warn', 'critical', 'insufficient_data')),
  reason          text,
  baseline        jsonb       NOT NULL,
  current         jsonb       NOT NULL,
  signals         jsonb       NOT NULL,
  CONSTRAINT evaluation_key PRIMARY KEY (model_id, evaluated_at, evaluation_id)
) PARTITION BY RANGE (evaluated_at);

-- Makes the table of the week that a moment falls into, if there is none yet; weeks begin on Monday, 00:00 UTC.
CREATE FUNCTION make_evaluation_week(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  monday timestamp := date_trunc('week', moment AT TIME ZONE 'UTC');
  week   text      := 'evaluation_' || to_char(monday, 'IYYY"w"IW');
BEGIN
  IF to_regclass(week) IS NOT NULL THEN
    RETURN;
  END IF;
  -- One at a time: two that make the same table at once would make one of them fail.
  PERFORM pg_advisory_xact_lock(hashtext('make_evaluation_week'));
  EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF evaluation FOR VALUES FROM (%L) TO (%L)',
                 week, monday AT TIME ZONE 'UTC', (monday + interval '7 days') AT TIME ZONE 'UTC');
END
$$;

-- The weeks that end before a moment, as tables.
CREATE FUNCTION evaluation_weeks_before(moment timestamptz) RETURNS SETOF text LANGUAGE sql STABLE AS $$
  SELECT relname::text
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
   WHERE inhparent = 'evaluation'::regclass
     AND to_date(substr(relname, 12), 'IYYY"w"IW') + 7 <= (moment AT TIME ZONE 'UTC')::date
   ORDER BY relname
$$;

SELECT make_evaluation_week(week)
  FROM (SELECT DISTINCT date_trunc('week', evaluated_at, 'UTC') AS week FROM evaluation_before) AS weeks;
INSERT INTO evaluation SELECT * FROM evaluation_before;
DROP TABLE evaluation_before;
