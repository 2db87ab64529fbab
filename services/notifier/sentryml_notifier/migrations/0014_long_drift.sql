-- Reminders of long drift: they ask whether it is the new normal, was normal, or is still a fault.

ALTER TABLE delivery
  -- Of a reminder of long drift: for how many days the incident had lasted. 0: it is no such reminder.
  ADD COLUMN long_drift_days integer NOT NULL DEFAULT 0,
  DROP CONSTRAINT delivery_once_per_route,
  ADD CONSTRAINT delivery_once_per_route UNIQUE (transition_id, route_id, channel_id, reminder, long_drift_days),
  ADD CONSTRAINT delivery_of_long_drift_is_a_reminder CHECK (long_drift_days = 0 OR reminder > 0);
-- For the timer: what has been asked about an incident already.
CREATE INDEX delivery_of_long_drift ON delivery (incident_id, channel_id) WHERE long_drift_days > 0;

-- Messages in Slack that ask, below the root: their buttons are edited with it, until the incident is over or it was
-- asked again.
CREATE TABLE question (
  channel_id      uuid        NOT NULL REFERENCES channel,
  incident_id     uuid        NOT NULL,
  slack_channel   text        NOT NULL,
  ts              text        NOT NULL,
  long_drift_days integer     NOT NULL,
  posted_at       timestamptz NOT NULL,
  CONSTRAINT question_key PRIMARY KEY (channel_id, incident_id, ts)
);
