-- System alerts: that a part of SentryML stands still, said once when it begins and once when it ends. They are of no
-- incident and no transition, so they have a ledger of their own.

ALTER TABLE route ADD COLUMN system boolean NOT NULL DEFAULT false;
-- Where there are routes already, the first one that was made.
UPDATE route SET system = true
 WHERE route_id = (SELECT route_id FROM route WHERE deleted_at IS NULL ORDER BY created_at, name LIMIT 1);

CREATE TABLE system_alert (
  alert_id uuid        CONSTRAINT system_alert_key PRIMARY KEY DEFAULT gen_random_uuid(),
  fault    text        NOT NULL,
  -- Of which channel, where it is a fault of one; else empty.
  channel  text        NOT NULL,
  since    timestamptz NOT NULL,
  text     text        NOT NULL,
  began_at timestamptz NOT NULL,
  ended_at timestamptz
);
-- One at a time of each, whatever the number of notifiers and restarts.
CREATE UNIQUE INDEX system_alert_live ON system_alert (fault, channel) WHERE ended_at IS NULL;
-- For the list, newest first.
CREATE INDEX system_alert_newest ON system_alert (began_at DESC);

CREATE TABLE system_delivery (
  delivery_id   uuid        CONSTRAINT system_delivery_key PRIMARY KEY DEFAULT gen_random_uuid(),
  alert_id      uuid        NOT NULL CONSTRAINT system_delivery_of_alert REFERENCES system_alert,
  channel_id    uuid        NOT NULL CONSTRAINT system_delivery_on_channel REFERENCES channel,
  -- Of the end, not of the beginning.
  of_end        boolean     NOT NULL,
  state         text        NOT NULL DEFAULT 'pending'
    CONSTRAINT system_delivery_state CHECK (state IN ('pending', 'sending', 'delivered', 'parked', 'not_needed')),
  -- The next attempt, or the end of the lease of the one under way.
  due_at        timestamptz NOT NULL,
  send_id       uuid,
  attempts      integer     NOT NULL DEFAULT 0,
  failures      integer     NOT NULL DEFAULT 0,
  failing_since timestamptz,
  possibly_sent boolean     NOT NULL DEFAULT false,
  plain         boolean     NOT NULL DEFAULT false,
  last_text     text,
  delivered_at  timestamptz,
  CONSTRAINT system_delivery_once UNIQUE (alert_id, channel_id, of_end)
);
-- For what is due.
CREATE INDEX system_delivery_due ON system_delivery (due_at) WHERE state IN ('pending', 'sending', 'parked');
