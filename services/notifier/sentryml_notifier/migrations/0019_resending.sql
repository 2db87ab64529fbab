-- Alertmanager takes an incident for over unless it is sent again in time. That is no delivery: it is the state of what
-- was delivered, sent again on a schedule, which is kept here so that a restart does not lose it.

CREATE TABLE resending (
  channel_id  uuid        NOT NULL CONSTRAINT resending_on_channel REFERENCES channel,
  incident_id uuid        NOT NULL,
  -- The newest step that the channel has: nothing newer is sent again.
  sequence    integer     NOT NULL,
  due_at      timestamptz NOT NULL,
  CONSTRAINT resending_key PRIMARY KEY (channel_id, incident_id)
);
-- For what is due on a channel.
CREATE INDEX resending_due ON resending (channel_id, due_at);
