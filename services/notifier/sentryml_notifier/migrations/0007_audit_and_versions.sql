-- What came is held against what became of it: the auditor finds an alert that nobody was told of, even if the code that
-- makes deliveries is what went wrong. And channels have versions, as routes do, so that people do not undo each other's
-- changes unseen.

ALTER TABLE transition
  -- PostgreSQL cannot look into a message that holds U+0000. Null in older rows, and those are not audited.
  ADD COLUMN alert       boolean,
  ADD COLUMN taken_in_at timestamptz;
-- For the audit: what came of late.
CREATE INDEX transition_taken_in ON transition (taken_in_at);

-- Of what people set; not of how it fares.
ALTER TABLE channel ADD COLUMN version integer NOT NULL DEFAULT 1;
