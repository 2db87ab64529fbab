-- One incident in one Slack channel is one conversation: a root message that shows how it stands, and its thread. What
-- a thread hangs on is known only from Slack's answer, so it is kept here.

CREATE TABLE conversation (
  channel_id      uuid NOT NULL REFERENCES channel,
  incident_id     uuid NOT NULL,
  -- Where the root message is: Slack's id of the channel, and the time that names a message there.
  slack_channel   text NOT NULL,
  root_ts         text NOT NULL,
  -- The sequence of the incident that the root shows, and the newest that it could show.
  shown_sequence  integer NOT NULL,
  newest_sequence integer NOT NULL,
  -- When the root is to be edited, or until when the edit under way may take; null: it shows all there is.
  edit_due_at     timestamptz,
  -- The edit under way; what an editor notes counts only while this is still its own.
  edit_id         uuid,
  edit_failures   integer NOT NULL DEFAULT 0,
  edit_failing_since timestamptz,
  -- The rich form of the root was refused: edit it as plain text.
  edit_plain      boolean NOT NULL DEFAULT false,
  CONSTRAINT conversation_one_per_incident PRIMARY KEY (channel_id, incident_id),
  CONSTRAINT conversation_editor_has_time CHECK (edit_id IS NULL OR edit_due_at IS NOT NULL)
);
-- For the next edit that is due.
CREATE INDEX conversation_to_edit ON conversation (channel_id, edit_due_at) WHERE edit_due_at IS NOT NULL;
-- For noting that an incident has changed.
CREATE INDEX conversation_of_incident ON conversation (incident_id);

-- Until when no root is edited, because Slack asked for it or refused one for good; messages go on.
ALTER TABLE channel ADD COLUMN edits_paused_until timestamptz;
