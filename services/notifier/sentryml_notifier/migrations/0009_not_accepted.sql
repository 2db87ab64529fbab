-- Outcomes and reasons of attempts by their plain names: not_accepted was not_taken, delivered_elsewhere told_elsewhere,
-- not_checked not_looked. The table is append-only for the service, not for a rename.
ALTER TABLE attempt DROP CONSTRAINT attempt_outcome_known;
ALTER TABLE attempt DISABLE TRIGGER attempt_append_only;
UPDATE attempt SET outcome = 'not_accepted' WHERE outcome = 'not_taken';
UPDATE attempt SET reason = 'delivered_elsewhere' WHERE reason = 'told_elsewhere';
UPDATE attempt SET reason = 'not_checked' WHERE reason = 'not_looked';
ALTER TABLE attempt ENABLE TRIGGER attempt_append_only;
ALTER TABLE attempt ADD CONSTRAINT attempt_outcome_known CHECK (outcome IN
  ('delivered', 'rate_limited', 'not_accepted', 'uncertain', 'message_refused', 'channel_refused', 'interrupted'));
