-- Who does not want to see the checklist of a new installation any more, though it is not done: some of it may never be.

ALTER TABLE app_user ADD COLUMN checklist_hidden_at timestamptz;
