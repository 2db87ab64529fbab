-- Alert groups: incidents that open close together on one channel, which it is notified of in one message. A delivery
-- that waits for company is a pending one, due when it has waited long enough.

CREATE TABLE alert_group (
  group_id         uuid        CONSTRAINT alert_group_key PRIMARY KEY DEFAULT gen_random_uuid(),
  -- What people call it.
  group_number     bigint      GENERATED ALWAYS AS IDENTITY,
  channel_id       uuid        NOT NULL CONSTRAINT alert_group_on_channel REFERENCES channel,
  -- When its first incident opened, and until when others join.
  began_at         timestamptz NOT NULL,
  closes_at        timestamptz NOT NULL,
  -- It was reported as critical.
  critical         boolean     NOT NULL DEFAULT false,
  -- Its last message about alerts; the last that did not wait for it to close; the last one about ends.
  reported_at      timestamptz,
  hurried_at       timestamptz,
  ends_reported_at timestamptz
);
-- For the group that incidents join now.
CREATE INDEX alert_group_open ON alert_group (channel_id, closes_at);

ALTER TABLE delivery
  -- The first alert of an incident on a channel since it began: its opening, or, where less severe alerts are left to
  -- others, an escalation.
  ADD COLUMN opens    boolean NOT NULL DEFAULT false,
  -- The group of the incident when it opened; of other deliveries, the group that they are sent with.
  ADD COLUMN group_id uuid    CONSTRAINT delivery_in_group REFERENCES alert_group;
UPDATE delivery SET opens = true WHERE kind IN ('opened', 'reopened') AND reminder = 0;
-- For the incidents of a group.
CREATE INDEX delivery_of_group ON delivery (group_id) WHERE group_id IS NOT NULL;

-- The group is published too.
DROP TRIGGER delivery_revised ON delivery;
CREATE TRIGGER delivery_revised BEFORE UPDATE ON delivery
  FOR EACH ROW WHEN (
    NEW.state <> 'sending'
    AND (OLD.state, OLD.due_at, OLD.parked_because, OLD.last_text, OLD.delivered_at, OLD.group_id)
      IS DISTINCT FROM (NEW.state, NEW.due_at, NEW.parked_because, NEW.last_text, NEW.delivered_at, NEW.group_id))
  EXECUTE FUNCTION revise_delivery();
