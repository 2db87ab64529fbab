-- How fast a channel may send, who stands in for one that is broken, and a queue that is cheap to serve however long.

ALTER TABLE channel
  -- The token bucket, told by one moment: when it is full again, if nothing more leaves. Null: it is full.
  ADD COLUMN bucket_full_at      timestamptz,
  -- Told while this one is broken.
  ADD COLUMN fallback_channel_id uuid REFERENCES channel,
  ADD CONSTRAINT channel_is_not_its_own_fallback CHECK (fallback_channel_id <> channel_id);

ALTER TABLE delivery
  -- It was parked once: what waits of its incident is told in one message, as things stand.
  ADD COLUMN was_stuck  boolean NOT NULL DEFAULT false,
  -- The delivery on a broken channel that this one stands in for.
  ADD COLUMN instead_of uuid REFERENCES delivery,
  DROP CONSTRAINT delivery_once_per_route,
  ADD CONSTRAINT delivery_once_per_route UNIQUE (transition_id, route_id, channel_id),
  ADD CONSTRAINT delivery_has_one_stand_in UNIQUE (instead_of);
UPDATE delivery SET was_stuck = true WHERE state = 'parked';

-- For claiming: the most urgent first, without a look at all that waits.
CREATE INDEX delivery_by_urgency ON delivery (channel_id, urgency, created_at, incident_id)
  WHERE state IN ('pending', 'sending');

-- What is asked of transitions: PostgreSQL cannot look into a message that holds U+0000. Null in older rows.
ALTER TABLE transition
  ADD COLUMN IF NOT EXISTS state text,
  ADD COLUMN IF NOT EXISTS at    timestamptz,
  ADD COLUMN IF NOT EXISTS alert boolean;
-- For the audit: alerts of late, to see whether each has a delivery.
CREATE INDEX transition_alert ON transition (at) WHERE alert;
-- For the audit and for fallbacks: what is stuck.
CREATE INDEX delivery_parked ON delivery (channel_id) WHERE state = 'parked';
