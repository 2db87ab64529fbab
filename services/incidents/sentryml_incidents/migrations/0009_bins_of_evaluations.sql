-- Some evaluations keep their bins, so that a page can show what was compared at any time of a curve, not only now and
-- at the moments of incidents. Which, is for `domain/keeping.py` to say: one in each 24th of the current window, an hour
-- by default. All of them would take half as much space again (ADR 21).
--
-- `json` and not `jsonb`, as elsewhere: a category may hold U+0000. Of before, none are kept.

ALTER TABLE evaluation ADD COLUMN bins json;

-- Serves the look for the nearest evaluation that has bins; only those that have any are in it.
CREATE INDEX evaluation_with_bins ON evaluation (model_id, evaluated_at) WHERE bins IS NOT NULL;
